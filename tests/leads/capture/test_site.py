"""Channels of the company's own site: newsletter, event, material, recommendation, confirmed addresses."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from crm.core.jobs import drain
from crm.core.models import Job
from leads.models import (
    Confirmation,
    Interaction,
    Lead,
    Message,
    Person,
    Referral,
    ReferralCode,
    Registration,
    Source,
    Submission,
)
from leads.services import confirmations
from tests.factories import LeadFactory
from tests.leads.capture.conftest import make_source


def receipts():
    return list(Submission.objects.order_by("id").values_list("state", "reason"))


def kinds(lead):
    return set(lead.interactions.values_list("kind", flat=True))


def link_in(message):
    return re.search(r"https?://\S+/(?:confirm|d)/[^\s\"<]+/", message.text)[0].partition("//")[2].partition("/")[2]


# --- Newsletter and double opt-in -----------------------------------------------------------------------------------


@pytest.fixture
def letters(funnels):
    return make_source(key="news", name="Новости", adapter="newsletter", settings={"topic": "Скидки"})


def test_a_subscription_counts_once_the_address_is_confirmed(letters, post, client):
    assert post("news", {"email": "Anna@Example.com", "name": "Анна"}).status_code == 303
    drain()
    assert (receipts(), Lead.objects.count()) == ([("waiting", "")], 0)
    letter = Message.objects.get(dedup__startswith="confirm:")
    address = "/" + link_in(letter)
    assert (letter.to, client.get(address).status_code, Lead.objects.count()) == ("anna@example.com", 200, 0)
    drain()
    assert Lead.objects.count() == 0  # whoever only opens the link has confirmed nothing
    assert [client.post(address).status_code for _n in range(2)] == [200, 200]
    drain()
    lead = Lead.objects.get()
    assert (lead.email, lead.tags, receipts()) == ("anna@example.com", ["subscriber"], [("lead", "")])
    assert lead.interactions.filter(kind="subscribed", text="Скидки").count() == 1


def test_what_nobody_confirms_expires_with_its_own_reason(letters, post, client):
    post("news", {"email": "anna@example.com"})
    drain()
    address = "/" + link_in(Message.objects.get(dedup__startswith="confirm:"))
    assert Job.objects.get(task="leads.expire_opt_in").due_at > timezone.now() + timedelta(days=2)
    Job.objects.update(due_at=timezone.now())
    drain()
    assert receipts() == [("rejected", "unconfirmed")]
    assert (client.post(address).status_code, receipts()) == (410, [("rejected", "unconfirmed")])


def test_links_of_others_confirm_nothing(letters, post, client):
    post("news", {"email": "anna@example.com"})
    drain()
    address = "/" + link_in(Message.objects.get(dedup__startswith="confirm:"))
    assert client.post(f"{address[:-6]}xxxxx/").status_code == 404
    assert Confirmation.objects.filter(confirmed_at=None).count() == 1


def test_nobodys_mailbox_is_filled_by_a_stranger(letters, post):
    for number in range(5):
        post("news", {"email": "anna@example.com", "name": str(number)})
    drain()
    assert Message.objects.filter(to="anna@example.com").count() == confirmations.PER_DAY
    assert receipts() == [("waiting", "")] * 5


def test_a_subscription_needs_an_address_and_a_second_one_adds_nothing(letters, post):
    assert post("news", {"phone": "89030001122"}).status_code == 422
    Source.objects.update(settings={"double_opt_in": False, "topic": "Скидки"})
    for _n in range(2):
        post("news", {"email": "anna@example.com"})
    drain()
    assert Interaction.objects.filter(kind="subscribed").count() == 1


def test_a_form_may_ask_for_confirmation_too_and_a_phone_alone_passes(funnels, post):
    make_source(settings={"double_opt_in": True})
    post("site", {"email": "anna@example.com", "phone": "89030001122"})
    post("site", {"phone": "89030003344"})
    drain()
    assert receipts() == [("waiting", ""), ("lead", "")]


def test_an_administrator_may_vouch_for_an_expired_one(letters, post, signed_in, admin):
    post("news", {"email": "anna@example.com"})
    drain()
    Job.objects.update(due_at=timezone.now())
    drain()
    signed_in(admin).post(f"/receipts/{Submission.objects.get().pk}/replay/", {"force": "1"})
    assert (receipts(), Lead.objects.count()) == ([("lead", "")], 1)


# --- Event ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def event(funnels):
    return make_source(key="expo", name="Expo", adapter="event", settings={"event": "Выставка", "starts": "1 мая"})


def test_registration_and_attendance(event, post, signed_in, head, rep):
    post("expo", {"email": "anna@example.com", "name": "Анна"})
    post("expo", {"email": "anna@example.com"})
    drain()
    lead = Lead.objects.get()
    row = Registration.objects.get()
    assert lead.interactions.filter(kind="registered", text="Выставка").count() == 1
    client = signed_in(head)
    for _n in range(2):
        client.post("/sources/expo/people/", {"registration": row.pk, "came": "1"})
    row.refresh_from_db()
    assert (row.attended_at is not None, lead.interactions.filter(kind="attended").count()) == (True, 1)
    client.post("/sources/expo/people/", {"registration": row.pk, "came": "0"})
    row.refresh_from_db()
    assert row.attended_at is None
    assert signed_in(rep).get("/sources/expo/people/").status_code == 403


def test_a_list_marks_who_came_and_strangers_become_leads(event, post, signed_in, head):
    post("expo", {"email": "anna@example.com", "name": "Анна"})
    drain()
    file = SimpleUploadedFile("came.csv", "Имя;Телефон\nБорис;+7 903 000-33-44\n".encode())
    people = "anna@example.com, Анна\nкто-то без контакта"
    signed_in(head).post("/sources/expo/people/", {"people": people, "file": file})
    drain()
    came = set(Registration.objects.exclude(attended_at=None).values_list("person__name", flat=True))
    assert (came, Lead.objects.count()) == ({"Анна", "Борис"}, 2)
    assert {"attended", "captured"} <= kinds(Lead.objects.get(name="Борис"))


def test_the_page_of_an_event_says_when(event, client):
    page = client.get("/f/expo/").content.decode()
    assert "1 мая" in page
    assert re.search(r"<h1[^>]*>Выставка</h1>", page)  # what it is called, where no heading of its own is stated


# --- Material -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def guide(funnels, signed_in, admin):
    make_source(key="guide", name="Guide", adapter="download")
    file = SimpleUploadedFile("Руководство.pdf", b"%PDF-1.4 content", "application/pdf")
    form = {"name": "Guide", "channel": "site", "is_active": "on", "set_title": "Руководство", "set_file": file}
    assert signed_in(admin).post("/sources/guide/edit/", form).status_code == 302
    source = Source.objects.get(key="guide")
    yield source
    default_storage.delete(source.settings["file"])


def test_the_file_is_given_by_a_signed_link_and_noted_once(guide, post, client):
    thanks = post("guide", {"email": "anna@example.com"})["Location"]
    page = client.get(thanks).content.decode()
    address = re.search(r'href="https?://[^/]+(/d/[^"]+)"', page)[1]
    drain()
    for _n in range(2):
        got = client.get(address)
        assert b"".join(got.streaming_content) == b"%PDF-1.4 content"
        assert got["Content-Disposition"].startswith("attachment")
    drain()
    lead = Lead.objects.get()
    assert lead.interactions.filter(kind="downloaded").count() == 1
    assert "download" in lead.tags
    assert "/d/" in Message.objects.get(dedup__startswith="material:").text
    assert client.get(f"{address[:-4]}xxx/").status_code == 404


def test_old_links_and_refused_people_get_nothing(guide, post, client):
    address = re.search(
        r"/d/[^\"]+", client.get(post("guide", {"email": "a@example.com"})["Location"]).content.decode()
    )[0]
    with time_machine.travel(timezone.now() + timedelta(days=31)):
        assert client.get(address).status_code == 404
    Submission.objects.update(state="spam", reason="honeypot")
    assert client.get(address).status_code == 404


def test_a_file_of_another_name_is_not_given(guide, post, client):
    address = re.search(
        r"/d/[^\"]+", client.get(post("guide", {"email": "a@example.com"})["Location"]).content.decode()
    )[0]
    Source.objects.update(settings={"file": "../../etc/passwd"})
    assert client.get(address).status_code == 404


# --- Recommendation -----------------------------------------------------------------------------------------------------


@pytest.fixture
def friends(funnels):
    return make_source(key="friends", name="Friends", adapter="referral", settings={"origins": ["shop.test"]})


def test_the_client_of_a_code_is_found_by_name_among_those_one_sees(friends, signed_in, head, rep, outsider):
    mine = [
        LeadFactory(owner=rep, name=name, person__name=name, person__owner=rep)
        for name in ("Вера Орлова", "Вера Белова")
    ]
    LeadFactory(owner=outsider, name="Вера Чужая", person__name="Вера Чужая", person__owner=outsider)
    client, page = signed_in(head), "/sources/friends/codes/"
    found = client.get(page, {"client_q": "Вера"}, headers={"HX-Request": "true"})
    assert {row.pk for row in found.context["found"]} == {lead.person_id for lead in mine}
    assert client.get(page, {"client_q": "ве"}, headers={"HX-Request": "true"}).context["found"].count() == 0

    def made(**said):
        answer = client.post(page, {"reward": "5 %", **said})
        code = ReferralCode.objects.order_by("-pk").first()
        ReferralCode.objects.all().delete()
        return answer.status_code, code and code.person_id

    assert made(client=str(mine[0].person_id)) == (302, mine[0].person_id)
    assert made(client_q="Белова") == (302, mine[1].person_id)  # the only one
    assert made(client_q="Вера") == (422, None)  # two: which?
    assert made(client_q="Чужая") == (422, None)
    assert made(client=str(Person.objects.get(name="Вера Чужая").pk)) == (422, None)
    assert made(client="9" * 30) == (422, None)
    shown = client.post(page, {"client_q": "Вера"}).content.decode()
    assert shown.count('type="radio"') == 2 and 'value="Вера"' in shown


def test_a_link_carries_its_code_to_the_card(friends, client, post, signed_in, head):
    referrer = Person.objects.create(name="Вера", owner=head)
    signed_in(head).post("/sources/friends/codes/", {"code": "vera", "client": referrer.pk, "reward": "5 %"})
    there = client.get("/r/friends/vera/")["Location"]
    assert there.startswith("/f/friends/?ref=vera&utm_source=referral")
    assert 'name="ref" value="vera"' in client.get(there).content.decode()
    for _n in range(2):
        post("friends", {"phone": "89030001122", "ref": "VERA"})
    drain()
    lead = Lead.objects.get()
    assert (Referral.objects.get().code.code, lead.interactions.filter(kind="referred", text="Вера").count()) == (
        "vera",
        1,
    )
    assert "ref" not in lead.custom
    Lead.objects.update(status="converted", closed_at=timezone.now())
    page = signed_in(head).get("/sources/friends/codes/").content.decode()
    assert "Вера" in page and "5 %" in page
    signed_in(head).post("/sources/friends/codes/", {"given": "vera"})
    assert Referral.objects.filter(rewarded_at=None).count() == 0


def test_a_client_of_another_team_is_not_named(friends, signed_in, head, outsider):
    client = LeadFactory(owner=outsider, name="Тайный Гость").person
    assert signed_in(head).post("/sources/friends/codes/", {"client": client.pk}).status_code == 422
    ReferralCode.objects.create(code="theirs", person=client)
    page = signed_in(head).get("/sources/friends/codes/").content.decode()
    assert "theirs" in page and client.name not in page and f"/people/{client.pk}/" not in page


def test_an_unknown_code_is_an_enquiry_all_the_same(friends, post):
    post("friends", {"phone": "89030001122", "promocode": "none"})
    drain()
    assert (Lead.objects.count(), Referral.objects.count()) == (1, 0)


@pytest.mark.parametrize("wrong", [{}, {"client": "999999"}, {"partner": "x", "code": "a b"}])
def test_a_code_of_nobody_is_refused(friends, signed_in, head, wrong):
    assert signed_in(head).post("/sources/friends/codes/", wrong).status_code == 422


def test_links_of_a_source_of_another_kind_lead_nowhere(funnels, client):
    make_source()
    assert client.get("/r/site/vera/").status_code == 404


# --- Visits -------------------------------------------------------------------------------------------------------------


def test_a_visit_is_taken_at_the_sources_address_too(funnels, post):
    make_source(key="web", name="Web", adapter="visits")
    note = {"v": "6f0c5b1e-0000-4000-8000-000000000001", "u": "https://shop.test/?utm_source=vk", "t": "Shop"}
    assert post("web", json_=note).status_code == 204
    drain()
    assert receipts() == [("rejected", "not_enquiry")]


def test_who_comes_back_by_an_advertisement_has_one_more_touch(source, post, client):
    visitor = "6f0c5b1e-0000-4000-8000-000000000002"
    post("site", {"phone": "89030001122", "visitor_id": visitor})
    drain()
    for url in ("https://shop.test/a?utm_source=vk&gclid=1", "https://shop.test/b"):
        client.post("/v/site/", f'{{"v": "{visitor}", "u": "{url}"}}', content_type="text/plain")
    lead = Lead.objects.get()
    assert [t.marks.get("utm_source") for t in lead.touches.order_by("id")] == [None, "vk"]


# --- The builder of forms -----------------------------------------------------------------------------------------------


def rows(*questions, total=None):
    data = {"q-TOTAL_FORMS": total or len(questions), "q-INITIAL_FORMS": 0}
    for number, question in enumerate(questions):
        data |= {f"q-{number}-{name}": value for name, value in question.items()}
    return data


QUESTIONS = (
    {"field": "", "label": "Площадь, м²", "type": "number", "ORDER": "3"},
    {"field": "phone", "ORDER": "1", "required": "on"},
    {"field": "", "label": "Комната", "type": "choices", "options": "Кухня\nВанная", "ORDER": "2"},
    {"field": "name", "label": "Как вас зовут?", "ORDER": "4"},
)


def test_a_form_asks_what_was_built(source, client, signed_in, admin, post):
    said = signed_in(admin).post("/sources/site/form/", rows(*QUESTIONS) | {"headline": "Замер", "thanks": "Ждите"})
    assert said.status_code == 302
    page = client.get("/f/site/").content.decode()
    names = re.findall(r'<(?:input|textarea)[^>]* name="([^"]+)"', page)
    assert [n for n in dict.fromkeys(names) if n in {"phone", "Комната", "Площадь, м²", "name", "email"}] == [
        "phone", "Комната", "Площадь, м²", "name",
    ]  # fmt: skip
    assert "Замер" in page
    snippet = signed_in(admin).get("/sources/site/").content.decode()
    assert "Площадь, м²" in snippet
    token = re.search(r'name="form_token" value="([^"]+)"', page)[1]
    with time_machine.travel(timezone.now() + timedelta(seconds=10)):
        answer = client.post(
            "/f/site/",
            {"phone": "89030001122", "Комната": ["Кухня", "Ванная"], "Площадь, м²": "12", "form_token": token},
        )
        assert answer.status_code == 303
    with time_machine.travel(timezone.now() + timedelta(seconds=11)):
        assert client.post("/f/site/", {"Комната": "Гараж", "form_token": token}).status_code == 422
    Submission.objects.update(received_at=timezone.now() + timedelta(seconds=10))
    drain()
    assert Lead.objects.get().custom == {"Комната": "Кухня, Ванная", "Площадь, м²": "12"}


def test_a_choice_without_options_is_refused(source, signed_in, admin):
    assert signed_in(admin).post("/sources/site/form/", rows({"label": "Что?", "type": "choice"})).status_code == 422
