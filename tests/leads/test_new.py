"""A lead by hand: a phone is enough, nothing is made twice, a colleague's client stays the colleague's."""

import json

import pytest

from crm.core.models import Notice, Reason
from leads import identity
from leads.models import Interaction, Kind, Lead, Origin, Touch
from leads.services import manual
from leads.services.funnel import reject
from tests.factories import LeadFactory, make_funnels

pytestmark = pytest.mark.django_db
URL = "/leads/new/"
HTMX = {"HX-Request": "true", "HX-Target": "dialog"}


@pytest.fixture(autouse=True)
def stages(db):
    return make_funnels()


def test_a_phone_alone_makes_a_lead_of_ones_own(rep, signed_in):
    response = signed_in(rep).post(URL, {"phone": "8 (999) 123-45-67"}, headers=HTMX)
    lead = Lead.objects.get()
    assert response["HX-Redirect"] == f"/leads/{lead.pk}/"
    assert (lead.phone, lead.owner, lead.team, lead.source.key, lead.status) == (
        "+79991234567", rep, rep.team, "manual", "open",
    )  # fmt: skip
    kinds = list(Interaction.objects.order_by("id").values_list("kind", "by"))
    assert kinds == [(Kind.CAPTURED, rep.pk), (Kind.OWNER_CHANGED, rep.pk)]
    assert not Notice.objects.exists()


def test_all_fields_land_on_the_card(rep, signed_in):
    origin = Origin.objects.create(name="Выставка")
    data = {
        "phone": "+7 999 123-45-67", "name": "иван петров", "email": "IVAN@Example.test",
        "company_name": "ООО «Ромашка»", "need": "Окна", "origin": origin.pk,
    }  # fmt: skip
    signed_in(rep).post(URL, data)
    lead = Lead.objects.get()
    assert (lead.name, lead.email, lead.company_name, lead.need, lead.first_origin) == (
        "Иван Петров", "ivan@example.test", "ООО «Ромашка»", "Окна", origin,
    )  # fmt: skip
    assert Touch.objects.get().origin == origin


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "Give a phone or an email"),
        ({"name": "Иван"}, "Give a phone or an email"),
        ({"phone": "12"}, "This is no phone number"),
        ({"email": "no at sign", "phone": ""}, "This is not an email address"),
        ({"phone": "+79991234567", "name": "x" * 201}, "at most 200"),
        ({"phone": "+79991234567", "need": "nul\x00"}, "Null characters are not allowed"),
        ({"phone": "+79991234567", "origin": "99999"}, "Select a valid choice"),
    ],
)
def test_bad_input_is_422_with_everything_typed(data, message, rep, signed_in):
    response = signed_in(rep).post(URL, {"company_name": "Typed already"} | data, headers=HTMX)
    text = response.content.decode()
    assert response.status_code == 422
    assert message in text
    assert "Typed already" in text
    assert not Lead.objects.exists()


def test_ones_own_client_gets_the_enquiry_on_the_open_card(rep, signed_in):
    lead = LeadFactory(owner=rep, phone="+79991234567", need="Окна")
    response = signed_in(rep).post(URL, {"phone": "89991234567", "need": "И двери"}, headers=HTMX)
    assert response["HX-Redirect"] == f"/leads/{lead.pk}/"
    assert Lead.objects.count() == 1
    again = Interaction.objects.get(kind=Kind.RECAPTURED)
    assert (again.lead, again.by, again.text) == (lead, rep, "И двери")


def test_a_colleagues_client_is_named_by_the_colleague_alone_and_passed_on_when_asked(rep, colleague, signed_in):
    lead = LeadFactory(
        owner=colleague, phone="+79991234567", name="Тайный Клиент", email="secret@example.test", company_name="Секрет"
    )
    client = signed_in(rep)
    first = client.post(URL, {"phone": "89991234567", "need": "Окна"}, headers=HTMX)
    text = first.content.decode()
    assert first.status_code == 422
    assert f"already with {colleague}" in text
    for secret in ("Тайный", "secret@", "Секрет", f"/leads/{lead.pk}/"):
        assert secret not in text
    assert not Interaction.objects.filter(kind=Kind.RECAPTURED).exists()

    second = client.post(URL, {"phone": "89991234567", "need": "Окна", "insist": "1"}, headers=HTMX)
    assert second.status_code == 204
    assert f"Passed on: {colleague}" in json.loads(second["HX-Trigger"])["toast"]["text"]
    lead.refresh_from_db()
    assert (lead.owner, Lead.objects.count()) == (colleague, 1)
    assert list(Notice.objects.filter(kind="returned").values_list("user", "details__lead")) == [
        (colleague.pk, lead.pk)
    ]


def test_a_client_whose_lead_was_closed_starts_anew_with_who_wrote_it_down(rep, colleague, funnels, signed_in):
    old = LeadFactory(owner=colleague, phone="+79991234567", name="Пётр")
    reject(old, Reason.objects.get(kind="lead"), by=colleague)
    signed_in(rep).post(URL, {"phone": "89991234567"})
    new = Lead.objects.exclude(pk=old.pk).get()
    assert (new.owner, new.person, new.name) == (rep, old.person, "Пётр")


def test_heads_choose_the_owner_or_leave_it_to_the_rules(head, rep, outsider, signed_in):
    client = signed_in(head)
    client.post(URL, {"phone": "+79990000001", "owner": rep.pk})
    client.post(URL, {"phone": "+79990000002"})
    assert client.post(URL, {"phone": "+79990000003", "owner": outsider.pk}).status_code == 422
    assert dict(Lead.objects.values_list("phone", "owner")) == {"+79990000001": rep.pk, "+79990000002": None}
    assert list(Notice.objects.values_list("user", "kind")) == [(rep.pk, "assigned")]


def test_managers_cannot_choose_the_owner(rep, colleague, signed_in):
    signed_in(rep).post(URL, {"phone": "+79990000001", "owner": colleague.pk})
    assert Lead.objects.get().owner == rep


def test_marketers_make_no_leads(marketer, signed_in):
    client = signed_in(marketer)
    assert [client.get(URL).status_code, client.post(URL, {"phone": "+79990000001"}).status_code] == [403, 403]
    assert client.post("/leads/new/known/", {"phone": "+79990000001"}).status_code == 403
    assert not Lead.objects.exists()


def test_duplicates_are_shown_while_typing(rep, colleague, signed_in):
    own = LeadFactory(owner=rep, phone="+79991234567", email="", name="Иван Петров")
    LeadFactory(owner=colleague, phone="+79997654321", email="their@example.test", name="Чужой Клиент")
    LeadFactory(phone="+79990001122", email="", name="Ничей Клиент")
    client = signed_in(rep)

    def shown(**data):
        return client.post("/leads/new/known/", data, headers=HTMX).content.decode()

    assert f'href="/leads/{own.pk}/">Иван Петров' in shown(phone="8 999 123 45 67")
    assert f'href="/leads/{own.pk}/">Иван Петров' in shown(name="петров иван")
    theirs = shown(email="THEIR@example.test")
    assert f"Already with {colleague}." in theirs
    assert "Чужой" not in theirs
    assert "Already in the pool" in shown(phone="+79990001122")
    for nothing in (
        {"phone": "8 999 1"},
        {"name": "Чужой Клиент"},
        {"name": "Иван"},
        {"phone": "\x00", "email": "%"},
        {},
    ):
        assert "alert" not in shown(**nothing)


def test_known_names_each_person_once_by_the_open_lead(rep, funnels):
    old = LeadFactory(owner=rep, phone="+79991234567", email="a@example.test")
    reject(old, Reason.objects.get(kind="lead"), by=rep)
    new = LeadFactory(owner=rep, person=old.person, phone="+79991234567", email="a@example.test")
    found = manual.known(identity.known(phone_raw="89991234567", email_raw="a@example.test"), by=rep)
    assert [(who.lead, who.is_open) for who in found] == [(new, True)]
