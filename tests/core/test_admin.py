"""Pages of the settings against forms that no page of theirs would send."""

import pytest

from crm.core.models import Calendar, Pipeline, Skill, User
from deals.models import Product
from leads.models import Extension, Origin
from tests.factories import CalendarFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("key", ["x", "a\0b", "-1", "9" * 30, "(a+)+$", "١x"])
@pytest.mark.parametrize(("page", "field"), [("origin", "same_as"), ("extension", "user")])
def test_a_key_that_is_none_is_refused_in_the_form(page, field, key, admin, signed_in):
    answer = signed_in(admin).post(f"/admin/leads/{page}/add/", {"name": "x", "number": "1", field: key})
    assert (answer.status_code, list(answer.context["adminform"].form.errors).count(field)) == (200, 1)
    assert (Origin.objects.filter(name="x").count(), Extension.objects.count()) == (0, 0)


def test_the_searched_field_keeps_who_was_chosen(admin, signed_in):
    origin = Origin.objects.create(name="Old")
    page = signed_in(admin).post("/admin/leads/origin/add/", {"name": "", "same_as": origin.pk}).content.decode()
    assert f'<option value="{origin.pk}" selected>Old' in page


def test_a_product_has_no_price_below_nothing(admin, signed_in):
    client = signed_in(admin)
    said = {"name": "x", "unit": "pc", "is_active": "on"}
    assert "price" in client.post("/admin/deals/product/add/", said | {"price": "-1"}).context["adminform"].form.errors
    assert client.post("/admin/deals/product/add/", said | {"price": "0"}).status_code == 302
    assert list(Product.objects.values_list("name", "price")) == [("x", 0)]


def calendar_page(client, *calendars, **data):
    """The page that asks whether to delete one calendar, or several."""
    if len(calendars) == 1:
        return client.post(f"/admin/core/calendar/{calendars[0].pk}/delete/", data)
    keys = [calendar.pk for calendar in calendars]
    return client.post("/admin/core/calendar/", {"action": "delete_selected", "_selected_action": keys, **data})


def test_before_a_calendar_is_deleted_it_is_said_who_works_by_it(admin, signed_in):
    client, default = signed_in(admin), CalendarFactory(is_default=True)
    night, spare = CalendarFactory(name="Night"), CalendarFactory(name="Spare")
    people = [UserFactory(calendar=night, first_name=f"A{n:02d}", last_name="B") for n in range(12)]
    UserFactory(calendar=night, is_active=False)
    page = calendar_page(client, night).content.decode()
    assert "12 people work by “Night”: A00 B, " in page and "and 2 more." in page
    assert f"Afterwards they will work by “{default}”, the default." in page
    page = calendar_page(client, night, spare).content.decode()
    assert "12 people work by “Night”" in page and "Nobody works by “Spare”." in page
    page = calendar_page(client, spare).content.decode()
    assert "Nobody works by “Spare”." in page and "Afterwards" not in page
    Calendar.objects.update(is_default=False)
    assert "they will count as at work at every hour" in calendar_page(client, night).content.decode()
    User.objects.filter(pk=admin.pk).update(language="ru")
    User.objects.filter(pk__in=[user.pk for user in people[1:]]).update(calendar=None)
    assert "По календарю «Night» работает 1 человек: A00 B." in calendar_page(client, night).content.decode()
    calendar_page(client, night, post="yes")
    assert not User.objects.filter(calendar=night).exists() and not Calendar.objects.filter(pk=night.pk).exists()


def test_neither_the_default_nor_the_last_calendar_is_deleted(admin, signed_in):
    client, default = signed_in(admin), CalendarFactory(is_default=True)
    night = CalendarFactory(name="Night")
    for chosen in ([default], [default, night]):
        assert "is the default" in calendar_page(client, *chosen, post="yes").content.decode()
    Calendar.objects.update(is_default=False)
    assert "at work at every hour" in calendar_page(client, default, night, post="yes").content.decode()
    assert Calendar.objects.count() == 2


def test_making_a_calendar_the_default_takes_that_from_the_other(admin, signed_in):
    night, _other = CalendarFactory(name="Night"), CalendarFactory(is_default=True)
    rows = {f"{name}-{what}": 0 for name in ("hours", "holidays") for what in ("TOTAL_FORMS", "INITIAL_FORMS")}
    said = rows | {"name": "Night", "is_default": "on"}
    night.hours.all().delete()
    assert signed_in(admin).post(f"/admin/core/calendar/{night.pk}/change/", said).status_code == 302
    assert list(Calendar.objects.filter(is_default=True)) == [night]


def test_making_a_pipeline_the_default_takes_that_from_the_other_of_its_kind(admin, signed_in):
    new = {"kind": "deal", "name": "Wholesale", "position": 1, "is_default": "on", "is_active": "on"}
    rows = {f"stages-{what}": 0 for what in ("TOTAL_FORMS", "INITIAL_FORMS")}
    leads, _deals = (Pipeline.objects.create(kind=kind, name=kind, is_default=True) for kind in ("lead", "deal"))
    assert signed_in(admin).post("/admin/core/pipeline/add/", new | rows).status_code == 302
    assert set(Pipeline.objects.filter(is_default=True)) == {leads, Pipeline.objects.get(name="Wholesale")}


def test_a_skill_that_people_have_goes_without_a_word_of_joining_rows(signed_in, admin, rep):
    skill = Skill.objects.create(name="Немецкий")
    rep.skills.add(skill)
    client = signed_in(admin)
    page = client.get(f"/admin/core/skill/{skill.pk}/delete/").content.decode()
    assert "User_skills" not in page and "user-skill" not in page
    client.post(f"/admin/core/skill/{skill.pk}/delete/", {"post": "yes"})
    assert not Skill.objects.exists() and not rep.skills.exists()
