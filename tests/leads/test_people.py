"""Clients and companies: who sees them, their contacts, their fields, the lists."""

from datetime import timedelta

import pytest
from django.utils import timezone

from leads.models import Company, Identity, Kind, Person
from leads.services import people
from tests.factories import DealFactory, LeadFactory, PersonFactory

HTMX = {"HX-Request": "true"}
pytestmark = pytest.mark.django_db


def names(answer, key="people"):
    return {row.name for row in answer.context[key]}


@pytest.fixture
def world(rep, colleague, outsider):
    owners = {"mine": rep, "colleague's": colleague, "other team's": outsider, "nobody's": None}
    leads = {name: LeadFactory(owner=owner, person=PersonFactory(name=name)) for name, owner in owners.items()}
    for name, lead in leads.items():
        lead.company = Company.objects.create(name=f"{name} company", name_key=name)
        lead.save(update_fields=["company"])
    return leads


def test_each_character_finds_exactly_the_clients_of_visible_leads(
    world, rep, colleague, head, admin, outsider, marketer, signed_in
):
    everybody = set(world)
    users = (rep, colleague, head, admin, outsider, marketer)
    found = {user.username: names(signed_in(user).get("/people/")) for user in users}
    assert found == {
        "rep": {"mine"}, "colleague": {"colleague's"}, "head": {"mine", "colleague's", "nobody's"},
        "admin": everybody, "outsider": {"other team's"}, "marketer": everybody,
    }  # fmt: skip
    firms = {user.username: names(signed_in(user).get("/companies/"), "companies") for user in users}
    assert firms == {user: {f"{name} company" for name in seen} for user, seen in found.items()}


def test_whose_deal_it_is_sees_the_client_without_a_lead_of_theirs(world, rep, outsider, signed_in):
    theirs = world["other team's"]
    client = theirs.person
    DealFactory(owner=rep, person=client, company=theirs.company)
    assert names(signed_in(rep).get("/people/")) == {"mine", "other team's"}
    page = signed_in(rep).get(f"/people/{client.pk}/")
    assert page.status_code == 200
    assert f"/leads/{theirs.pk}/" not in page.content.decode()
    assert signed_in(rep).get(f"/companies/{theirs.company_id}/").status_code == 200


def test_a_stranger_neither_opens_nor_changes_a_client(world, rep, outsider, marketer, signed_in):
    lead = world["mine"]
    contact = lead.person.identities.get(kind="phone")
    before = Person.objects.values().get(pk=lead.person_id)
    for user in (outsider, marketer):
        client = signed_in(user)
        posts = {f"/people/{lead.person_id}/edit/": {"name": "x"}, f"/companies/{lead.company_id}/edit/": {"name": "x"},
                 f"/people/{lead.person_id}/contacts/": {"kind": "email", "value": "x@x.test"},
                 f"/people/{lead.person_id}/contacts/{contact.pk}/": {}}  # fmt: skip
        assert {client.post(address, form).status_code for address, form in posts.items()} == {404}
    assert signed_in(outsider).get(f"/people/{lead.person_id}/").status_code == 404
    assert signed_in(outsider).get(f"/companies/{lead.company_id}/").status_code == 404
    assert Person.objects.values().get(pk=lead.person_id) == before
    assert lead.person.identities.count() == 2


def test_the_clients_card_shows_the_enquiries_that_are_visible_and_no_others(rep, colleague, head, signed_in):
    person = PersonFactory(name="Ольга")
    mine = LeadFactory(person=person, owner=rep)
    theirs = LeadFactory(person=person, owner=colleague, phone="", email="")
    seen = {
        user.username: {lead.pk for lead in signed_in(user).get(f"/people/{person.pk}/").context["leads"]}
        for user in (rep, colleague, head)
    }
    assert seen == {"rep": {mine.pk}, "colleague": {theirs.pk}, "head": {mine.pk, theirs.pk}}


def test_fields_of_the_client_are_edited_and_recorded(rep, signed_in):
    lead = LeadFactory(owner=rep)
    form = {
        "name": "  анна   ПЕТРОВА ",
        "birthday": "1990-05-17",
        "sex": "f",
        "company_name": "ООО Ромашка",
        "city": "",
    }
    answer = signed_in(rep).post(f"/people/{lead.person_id}/edit/", form, headers=HTMX)
    person = Person.objects.get(pk=lead.person_id)
    assert (answer.status_code, answer["HX-Redirect"]) == (200, f"/people/{person.pk}/")
    assert (person.company.name, str(person.birthday), person.sex) == ("ООО Ромашка", "1990-05-17", "f")
    fields = person.interactions.get(kind=Kind.EDITED).details["fields"]
    assert set(fields) == {"name", "company", "birthday", "sex"}


@pytest.mark.parametrize(
    "form",
    [{"birthday": "2999-01-01"}, {"birthday": "1800-01-01"}, {"birthday": "x"}, {"sex": "q"}, {"name": "x" * 201}],
)
def test_what_cannot_be_of_a_client_is_422(rep, signed_in, form):
    lead = LeadFactory(owner=rep)
    before = Person.objects.values().get(pk=lead.person_id)
    answer = signed_in(rep).post(f"/people/{lead.person_id}/edit/", {"name": "A"} | form, headers=HTMX)
    assert (answer.status_code, Person.objects.values().get(pk=lead.person_id)) == (422, before)


def test_a_contact_is_normalised_and_belongs_to_one_client(rep, signed_in):
    lead, other = LeadFactory(owner=rep), LeadFactory(owner=rep)
    client, address = signed_in(rep), f"/people/{lead.person_id}/contacts/"
    client.post(address, {"kind": "phone", "value": "8 912 000-11-22"}, headers=HTMX)
    taken = client.post(address, {"kind": "email", "value": other.email.upper()}, headers=HTMX)
    wrong = client.post(address, {"kind": "phone", "value": "12"}, headers=HTMX)
    assert (taken.status_code, wrong.status_code) == (422, 422)
    values = set(lead.person.identities.values_list("value", flat=True))
    assert values == {lead.phone, lead.email, "+79120001122"}


def test_a_contact_on_a_lead_is_not_forgotten_and_a_spare_one_is(rep, signed_in):
    lead = LeadFactory(owner=rep)
    spare = people.add_contact(lead.person, "phone", "+79120001122", by=rep)
    used = lead.person.identities.get(kind="phone", value=lead.phone)
    client = signed_in(rep)
    for row in (spare, used):
        client.post(f"/people/{lead.person_id}/contacts/{row.pk}/")
    assert set(lead.person.identities.values_list("value", flat=True)) == {lead.phone, lead.email}
    assert not Identity.objects.filter(pk=spare.pk).exists()


def test_clients_are_found_by_name_phone_tail_e_mail_and_company(rep, colleague, signed_in):
    LeadFactory(owner=rep, person=PersonFactory(name="Пётр Ёжиков"), phone="+79161234567", company_name="Ромашка")
    LeadFactory(owner=rep, person=PersonFactory(name="Другой"))
    LeadFactory(owner=colleague, person=PersonFactory(name="Пётр Чужой"), phone="+79160004567")
    client = signed_in(rep)
    queries = ("петр", "ЕЖИКОВ", "4567", "8 916 123-45-67", "ромаш")
    assert [names(client.get("/people/", {"q": q})) for q in queries] == [{"Пётр Ёжиков"}] * len(queries)
    assert names(client.get("/people/", {"q": "%"})) == set()
    assert client.get("/people/", {"after": "x"}).status_code == 400


def test_the_list_of_clients_is_paged_by_key(rep, signed_in):
    for number in range(60):
        LeadFactory(owner=rep, person=PersonFactory(name=f"p{number}"))
    client = signed_in(rep)
    first = client.get("/people/")
    second = client.get(first.context["next_url"])
    assert (len(first.context["people"]), len(second.context["people"])) == (50, 10)
    assert len(names(first) | names(second)) == 60


def test_a_client_without_a_name_has_pages_like_any_other(rep, signed_in):
    lead = LeadFactory(owner=rep, name="", person=PersonFactory(name=""))
    other = LeadFactory(owner=rep, name="", person=PersonFactory(name=""))
    client, pk = signed_in(rep), lead.person_id
    pages = ["/people/", f"/people/{pk}/", f"/people/{pk}/edit/", f"/people/{pk}/contacts/",
             f"/people/{pk}/merge/", f"/people/{pk}/merge/{other.person_id}/", f"/leads/{lead.pk}/"]  # fmt: skip
    assert [client.get(page).status_code for page in pages] == [200] * len(pages)
    assert "Unnamed" in client.get("/people/").content.decode()


def test_a_company_keeps_one_card_a_name(rep, signed_in):
    lead = LeadFactory(owner=rep, company=Company.objects.create(name="ООО Ромашка", name_key="ромашка"))
    Company.objects.create(name="Василёк", name_key="василек")
    client, address = signed_in(rep), f"/companies/{lead.company_id}/edit/"
    taken = client.post(address, {"name": "ООО «Василёк»"}, headers=HTMX)
    wrong = client.post(address, {"name": "Роза", "inn": "12"}, headers=HTMX)
    good = client.post(address, {"name": "АО Роза", "inn": "7707083893"}, headers=HTMX)
    assert (taken.status_code, wrong.status_code, good.status_code) == (422, 422, 200)
    assert Company.objects.values_list("name", "inn").get(pk=lead.company_id) == ("АО Роза", "7707083893")


def test_the_list_stands_newest_first_with_a_contact_of_each(rep, signed_in, monkeypatch):
    monkeypatch.setattr("leads.views.people.PAGE", 2)
    ages = {PersonFactory(name=f"after {days} days"): days for days in (3, 1, 2)}
    for person, days in ages.items():
        LeadFactory(owner=rep, person=person)
        Person.objects.filter(pk=person.pk).update(created_at=timezone.now() - timedelta(days=days))
    first = signed_in(rep).get("/people/")
    second = signed_in(rep).get(first.context["next_url"])
    shown = [*first.context["people"], *second.context["people"]]
    assert [person.name for person in shown] == ["after 1 days", "after 2 days", "after 3 days"]
    assert [person.phone for person in shown] == [
        person.identities.filter(kind="phone").order_by("pk").first().value for person in shown
    ]
    assert signed_in(rep).get("/people/?after=5").status_code == 400
