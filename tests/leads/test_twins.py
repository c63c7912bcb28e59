"""Who may be the same is suggested and never merged by itself; signs of many; the erased are not made anew."""

import pytest
from django.utils import translation

from crm.core.jobs import drain
from crm.core.models import Organisation
from leads.identity import Known
from leads.models import Company, Identity, Lead, Merge, NotSame, Person, Submission, Tombstone
from leads.services import erasing, intake, merging, twins
from tests.factories import LeadFactory, SourceFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("one", "two", "alike"),
    [
        ("Иван Петров", "Петров Иван", True), ("Наталья Ким", "Наталия Ким", True), ("Алёна Белова", "Алена Белова", True),
        ("Иван Петров", "Пётр Иванов", False), ("Анна Смирнова", "Ольга Кузнецова", False), ("А. Смирнова", "Анна Смирнова", True), ("Анна", "Анна Смирнова", True),
    ],
)  # fmt: skip
def test_names_that_may_be_one(one, two, alike):
    assert twins.alike(one, two) is alike


def test_a_digit_off_and_a_like_name_at_one_company_are_suggested(rep, outsider, signed_in):
    company = Company.objects.create(name="Ромашка", name_key="ромашка")
    one = LeadFactory(owner=rep, phone="+79161234567", person__name="Наталья Ким", person__company=company)
    slip = LeadFactory(owner=rep, phone="+79161234576", person__name="Кто-то")
    like = LeadFactory(owner=rep, phone="+79280000001", person__name="Ким Наталия", person__company=company)
    LeadFactory(owner=rep, phone="+79990000002", person__name="Наталия Ким")  # of another company
    LeadFactory(owner=outsider, phone="+79161234568", person__name="Чужой")  # unseen
    assert [twin.person for twin in twins.of(one.person, rep)] == [slip.person, like.person]
    assert Person.objects.exclude(merged_into=None).count() == 0
    client = signed_in(rep)
    assert (
        "Ким Наталия" in client.get(f"/people/{one.person_id}/twins/", headers={"HX-Request": "true"}).content.decode()
    )
    client.post(f"/people/{one.person_id}/twins/{like.person_id}/")
    assert [twin.person for twin in twins.of(one.person, rep)] == [slip.person]
    assert [twin.person for twin in twins.of(like.person, rep)] == []
    assert NotSame.objects.count() == 1


def test_a_switchboard_and_a_role_mailbox_need_a_second_sign(funnels):
    Organisation.objects.update_or_create(pk=1, defaults={"shared_phones": "8 (495) 111-22-33"})
    source = SourceFactory()

    def ask(name, *signs):
        lead, state = intake.open_lead(fields={"name": name}, identities=signs, source=source)
        return lead.person_id, state

    office, board = Known("email", "info@romashka.ru"), Known("phone", "+74951112233")
    anna = ask("Анна", office, board)
    assert ask("Борис", office, board)[1] == "lead"
    assert ask("Анна", board) == (anna[0], "merged")
    assert ask("", office)[1] == "lead"
    boris = ask("Борис", board, Known("phone", "+79160000009"))
    assert ask("", Known("phone", "+79160000009")) == (boris[0], "merged")
    assert set(Identity.objects.filter(value__in=[office.value, board.value]).values_list("is_shared", flat=True)) == {
        True
    }


def test_the_erased_are_not_made_anew(rep, admin, client, funnels):
    source = SourceFactory(key="site")
    lead = LeadFactory(owner=rep, phone="+79161234567", email="anna@example.test", name="Анна")
    erasing.erase(lead.person, by=admin)
    lead.refresh_from_db()
    assert (lead.name, lead.phone, lead.email, lead.person.identities.count()) == ("", "", "", 0)
    assert Tombstone.objects.count() == 2
    assert not Tombstone.objects.filter(digest__contains="7916").exists()
    client.post("/capture/site/", {"name": "Анна", "phone": "8 916 123-45-67"})
    client.post("/capture/site/", {"name": "Олег", "phone": "8 916 123-45-68"})
    drain()
    assert list(Submission.objects.filter(source=source).order_by("id").values_list("state", "reason", "parsed__name")) == [
        ("rejected", "erased", None), ("lead", "", "Олег"),
    ]  # fmt: skip
    signs = [Known("phone", "+79161234567")]
    assert intake.open_lead(fields={}, identities=signs, source=source, by=rep)[1] == "lead"


# --- Pages ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def pair(rep):
    return (
        LeadFactory(owner=rep, name="Анна Смирнова", person__name="Анна Смирнова", phone="+79160000001", city="Москва"),
        LeadFactory(owner=rep, name="Аня", person__name="Аня", phone="+79165550002", city="Пермь"),
    )


def test_side_by_side_merge_search_redirect_and_undo(pair, rep, signed_in):
    one, other = pair
    client, address = signed_in(rep), f"/people/{one.person_id}/merge/{other.person_id}/"
    page = client.get(address).content.decode()
    assert 'name="lead.city"' in page and "Пермь" in page and "Москва" in page
    assert client.post(address, {"person.name": "own", "lead.city": "other"}).status_code == 302
    one.refresh_from_db()
    assert (one.city, one.name) == ("Пермь", "Анна Смирнова")
    assert client.get(f"/leads/{other.pk}/").headers["Location"] == f"/leads/{one.pk}/"
    assert client.get(f"/people/{other.person_id}/").headers["Location"] == f"/people/{one.person_id}/"
    for text in ("Аня", "79165550002", "+7 916 555-00-02"):
        list_page = client.get("/search/", {"q": text}, follow=True)
        for page in (list_page, client.get("/search/", {"q": text}, HTTP_HX_REQUEST="true")):
            found = page.content.decode()
            assert f"/leads/{one.pk}/" in found and f"/leads/{other.pk}/" not in found
    merge = Merge.objects.get()
    assert (
        f"/people/{one.person_id}/merges/{merge.pk}/undo/" in client.get(f"/people/{one.person_id}/").content.decode()
    )
    assert client.post(f"/people/{one.person_id}/merges/{merge.pk}/undo/").status_code == 302
    assert client.get(f"/leads/{other.pk}/").status_code == 200
    assert list(Lead.objects.order_by("id").values_list("status", "city", "merged_into")) == [
        ("open", "Москва", None), ("open", "Пермь", None),
    ]  # fmt: skip


def test_the_two_cards_are_told_in_the_readers_words(pair, rep):
    one, other = pair
    company = Company.objects.create(name="Ромашка", name_key="ромашка")
    Person.objects.filter(pk=one.person_id).update(sex="f", company=company, owner=rep)
    Lead.objects.filter(pk=other.pk).update(budget=5680000)
    with translation.override("ru"):
        found = merging.choices(*Person.objects.order_by("pk"))
        told = {choice.label: choice.shown for choice in found if choice.differs and not choice.of_lead}
        of_lead = {choice.label: choice.shown for choice in found if choice.differs and choice.of_lead}
    assert told == {
        "Имя": ["Анна Смирнова", "Аня"], "Компания": [company, None], "Пол": ["женский", ""],
        "Ответственный за клиента": [rep, None],
    }  # fmt: skip
    assert of_lead["Телефон"] == [
        "+7\N{NO-BREAK SPACE}916\N{NO-BREAK SPACE}000-00-01",
        "+7\N{NO-BREAK SPACE}916\N{NO-BREAK SPACE}555-00-02",
    ]
    assert of_lead["Бюджет"] == [None, "5\N{NO-BREAK SPACE}680\N{NO-BREAK SPACE}000\N{NO-BREAK SPACE}₽"]


def test_who_may_not_see_a_card_may_not_merge_it(pair, rep, outsider, marketer, head, signed_in):
    one, other = pair
    theirs = LeadFactory(owner=outsider)
    address = f"/people/{one.person_id}/merge/{other.person_id}/"
    for user in (outsider, marketer):
        assert signed_in(user).post(address).status_code == 404
    assert signed_in(rep).post(f"/people/{one.person_id}/merge/{theirs.person_id}/").status_code == 404
    assert Merge.objects.count() == 0
    Lead.objects.filter(pk=theirs.pk).update(person=other.person_id)  # a colleague's open lead of a client that is seen
    answer = signed_in(rep).post(address)
    assert (answer.status_code, Merge.objects.count()) == (409, 0)
    assert merging.choices(one.person, other.person)


def test_the_other_card_is_found_by_name_or_phone(pair, rep, signed_in):
    one, other = pair
    for text in ("Аня", "79165550002"):
        page = signed_in(rep).get(f"/people/{one.person_id}/merge/", {"q": text}).content.decode()
        assert f"/people/{one.person_id}/merge/{other.person_id}/" in page
    assert signed_in(rep).get(f"/people/{one.person_id}/merge/", {"q": "я"}).status_code == 200
