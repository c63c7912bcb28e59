"""The hosted form page: errors before thanks, consent, traps for robots, marks carried along."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm.core.models import Notice, Organisation
from leads.capture import traps
from leads.models import Consent, ConsentText, Lead, Submission
from leads.services import judging, sources, watch
from leads.services.ledger import ledger
from tests.leads.capture.conftest import make_source


@pytest.fixture
def token(source):
    return traps.issue(source, timezone.now() - timedelta(seconds=30))


def _hidden(html, name):
    return re.search(rf'name="{name}"[^>]*value="([^"]*)"', html)[1]


def test_the_page_carries_the_marks_of_its_address_and_is_framed_nowhere(source, client):
    response = client.get("/f/site/?utm_source=vk&gclid=1&evil=2")
    html = response.content.decode()
    assert (_hidden(html, "utm_source"), _hidden(html, "gclid"), "evil" in html) == ("vk", "1", False)
    assert (response["X-Frame-Options"], response["Cache-Control"]) == ("DENY", "no-store")
    assert traps.shown_at(_hidden(html, "form_token").replace("&#x3D;", "="), source) is not None


def test_a_filled_form_is_thanked_and_becomes_a_lead_with_its_consent(source, client, judged, token):
    source.consent = ConsentText.objects.create(text="Полный текст согласия")
    source.save()
    assert "Полный текст согласия" in client.get("/f/site/").content.decode()
    sent = client.post("/f/site/", {"name": "Иван", "phone": "89990000001", "message": "Окно", "utm_source": "vk",
                                    "consent": "on", "form_token": token})  # fmt: skip
    assert (sent.status_code, sent["Location"]) == (303, "/f/site/thanks/")
    assert client.get(sent["Location"]).status_code == 200
    judged()
    lead = Lead.objects.get()
    assert (lead.name, lead.phone, lead.need, lead.first_origin.name, lead.custom) == (
        "Иван", "+79990000001", "Окно", "vk", {},
    )  # fmt: skip
    assert list(Consent.objects.values_list("text", "person")) == [(source.consent_id, lead.person_id)]


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"name": "Иван"}, "phone"),
        ({"phone": "12"}, "phone"),
        ({"email": "a@b@c"}, "email"),
        ({"phone": "89990000001", "message": "x" * 20_001}, "message"),
        ({"phone": "89990000001"}, "consent"),
    ],
)
def test_errors_come_before_thanks_and_keep_what_was_typed(fields, wrong, source, client, token):
    source.consent = ConsentText.objects.create(text="Текст")
    source.save()
    agreed = {} if wrong == "consent" else {"consent": "on"}
    response = client.post("/f/site/", {**fields, **agreed, "form_token": token})
    assert response.status_code == 422
    assert list(response.context["form"].errors) == [wrong]
    html = response.content.decode()
    assert all(value[:100] in html for value in fields.values())
    assert _hidden(html, "form_token") == token
    assert Submission.objects.count() == 0


@pytest.mark.parametrize(
    ("age", "more", "state", "reason"),
    [
        (0.2, {}, "spam", "bot_suspect"),
        (25 * 3600, {}, "spam", "bot_suspect"),
        (None, {}, "spam", "bot_suspect"),
        (30, {"website_url": "http://x"}, "spam", "honeypot"),
        (30, {}, "lead", ""),
    ],
)
def test_robots_are_thanked_like_people_and_set_aside(age, more, state, reason, source, client, judged):
    with time_machine.travel(timezone.now() - timedelta(seconds=age or 0), tick=False):
        html = client.get("/f/site/").content.decode()
    held = {} if age is None else {"form_token": _hidden(html, "form_token")}
    response = client.post("/f/site/", {"phone": "89990000001", **held, **more})
    assert (response.status_code, response["Location"]) == (303, "/f/site/thanks/")
    judged()
    assert list(Submission.objects.values_list("state", "reason")) == [(state, reason)]
    assert Lead.objects.count() == (state == "lead")


def test_the_traps_stand_on_the_hosted_page_alone(source, client, judged):
    client.post("/capture/site/", {"phone": "89990000001", "website_url": "http://x"})
    judged()
    assert Submission.objects.get().state == "lead"


def test_a_token_of_another_source_or_a_forged_one_is_no_token(source, program):
    assert traps.shown_at(traps.issue(program, timezone.now()), source) is None
    assert traps.shown_at("x:y:z", source) is None


def test_a_double_click_is_one_receipt_and_an_edited_form_another(source, client, judged, token):
    data = f"phone=89990000001&form_token={token}"
    kind = "application/x-www-form-urlencoded"
    assert [client.post("/f/site/", data, content_type=kind).status_code for _n in range(2)] == [303, 303]
    assert client.post("/f/site/", data + "&name=Ivan", content_type=kind).status_code == 303
    judged()
    assert sorted(Submission.objects.values_list("state", flat=True)) == ["lead", "merged"]


def test_a_closed_or_unknown_form_says_so(source, program, client):
    assert [client.get(f"/f/{key}/").status_code for key in ("nobody", "program")] == [404, 404]
    source.is_active = False
    source.save()
    closed = client.get("/f/site/")
    assert (closed.status_code, "mailto:" in closed.content.decode()) == (410, False)
    Organisation.objects.update_or_create(pk=1, defaults={"from_email": "no-reply@firm.test"})
    assert "mailto:" not in client.get("/f/site/").content.decode()  # nobody reads there
    Organisation.objects.update(from_email="sales@firm.test")
    source.settings = {"origins": ["*.firm.test", "firm.test"]}
    source.save()
    told = client.get("/f/site/").content.decode()
    assert 'href="https://firm.test"' in told and 'href="mailto:sales@firm.test"' in told


def test_a_form_says_that_one_way_to_answer_is_enough(source, client):
    said = "At least one of these is needed, so that we can answer: "
    page = client.get("/f/site/", headers={"Accept-Language": "en"}).content.decode()
    assert f"{said}Phone, Email." in page
    source.settings = {"form": [{"field": "phone", "required": True}, {"field": "email"}]}
    source.save()
    assert said not in client.get("/f/site/", headers={"Accept-Language": "en"}).content.decode()


def test_many_posts_of_one_visitor_are_429_and_others_go_on(source, client, token):
    source.settings = {"per_minute": 2}
    source.save()
    codes = [client.post("/f/site/", {"phone": f"8999000000{n}", "form_token": token}).status_code for n in range(3)]
    assert codes == [303, 303, 429]
    assert client.post("/f/site/", {"phone": "89990000009"}, REMOTE_ADDR="10.0.0.9").status_code == 303


def test_more_than_a_form_takes_from_everywhere_is_kept_as_spam_and_told_once(source, program, client, judged, admin):
    """WF-31: a thousand addresses; nothing is lost, other forms go on, an administrator takes what was held."""
    watch._surges.clear()
    source.settings = {"form_per_minute": 3, "traps": "off"}
    source.save()
    make_source(key="other", settings={"traps": "off"})
    cost = []
    for number in range(6):
        with CaptureQueriesContext(connection) as queries:
            sent = client.post("/f/site/", {"phone": f"8999000000{number}"}, REMOTE_ADDR=f"10.0.0.{number}")
        assert (sent.status_code, sent["Location"]) == (303, "/f/site/thanks/")
        cost.append(len(queries))
    assert cost[4] <= cost[1]  # once the flood has been told of, what is held costs no more than what is taken
    client.post("/f/other/", {"phone": "89990000009"})
    client.post("/capture/site/", {"phone": "89990000008"})  # programs have a limit of their own
    judged()
    states = list(Submission.objects.order_by("pk").values_list("state", "reason"))
    assert states == [("lead", "")] * 3 + [("spam", "surge")] * 3 + [("lead", "")] * 2
    assert ledger()["received"] == 8 and ledger()["lead"] == 5 and ledger()["spam"] == 3
    told = Notice.objects.filter(kind="form_surge").values_list("user", "url")
    assert list(told) == [(admin.pk, "/receipts/?source=site&state=spam")]
    assert judging.replay_many(Submission.objects.filter(source=source), by=admin) == 3
    judged()
    assert set(Submission.objects.values_list("state", flat=True)) == {"lead"}


def test_the_limit_of_a_form_is_a_setting_with_sense(source, client, admin, signed_in):
    assert "form_per_minute" in str(signed_in(admin).get("/sources/site/edit/").content)
    for wrong in (0, "many", 10**9):
        with pytest.raises(ValidationError):
            sources.check_settings({"form_per_minute": wrong}, "web-form")


def test_the_form_shows_the_fields_that_the_source_asks_for(source, client):
    source.settings = {"fields": ["city", "budget"], "hide": ["message", "phone"]}
    source.save()
    names = [field.name for field in client.get("/f/site/").context["form"].visible()]
    assert names == ["name", "phone", "email", "city", "budget"]


def test_the_form_says_whose_it_is_once_somebody_has_said(source, client):
    assert b"plain-company" not in client.get("/f/site/").content
    Organisation.objects.update_or_create(pk=Organisation.get().pk, defaults={"name": "Окна <Север>"})
    assert "Окна &lt;Север&gt;" in client.get("/f/site/").content.decode()


def test_a_subscription_asks_for_an_address_and_no_phone(client, funnels):
    make_source(key="news", name="News", adapter="newsletter")
    form = client.get("/f/news/").context["form"]
    assert [(field.name, field.field.required) for field in form.visible()] == [("name", False), ("email", True)]
