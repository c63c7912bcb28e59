"""One timeline: paging by keyset, groups, search, the client's whole life, and each kind in words."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from crm.core.models import Stage
from leads import history, story
from leads.models import Interaction, Kind, Message
from leads.services import cards
from leads.services.funnel import move_stage
from leads.services.ownership import assign
from leads.services.timeline import record
from tests.factories import LeadFactory, UserFactory

HTMX = {"HX-Request": "true"}
pytestmark = pytest.mark.django_db


@pytest.fixture
def lead(rep):
    return LeadFactory(owner=rep)


def notes(lead, number, at=None, prefix="n"):
    start = at or timezone.now()
    Interaction.objects.bulk_create(
        Interaction(lead=lead, person=lead.person, kind=Kind.NOTE, text=f"{prefix}{n:05d}", at=start)
        for n in range(number)
    )


def texts(answer):
    return re.findall(r'timeline-text">([^<]*)<', answer.content.decode())


def next_of(answer):
    found = re.search(r'id="timeline-pager">(?:<a[^>]*href="([^"]*)")?', answer.content.decode())
    return found[1].replace("&amp;", "&") if found and found[1] else ""


def heads(lead, language="en"):
    with translation.override(language):
        page = history.page(history.of_lead(lead))
        return [entry.head for entry in story.tell(page.rows, page.names)]


def test_rows_of_one_instant_are_paged_without_a_gap_or_a_double(lead, rep, signed_in):
    notes(lead, 95, at=datetime(2026, 3, 1, 12, tzinfo=UTC))
    client, seen, address = signed_in(rep), [], f"/leads/{lead.pk}/timeline/"
    while address:
        answer = client.get(address, headers=HTMX)
        seen += texts(answer)
        address = next_of(answer)
    assert seen == [f"n{n:05d}" for n in reversed(range(95))]


def test_a_page_of_ten_thousand_rows_is_read_by_index_in_a_fixed_number_of_queries(lead, rep, signed_in):
    notes(lead, 10_000)
    client = signed_in(rep)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        answer = client.get(f"/leads/{lead.pk}/timeline/", headers=HTMX)
    assert len(texts(answer)) == history.PAGE
    assert len(queries) <= 5
    with connection.cursor() as cursor:
        cursor.execute("analyze leads_interaction")
        sql, params = history.of_lead(lead).order_by("-at", "-pk")[:41].query.sql_with_params()
        cursor.execute(f"explain {sql}", params)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "leads_interaction_lead" in plan and "Seq Scan" not in plan and "Sort" not in plan
    page = history.page(history.of_lead(lead), size=5_000)
    with CaptureQueriesContext(connection) as queries:
        page = history.page(history.of_lead(lead), after=page.after)
    assert [row.text for row in page.rows[:2]] == ["n04999", "n04998"]
    with connection.cursor() as cursor:
        cursor.execute(f"explain {queries[0]['sql']}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    scan = plan[plan.index("leads_interaction_lead") :].split("\n")[1]
    assert re.search(r"Index Cond: \(\(lead_id = \d+\) AND \(ROW\(at, id\) < ROW\(", scan)
    assert "Seq Scan on leads_interaction" not in plan and "Sort" not in plan and "Filter" not in plan


@pytest.mark.parametrize(
    "after", ["x", "~", "2026-01-01~1", "2026-01-01T00:00:00+00:00~-1", "2026-13-01T00:00:00Z~1", "~" * 500]
)
def test_an_address_that_no_page_gave_out_is_400(lead, rep, signed_in, after):
    answer = signed_in(rep).get(f"/leads/{lead.pk}/timeline/", {"after": after}, headers=HTMX)
    assert answer.status_code == 400


def test_groups_and_search_narrow_the_history(lead, rep, signed_in):
    cards.note(lead, by=rep, text="Скидка обещана")
    cards.log_call(lead, by=rep, result="reached", text="про скидку 5%")
    cards.replied(lead, by=rep, text="спасибо")
    record(lead, Kind.PAGE_VIEW, url="https://shop.test/roof", title="Roofs")
    client = signed_in(rep)

    def found(**query):
        return texts(client.get(f"/leads/{lead.pk}/timeline/", query, headers=HTMX))

    assert found(q="скидк") == ["про скидку 5%", "Скидка обещана"]
    assert found(group="notes") == ["Скидка обещана"]
    assert found(group="calls", q="СКИДК") == ["про скидку 5%"]
    assert found(group="letters") == ["спасибо"]
    assert found(q="%") == ["про скидку 5%"]
    assert found(q="_") == []
    assert found(q="\\") == []
    assert found(q="a" * 5000) == []
    assert found(q="x\x00y") == []
    assert len(found(group="no such group")) == 3


def test_a_letter_is_found_by_its_subject_and_text(lead, rep, signed_in):
    message = Message.objects.create(
        kind="letter",
        lead=lead,
        person=lead.person,
        sender="a@b.test",
        to=lead.email,
        subject="Offer",
        text="hidden words",
    )
    record(lead, Kind.EMAIL_OUT, by=rep, text="Offer", message=message)
    client = signed_in(rep)
    pages = [
        client.get(f"/leads/{lead.pk}/timeline/", {"q": q}, headers=HTMX).content.decode()
        for q in ("offer", "HIDDEN", "zzz")
    ]
    assert [page.count("timeline-item") for page in pages] == [1, 1, 0]


def test_a_letter_is_called_sent_only_when_it_is(lead, rep):
    message = Message.objects.create(
        kind="letter", lead=lead, sender="a@b.test", to=lead.email, subject="Offer", text="-", state="skipped",
        reason="opted_out",
    )  # fmt: skip
    row = record(lead, Kind.EMAIL_OUT, by=rep, message=message)
    skipped = story.tell([row])[0]
    message.state = "sent"
    assert (skipped.head, skipped.badge, story.tell([row])[0].head) == (
        "Письмо: Offer",
        "не отправлено",
        "Письмо отправлено: Offer",
    )
    assert skipped.pairs == [("Причина", "адрес отписан от писем")]


def test_the_clients_whole_life_leaves_out_the_leads_of_colleagues(lead, rep, colleague, head, signed_in):
    mine, theirs = lead, LeadFactory(person=lead.person, owner=colleague, phone="", email="")
    cards.note(mine, by=rep, text="mine")
    cards.note(theirs, by=colleague, text="theirs")
    record(lead.person, Kind.NOTE, text="of the person")
    whole = {"scope": "person"}
    seen = {
        user.username: set(texts(signed_in(user).get(f"/leads/{mine.pk}/timeline/", whole, headers=HTMX)))
        for user in (rep, head)
    }
    assert seen == {"rep": {"mine", "of the person"}, "head": {"mine", "theirs", "of the person"}}
    assert signed_in(colleague).get(f"/leads/{mine.pk}/timeline/", whole, headers=HTMX).status_code == 404


def test_each_thing_that_happens_reads_as_words_in_both_languages(lead, rep, colleague):
    move_stage(lead, Stage.objects.get(pipeline=lead.pipeline, name="Contacted"), by=rep)
    cards.log_call(lead, by=rep, result="no_answer")
    cards.edit(lead, {"city": "Казань"}, by=rep)
    assign(lead, colleague, how="hand", by=rep)
    record(lead, Kind.BAND_CHANGED, score=80, **{"from": "warm", "to": "hot"})
    record(lead, Kind.QUALIFIED, score=80, **{"from": 0, "to": 1})
    assert heads(lead) == [
        "Qualification: MQL", "Readiness: warm → hot", "Owner: Анна Репина → Анна Коллегина", "Fields changed", "Call",
        "Stage: New → Contacted",
    ]  # fmt: skip


def test_page_views_in_a_row_become_one_entry(lead, rep):
    for number in range(3):
        record(lead, Kind.PAGE_VIEW, url=f"/p{number}", title=f"Page {number}")
    cards.note(lead, by=rep, text="x")
    record(lead, Kind.PAGE_VIEW, url="/last", title="Last")
    assert heads(lead) == ["Page view", "Note", "3 pages seen on the site"]


def test_every_kind_is_drawn_whatever_its_details_hold(lead, rep, signed_in):
    for kind in Kind:
        for details in (
            {},
            {"from": None, "to": None},
            {"fields": {"x": 1}, "due": "never", "conflicts": {"city": "Y"}},
        ):
            record(lead, kind, **details)
    for language in ("ru", "en"):
        rep.language = language
        rep.save()
        answer = signed_in(rep).get(f"/leads/{lead.pk}/timeline/", headers=HTMX)
        assert answer.status_code == 200
        assert answer.content.decode().count('class="timeline-item"') == history.PAGE


def test_twenty_rows_cost_no_more_queries_than_ten(lead, rep, signed_in):
    client, counts = signed_in(rep), []
    for _round in range(2):
        for _number in range(10):
            assign(lead, UserFactory(team=rep.team), how="hand", by=rep)
        assign(lead, rep, how="hand", by=rep)
        with CaptureQueriesContext(connection) as queries:
            client.get(f"/leads/{lead.pk}/timeline/", headers=HTMX)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_the_future_and_the_past_stand_in_order(lead):
    now = timezone.now()
    for hours in (-1, 1, 0):
        record(lead, Kind.NOTE, at=now + timedelta(hours=hours), text=str(hours))
    assert [row.text for row in history.page(history.of_lead(lead)).rows] == ["1", "0", "-1"]


def test_a_kept_value_is_said_as_people_read_it():
    with translation.override("en"):
        said = {name: story.said(name, value) for name, value in {
            "budget": "98765433.00", "phone": "+79161234567", "decision_date": "2025-12-20", "company_size": 1200,
            "contacts": "+79161234567, anna@example.com", "city": "Kazan", "need": "",
        }.items()}  # fmt: skip
    assert said == {
        "budget": "₽98,765,433", "phone": "+7\N{NO-BREAK SPACE}916\N{NO-BREAK SPACE}123-45-67", "decision_date": "Dec 20, 2025", "company_size": "1,200",
        "contacts": "+7\N{NO-BREAK SPACE}916\N{NO-BREAK SPACE}123-45-67, anna@example.com", "city": "Kazan", "need": "",
    }  # fmt: skip
