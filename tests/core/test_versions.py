"""ADM-07: two people with one form open; the second to save is told, keeps what was typed, and may save all the same."""

import re
import threading

import pytest
from django.contrib import admin as django_admin
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from crm.core.admin_base import Versioned
from crm.core.models import Calendar, Holiday, Pipeline, Reason, Stage, StageEdge, User
from leads.models import Source, Template
from leads.services import sources
from nurturing.models import Sequence, Step
from tests.factories import SourceFactory

pytestmark = pytest.mark.django_db
TOKEN = re.compile(r'name="(opened_(?:as|page))"[^>]*value="([^"]+)"')


@pytest.fixture
def boss(db):
    return User.objects.create_user(
        username="boss", first_name="Вера", last_name="Главная", role="admin", language="ru"
    )


def token(page):
    """{name: value} of what the page carries."""
    (found,) = set(TOKEN.findall(page.content.decode()))
    return dict([found])


def words(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.content.decode()))


def conflict(client, url, mine, theirs, other):
    """My page is opened, the other saves, I save: (the refusal, my save once more)."""
    carried = token(client.get(url))
    theirs_saved = other.post(url, theirs | token(other.get(url)))
    assert theirs_saved.status_code == 302, words(theirs_saved)[-500:]
    refused = client.post(url, mine | carried)
    return refused, lambda: client.post(url, mine | token(refused))


def test_every_page_of_settings_is_guarded():
    """Whatever is registered some day: what may be changed in the admin is guarded there."""
    bare = [
        model._meta.label
        for model, page in django_admin.site._registry.items()
        if not isinstance(page, Versioned)
        and type(page).has_change_permission is django_admin.ModelAdmin.has_change_permission
    ]
    assert bare == []


# --- The admin ----------------------------------------------------------------------------------------------------------


def reason_of(name, position=1):
    return {"kind": "lead_rejected", "name": name, "position": position, "is_active": "on"}


def test_the_second_of_two_is_told_who_was_first_and_keeps_what_was_typed(admin, boss, signed_in):
    kind = Reason._meta.get_field("kind").choices[0][0]
    row = Reason.objects.create(kind=kind, name="Дорого", position=1)
    url, mine, theirs = f"/admin/core/reason/{row.pk}/change/", signed_in(admin), Client()
    theirs.force_login(boss)
    said = reason_of("Моё") | {"kind": kind}
    refused, again = conflict(mine, url, said, reason_of("Их", 2) | {"kind": kind}, theirs)
    row.refresh_from_db()
    assert (refused.status_code, row.name, row.position) == (409, "Их", 2)
    assert str(boss) in words(refused) and 'value="Моё"' in refused.content.decode()
    assert ": Их" in words(refused)
    assert again().status_code == 302
    row.refresh_from_db()
    assert row.name == "Моё"


def test_who_saves_alone_sees_nothing_of_it(admin, signed_in):
    kind = Reason._meta.get_field("kind").choices[0][0]
    row = Reason.objects.create(kind=kind, name="Дорого", position=1)
    url, client = f"/admin/core/reason/{row.pk}/change/", signed_in(admin)
    for name in ("Раз", "Два"):
        assert client.post(url, reason_of(name) | {"kind": kind, **token(client.get(url))}).status_code == 302
    wrong = client.post(url, reason_of("") | {"kind": kind, **token(client.get(url))})
    assert (wrong.status_code, "opened_page" in wrong.content.decode()) == (200, True)
    assert (
        client.post(url, reason_of("Без версии") | {"kind": kind}).status_code == 302
    )  # a program's post carries none
    for forged in ("x", "1.x", "99999999999999999999.x", "٣.x"):
        answer = client.post(url, reason_of("Подделка") | {"kind": kind, "opened_page": forged})
        assert answer.status_code in {302, 409}


def inline(prefix, rows, initial):
    data = {f"{prefix}-TOTAL_FORMS": len(rows), f"{prefix}-INITIAL_FORMS": initial, f"{prefix}-MIN_NUM_FORMS": 0,
            f"{prefix}-MAX_NUM_FORMS": 1000}  # fmt: skip
    return data | {f"{prefix}-{n}-{name}": value for n, row in enumerate(rows) for name, value in row.items()}


def test_rows_below_a_page_count_too(admin, boss, signed_in):
    row = Calendar.objects.create(name="Офис")
    holiday = Holiday.objects.create(calendar=row, date="2026-12-31")
    url, mine, theirs = f"/admin/core/calendar/{row.pk}/change/", signed_in(admin), Client()
    theirs.force_login(boss)
    hours, days = re.findall(r'name="(\w+)-TOTAL_FORMS"', mine.get(url).content.decode())

    def said(day):
        kept = {"id": holiday.pk, "calendar": row.pk, "date": day, "name": ""}
        return {"name": "Офис"} | inline(hours, [], 0) | inline(days, [kept], 1)

    refused, again = conflict(mine, url, said("2027-12-31"), said("2026-12-30"), theirs)
    holiday.refresh_from_db()
    assert (refused.status_code, str(holiday.date)) == (409, "2026-12-30")
    assert again().status_code == 302
    holiday.refresh_from_db()
    assert str(holiday.date) == "2027-12-31"


def test_moves_between_stages_are_of_the_pipelines_page(admin, signed_in, funnels):
    row = Pipeline.objects.filter(kind="lead").first()
    url, client = f"/admin/core/pipeline/{row.pk}/change/", signed_in(admin)
    before = token(client.get(url))["opened_page"].partition(".")[2]
    edge = StageEdge.objects.filter(source__pipeline=row).first()
    StageEdge.objects.filter(pk=edge.pk).update(heads_only=not edge.heads_only)
    moved = token(client.get(url))["opened_page"].partition(".")[2]
    Stage.objects.filter(pipeline=row).update(norm_days=77)
    assert len({before, moved, token(client.get(url))["opened_page"].partition(".")[2]}) == 3


def test_cells_of_a_list_are_guarded_as_well(admin, boss, signed_in):
    kind = Reason._meta.get_field("kind").choices[0][0]
    Reason.objects.all().delete()
    row = Reason.objects.create(kind=kind, name="Дорого", position=1)
    url, mine, theirs = "/admin/core/reason/", signed_in(admin), Client()
    theirs.force_login(boss)

    def said(position):
        return inline("form", [{"id": row.pk, "position": position, "is_active": "on"}], 1) | {"_save": "1"}

    refused, again = conflict(mine, url, said(5), said(9), theirs)
    row.refresh_from_db()
    assert (refused.status_code, row.position) == (409, 9)
    assert 'value="5"' in refused.content.decode()
    assert again().status_code == 302
    row.refresh_from_db()
    assert row.position == 5


def test_a_template_in_the_admin_has_one_version_of_the_two(pair, boss):
    row = Template.objects.create(name="Письмо", subject="S", body="B")
    url = f"/admin/leads/template/{row.pk}/change/"
    said = {"name": "Письмо", "kind": "letter", "language": "ru", "body": "Текст", "is_active": "on"}
    refused, again = conflict(pair[0], url, said | {"subject": "Моё"}, said | {"subject": "Их"}, pair[1])
    row.refresh_from_db()
    assert (refused.status_code, row.subject, str(boss) in words(refused)) == (409, "Их", True)
    assert again().status_code == 302


def test_a_colleague_who_signs_in_meanwhile_is_no_change(admin, rep, signed_in):
    url, client = f"/admin/core/user/{rep.pk}/change/", signed_in(admin)
    before = token(client.get(url))["opened_page"].partition(".")[2]
    rep.set_password("written anew")
    rep.last_login = timezone.now()
    rep.save()
    assert token(client.get(url))["opened_page"].partition(".")[2] == before
    User.objects.filter(pk=rep.pk).update(phone="+79030000000")
    assert token(client.get(url))["opened_page"].partition(".")[2] != before


# --- Pages of settings --------------------------------------------------------------------------------------------------


@pytest.fixture
def pair(admin, boss, signed_in):
    theirs = Client()
    theirs.force_login(boss)
    return signed_in(admin), theirs


def test_a_source(pair, boss, funnels):
    row = SourceFactory(key="shop", adapter="web-form", settings={"traps": "off"})
    plain = {"name": "Сайт", "channel": "site", "origin": row.origin_id or "", "is_active": "on"}
    refused, again = conflict(
        pair[0],
        "/sources/shop/edit/",
        plain | {"origins": "mine.example"},
        plain | {"origins": "theirs.example"},
        pair[1],
    )
    row.refresh_from_db()
    assert (refused.status_code, row.settings["origins"]) == (409, ["theirs.example"])
    assert str(boss) in words(refused) and "mine.example" in refused.content.decode()
    assert again().status_code == 302
    row.refresh_from_db()
    assert row.settings["origins"] == ["mine.example"]


def test_a_secret_changed_meanwhile_is_not_put_back(pair, boss, funnels):
    row = SourceFactory(key="shop", adapter="web-form", secret="former")
    carried = token(pair[0].get("/sources/shop/edit/"))
    fresh = sources.rotate(row, by=boss).secret
    said = {"name": "Сайт", "channel": "site", "origin": row.origin_id or "", "is_active": "on", "secret": "former"}
    refused = pair[0].post("/sources/shop/edit/", said | carried)
    assert (refused.status_code, Source.objects.get().secret) == (409, fresh)
    assert f": {fresh}" not in words(refused)


def test_the_questions_and_the_mapping_of_a_source(pair, funnels):
    SourceFactory(key="shop", adapter="web-form")

    def questions(name):
        return inline("q", [], 0) | {"headline": name, "button": "", "thanks": ""}

    refused, again = conflict(pair[0], "/sources/shop/form/", questions("Моё"), questions("Их"), pair[1])
    assert (refused.status_code, Source.objects.get().settings["headline"]) == (409, "Их")
    assert again().status_code == 302
    assert Source.objects.get().settings["headline"] == "Моё"


def test_a_template(pair, boss):
    row = Template.objects.create(name="Письмо", subject="S", body="B")
    said = {"name": "Письмо", "kind": "letter", "language": "ru", "body": "Текст", "is_active": "on"}
    refused, again = conflict(
        pair[0], f"/templates/{row.pk}/", said | {"subject": "Моё"}, said | {"subject": "Их"}, pair[1]
    )
    row.refresh_from_db()
    assert (refused.status_code, row.subject, str(boss) in words(refused)) == (409, "Их", True)
    assert again().status_code == 302


def test_a_sequence_and_its_steps(pair, boss):
    row = Sequence.objects.create(name="Прогрев", is_active=False)
    condition = {"condition-TOTAL": 0}
    refused, again = conflict(
        pair[0], f"/sequences/{row.pk}/", condition | {"name": "Моё"}, condition | {"name": "Их"}, pair[1]
    )
    row.refresh_from_db()
    assert (refused.status_code, row.name, str(boss) in words(refused)) == (409, "Их", True)
    assert again().status_code == 302
    step = Step.objects.create(sequence=row, kind="wait", hours=24, position=1)
    url = f"/sequences/{row.pk}/steps/{step.pk}/"
    refused, again = conflict(pair[0], url, {"kind": "wait", "hours": 48}, {"kind": "wait", "hours": 72}, pair[1])
    step.refresh_from_db()
    assert (refused.status_code in {409, 422}, step.hours) == (True, 72)


@pytest.mark.django_db(transaction=True)
def test_two_saves_at_the_same_instant_are_one_and_a_refusal(admin, boss):
    """The row is locked before it is compared: the second waits for the first and sees what it has saved."""
    row = Template.objects.create(name="Письмо", subject="S", body="B")
    said = {"name": "Письмо", "kind": "letter", "language": "ru", "body": "Текст", "is_active": "on"}
    clients, answers, gate = [Client(), Client()], [], threading.Barrier(2)
    for client, user in zip(clients, (admin, boss), strict=True):
        client.force_login(user)
    carried = [token(client.get(f"/templates/{row.pk}/")) for client in clients]

    def save(number):
        gate.wait()
        data = said | {"subject": f"S{number}"} | carried[number]
        answers.append((clients[number].post(f"/templates/{row.pk}/", data).status_code, f"S{number}"))
        connection.close()

    threads = [threading.Thread(target=save, args=[number]) for number in (0, 1)]
    with transaction.atomic():  # both wait at the row
        Template.objects.select_for_update().get()
        for thread in threads:
            thread.start()
        threads[0].join(0.5)
    for thread in threads:
        thread.join()
    assert sorted(status for status, _subject in answers) == [302, 409]
    row.refresh_from_db()
    assert (302, row.subject) in answers
