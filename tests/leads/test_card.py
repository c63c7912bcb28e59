"""The lead's card: who sees it, what stands on it, how fields, stage, owner and outcome change."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import override

from crm.core.models import Reason, Stage
from leads.forms.card import SumField
from leads.models import Assignment, Identity, Interaction, Kind, Lead
from leads.services import cards
from tests.factories import LeadFactory, PersonFactory, UserFactory

HTMX = {"HX-Request": "true"}
pytestmark = pytest.mark.django_db
WRITES = {
    "stage": {"stage": "1"}, "owner": {"owner": "1"}, "reject": {"reason": "1"}, "reopen": {}, "tags": {"add": "x"},
    "note": {"text": "canary"}, "call": {"result": "reached"}, "reply": {}, "task_new": {"next": "tomorrow"},
}  # fmt: skip


@pytest.fixture
def lead(rep):
    return LeadFactory(owner=rep)


def url(lead, name="", *more):
    return f"/leads/{lead.pk}/{name}" if not more else f"/leads/{lead.pk}/{name}/{more[0]}/"


def stage(lead, name):
    return Stage.objects.get(pipeline=lead.pipeline, name=name)


# --- Who sees it ------------------------------------------------------------------------------------------------------
def test_each_character_opens_exactly_the_cards_that_are_theirs(
    rep, colleague, head, admin, outsider, marketer, signed_in
):
    leads = {"own": LeadFactory(owner=rep), "colleague's": LeadFactory(owner=colleague),
             "other team's": LeadFactory(owner=outsider), "nobody's": LeadFactory()}  # fmt: skip
    opened = {
        user.username: {name for name, lead in leads.items() if signed_in(user).get(url(lead)).status_code == 200}
        for user in (rep, colleague, head, admin, outsider, marketer)
    }
    assert opened == {
        "rep": {"own"},
        "colleague": {"colleague's"},
        "head": {"own", "colleague's", "nobody's"},
        "admin": set(leads),
        "outsider": {"other team's"},
        "marketer": set(leads),
    }


@pytest.mark.parametrize("name", sorted(WRITES))
@pytest.mark.parametrize("stranger", ["outsider", "colleague", "marketer"])
def test_whoever_may_not_work_on_a_lead_gets_404_and_writes_nothing(name, stranger, lead, request, signed_in):
    before = Lead.objects.values().get(pk=lead.pk), Interaction.objects.count(), lead.tasks.count()
    user = request.getfixturevalue(stranger)
    answer = signed_in(user).post(reverse(f"leads:{name}", args=[lead.pk]), WRITES[name], headers=HTMX)
    assert answer.status_code == 404
    assert lead.phone not in answer.content.decode()
    assert (Lead.objects.values().get(pk=lead.pk), Interaction.objects.count(), lead.tasks.count()) == before


def test_a_fragment_asked_for_without_a_session_sends_the_page_to_the_login(lead, client):
    answer = client.post(
        url(lead, "notes/"), {"text": "x"}, headers={**HTMX, "HX-Current-URL": f"http://testserver{url(lead)}"}
    )
    assert (answer.status_code, answer["HX-Redirect"]) == (401, f"/login/?next={url(lead)}")
    assert answer.content == b"" and not lead.interactions.exists()


def test_a_marketer_reads_the_card_without_any_button_that_changes_it(lead, marketer, signed_in):
    page = signed_in(marketer).get(url(lead)).content.decode()
    assert lead.email in page
    assert "data-cancel" not in page and "fact-edit" not in page and 'name="stage"' not in page
    assert "/calls/" not in page and "/rejection/" not in page


# --- What stands on it ------------------------------------------------------------------------------------------------
def test_the_card_takes_no_more_than_twenty_queries_however_full_it_is(
    lead, rep, signed_in, django_assert_max_num_queries
):
    lead.waiting_since = timezone.now() - timedelta(hours=1)
    lead.save(update_fields=["waiting_since"])
    for number in range(60):
        cards.note(lead, by=rep, text=f"note {number}", next_step={"title": "Call", "due_at": timezone.now()})
    for _number in range(5):
        LeadFactory(person=lead.person, owner=rep, phone="", email="")
    client = signed_in(rep)
    with django_assert_max_num_queries(20):
        page = client.get(url(lead)).content.decode()
    assert page.count('class="timeline-item"') == 40
    assert page.count('id="task-') == 60


def test_hostile_names_are_escaped_on_the_card_and_in_every_dialog(rep, signed_in):
    hostile = "<img src=x onerror=alert(1)>"
    lead = LeadFactory(
        owner=rep, name=hostile, company_name=hostile, city=hostile, need=hostile, tags=[hostile], job_title=hostile
    )
    cards.note(lead, by=rep, text=hostile, next_step={"title": hostile, "due_at": timezone.now()})
    cards.log_call(lead, by=rep, result="reached", text=hostile)
    cards.edit(lead, {"product": hostile}, by=rep)
    client = signed_in(rep)
    task = lead.tasks.get()
    parts = ("", "notes/", "calls/", "owner/", "rejection/", "tasks/", "timeline/")
    pages = [*(url(lead, part) for part in parts),
             f"/tasks/{task.pk}/done/", f"/tasks/{task.pk}/due/", "/tasks/", f"/people/{lead.person_id}/", "/people/",
             url(lead, "fields", "city"), url(lead, "fields", "need")]  # fmt: skip
    for address in pages:
        for headers in ({}, HTMX):
            answer = client.get(address, headers=headers)
            assert answer.status_code == 200, address
            assert "<img src=x" not in answer.content.decode(), address


@pytest.mark.parametrize(("language", "words"), [("ru", "Следующий шаг"), ("en", "Next step")])
def test_the_card_speaks_the_users_language(lead, rep, signed_in, language, words):
    rep.language = language
    rep.save()
    assert words in signed_in(rep).get(url(lead)).content.decode()


def test_a_client_whose_other_lead_is_with_a_colleague_shows_the_owner_and_nothing_else(
    lead, rep, colleague, signed_in
):
    other = LeadFactory(
        person=lead.person, owner=colleague, phone="+79990009999", email="", name="Canary", product="Canary"
    )
    page = signed_in(rep).get(url(lead)).content.decode()
    assert "Коллегина" in page
    assert "Canary" not in page and f"/leads/{other.pk}/" not in page


# --- Fields -----------------------------------------------------------------------------------------------------------
def test_an_edit_is_normalised_and_leaves_before_and_after_in_the_timeline(lead, rep, signed_in):
    old = lead.phone
    answer = signed_in(rep).post(url(lead, "fields", "phone"), {"phone": "8 (912) 345-67-89"}, headers=HTMX)
    lead.refresh_from_db()
    assert (answer.status_code, lead.phone) == (200, "+79123456789")
    row = lead.interactions.get(kind=Kind.EDITED)
    assert (row.details, row.by) == ({"fields": {"phone": [old, "+79123456789"]}}, rep)
    assert set(lead.person.identities.filter(kind="phone").values_list("value", flat=True)) == {"+79123456789"}


def test_a_number_of_a_visible_client_is_refused_by_name(lead, rep, signed_in):
    other = LeadFactory(owner=rep, person=PersonFactory(name="Пётр Занятой"))
    answer = signed_in(rep).post(url(lead, "fields", "phone"), {"phone": other.phone}, headers=HTMX)
    lead.refresh_from_db()
    assert answer.status_code == 422
    assert "Пётр Занятой" in answer.content.decode()
    assert lead.phone != other.phone


def test_a_number_of_a_colleagues_client_names_the_colleague_and_not_the_client(lead, rep, colleague, signed_in):
    other = LeadFactory(owner=colleague, person=PersonFactory(name="Canary"))
    answer = signed_in(rep).post(url(lead, "fields", "phone"), {"phone": other.phone}, headers=HTMX)
    assert answer.status_code == 422
    assert "Коллегина" in answer.content.decode() and "Canary" not in answer.content.decode()
    assert Identity.objects.get(kind="phone", value=other.phone).person == other.person


@pytest.mark.parametrize(
    ("name", "value"),
    [("phone", "12"), ("email", "no address"), ("budget", "-5"), ("budget", "much"), ("decision_date", "31.31.2026"),
     ("company_size", "-1"), ("city", "x" * 121), ("budget", "1e99"), ("company_size", "99999999999")],
)  # fmt: skip
def test_what_cannot_be_a_value_is_422_with_the_form_and_changes_nothing(lead, rep, signed_in, name, value):
    before = Lead.objects.values().get(pk=lead.pk)
    answer = signed_in(rep).post(url(lead, "fields", name), {name: value}, headers=HTMX)
    assert answer.status_code == 422
    assert "errorlist" in answer.content.decode()
    assert Lead.objects.values().get(pk=lead.pk) == before
    assert not lead.interactions.exists()


def test_the_last_contact_cannot_be_emptied(rep, signed_in):
    lead = LeadFactory(owner=rep, email="")
    answer = signed_in(rep).post(url(lead, "fields", "phone"), {"phone": ""}, headers=HTMX)
    lead.refresh_from_db()
    assert answer.status_code == 422
    assert lead.phone


def test_a_sum_is_taken_as_people_type_it(lead, rep, signed_in):
    signed_in(rep).post(url(lead, "fields", "budget"), {"budget": "1 500 000,50"}, headers=HTMX)
    lead.refresh_from_db()
    assert lead.budget == Decimal("1500000.50")


def test_a_field_that_is_not_for_editing_does_not_exist(lead, rep, signed_in):
    client = signed_in(rep)
    codes = {
        name: client.post(url(lead, "fields", name), {name: "1"}).status_code for name in ("score", "owner", "status")
    }
    assert codes == {"score": 404, "owner": 404, "status": 404}


def test_a_company_named_on_the_lead_becomes_the_clients_company(lead, rep):
    lead = cards.edit(lead, {"company_name": "ООО «Ромашка»"}, by=rep)
    lead.person.refresh_from_db()
    assert lead.company == lead.person.company
    other = cards.edit(LeadFactory(owner=rep), {"company_name": "Ромашка, ООО"}, by=rep)
    assert other.company == lead.company


def test_tags_come_and_go_and_case_tells_none_apart(lead, rep, signed_in):
    client = signed_in(rep)
    client.post(url(lead, "tags/"), {"add": "VIP, важный"}, headers=HTMX)
    client.post(url(lead, "tags/"), {"add": "vip"}, headers=HTMX)
    client.post(url(lead, "tags/"), {"remove": "важный"}, headers=HTMX)
    lead.refresh_from_db()
    assert lead.tags == ["VIP"]
    details = list(lead.interactions.filter(kind=Kind.TAGGED).order_by("id").values_list("details", flat=True))
    assert details == [{"add": ["VIP", "важный"], "remove": []}, {"add": [], "remove": ["важный"]}]


def test_a_tag_too_long_is_422(lead, rep, signed_in):
    answer = signed_in(rep).post(url(lead, "tags/"), {"add": "x" * 41}, headers=HTMX)
    lead.refresh_from_db()
    assert (answer.status_code, lead.tags) == (422, [])


# --- Stage ------------------------------------------------------------------------------------------------------------
def test_a_stage_that_asks_for_fields_gives_the_form_and_moves_when_it_is_filled(lead, rep, signed_in):
    to = stage(lead, "Contacted")
    to.required_fields = ["budget", "need"]
    to.save()
    client, target = signed_in(rep), {**HTMX, "HX-Target": "lead-head"}
    asked = client.post(url(lead, "stage/"), {"stage": to.pk, "version": 0}, headers=target)
    assert (asked.status_code, asked["HX-Retarget"]) == (422, "#dialog")
    assert 'name="budget"' in asked.content.decode() and 'name="need"' in asked.content.decode()
    form = {"stage": to.pk, "version": 0, "fill": ["budget", "need"], "budget": "", "need": "a roof"}
    half = client.post(url(lead, "stage/"), form, headers={**HTMX, "HX-Target": "dialog"})
    lead.refresh_from_db()
    assert (half.status_code, lead.stage.name, lead.need) == (422, "New", "")
    done = client.post(url(lead, "stage/"), form | {"budget": "100"}, headers={**HTMX, "HX-Target": "dialog"})
    lead.refresh_from_db()
    assert (done.status_code, lead.stage.name, lead.need, lead.budget) == (204, "Contacted", "a roof", 100)
    assert "board:refresh" in done["HX-Trigger"]


def test_the_second_of_two_who_move_the_same_card_is_told(lead, rep, head, signed_in):
    one, two = stage(lead, "Contacted"), stage(lead, "Qualified")
    first = signed_in(head).post(url(lead, "stage/"), {"stage": one.pk, "version": 0}, headers=HTMX)
    second = signed_in(rep).post(url(lead, "stage/"), {"stage": two.pk, "version": 0}, headers=HTMX)
    lead.refresh_from_db()
    assert (first.status_code, second.status_code) == (204, 409)
    assert "Contacted" in second.content.decode()
    assert (lead.stage, lead.version) == (one, 1)


def test_a_move_that_is_not_allowed_is_403_in_words(lead, rep, signed_in):
    to = stage(lead, "Contacted")
    to.edges_in.all().delete()
    answer = signed_in(rep).post(url(lead, "stage/"), {"stage": to.pk}, headers=HTMX)
    lead.refresh_from_db()
    assert (answer.status_code, lead.stage.name) == (403, "New")
    assert "Contacted" in answer.content.decode()


def test_a_move_by_a_plain_form_goes_back_to_the_page_it_came_from(lead, rep, signed_in):
    to = stage(lead, "Contacted")
    answer = signed_in(rep).post(
        url(lead, "stage/"), {"stage": to.pk}, headers={"Referer": "http://testserver/leads/board/"}
    )
    lead.refresh_from_db()
    assert (answer.status_code, answer.url, lead.stage) == (302, "http://testserver/leads/board/", to)


@pytest.mark.parametrize("back", ["x", "a\0b", "leads:list", "https://evil.test/", "//evil.test"])
def test_a_move_that_names_no_page_of_ours_goes_to_the_card(lead, rep, signed_in, back):
    to = stage(lead, "Contacted")
    answer = signed_in(rep).post(url(lead, "stage/"), {"stage": to.pk, "back": back})
    assert (answer.status_code, answer.url) == (302, url(lead))


@pytest.mark.parametrize("value", ["", "x", "0", "999999", "-1", "1" * 30, "１"])
def test_a_stage_that_is_none_is_404(lead, rep, signed_in, value):
    answer = signed_in(rep).post(url(lead, "stage/"), {"stage": value}, headers=HTMX)
    assert (answer.status_code, Lead.objects.get(pk=lead.pk).version) == (404, 0)


# --- Owner and outcome ------------------------------------------------------------------------------------------------
def test_a_manager_hands_over_an_own_lead_and_no_longer_sees_it(lead, rep, colleague, signed_in):
    answer = signed_in(rep).post(url(lead, "owner/"), {"owner": colleague.pk}, headers=HTMX)
    lead.refresh_from_db()
    assert (lead.owner, answer["HX-Redirect"]) == (colleague, "/leads/")
    row = lead.assignments.get()
    assert (row.how, row.by, row.from_owner) == (Assignment.How.HAND, rep, rep)


def test_nobody_hands_a_lead_to_whom_they_may_not(lead, rep, outsider, signed_in):
    answer = signed_in(rep).post(url(lead, "owner/"), {"owner": outsider.pk}, headers=HTMX)
    lead.refresh_from_db()
    assert (answer.status_code, lead.owner) == (422, rep)


def test_a_manager_who_sees_the_team_does_not_hand_over_a_colleagues_lead(colleague, team, signed_in):
    nosy = UserFactory(team=team, sees_team=True)
    lead = LeadFactory(owner=colleague)
    answer = signed_in(nosy).post(url(lead, "owner/"), {"owner": nosy.pk}, headers=HTMX)
    lead.refresh_from_db()
    assert (answer.status_code, lead.owner) == (403, colleague)


def test_a_rejection_needs_a_reason_and_a_reopening_brings_the_lead_back(lead, rep, signed_in):
    client, reason = signed_in(rep), Reason.objects.get(kind="lead")
    bare = client.post(url(lead, "rejection/"), {}, headers=HTMX)
    assert (bare.status_code, Lead.objects.get(pk=lead.pk).status) == (422, "open")
    wrong = client.post(url(lead, "rejection/"), {"reason": Reason.objects.get(kind="deal").pk}, headers=HTMX)
    assert wrong.status_code == 422
    client.post(url(lead, "rejection/"), {"reason": reason.pk, "note": "no money"}, headers=HTMX)
    lead.refresh_from_db()
    assert (lead.status, lead.rejected_reason) == ("rejected", reason)
    again = client.post(url(lead, "rejection/"), {"reason": reason.pk}, headers=HTMX)
    assert again.status_code == 409
    client.post(url(lead, "reopening/"), headers=HTMX)
    lead.refresh_from_db()
    assert (lead.status, lead.rejected_reason) == ("open", None)
    kinds = list(lead.interactions.order_by("id").values_list("kind", flat=True))
    assert kinds == [Kind.REJECTED, Kind.REOPENED]


@pytest.mark.parametrize("language, shown", [("ru", "12 345 678,90"), ("en", "12 345 678.90")])
def test_a_long_sum_is_shown_with_its_thousands_apart_and_read_back(language, shown):
    field = SumField()
    with override(language):
        assert field.prepare_value(Decimal("12345678.90")).replace("\N{NO-BREAK SPACE}", " ") == shown
        assert field.clean(field.prepare_value(Decimal("12345678.90"))) == Decimal("12345678.90")
        assert field.prepare_value(Decimal("500.00")) == "500"
