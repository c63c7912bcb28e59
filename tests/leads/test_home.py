"""First pages: what each role sees, and one key to the next card."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm.core.models import Job
from leads.models import Lead, Origin, Source, Task
from leads.services import day, oversight
from tests.factories import LeadFactory, SourceFactory, SubmissionFactory

pytestmark = pytest.mark.django_db


def task(lead, due_at, user, title="Call"):
    return Task.objects.create(person=lead.person, lead=lead, title=title, due_at=due_at, assignee=user)


@pytest.fixture
def my(rep, outsider):
    """A day of the rep: two waiting, one overdue, one without a step; and an outsider's lead."""
    now = timezone.now()
    leads = {
        "warm": LeadFactory(name="Warm", owner=rep, band="warm", waiting_since=now - timedelta(hours=3)),
        "hot": LeadFactory(name="Hot", owner=rep, band="hot", waiting_since=now - timedelta(minutes=5)),
        "late": LeadFactory(name="Late", owner=rep, next_step_at=now - timedelta(hours=1)),
        "idle": LeadFactory(name="Idle", owner=rep),
        "theirs": LeadFactory(name="Theirs", owner=outsider, waiting_since=now),
    }
    task(leads["late"], now - timedelta(hours=1), rep, "Ring Late")
    task(leads["theirs"], now - timedelta(hours=1), outsider, "Ring Theirs")
    return leads


def opened(response):
    return re.findall(r'data-open id="[^"]+" href="[^"]+">([^<]+)<', response.content.decode())


def test_a_day_is_ordered_by_urgency(my, rep, signed_in):
    assert opened(signed_in(rep).get("/")) == ["Hot", "Warm", "Ring Late", "Idle"]


def test_the_next_card_walks_the_day_and_comes_round(my, rep, signed_in):
    client, seen, after = signed_in(rep), [], ""
    for _step in range(5):
        response = client.get("/day/next/", {"after": after})
        after = response.url.strip("/").rpartition("/")[2]
        seen.append(Lead.objects.get(pk=after).name)
    assert seen == ["Hot", "Warm", "Late", "Idle", "Hot"]
    assert client.get("/day/next/", {"after": "junk"}).url == f"/leads/{my['hot'].pk}/"


def test_the_last_card_leads_home(rep, signed_in):
    only = LeadFactory(owner=rep)
    assert signed_in(rep).get("/day/next/", {"after": only.pk}).url == "/"


def test_a_days_page_takes_at_most_10_queries(my, rep, signed_in, settings):
    settings.CONFIG_TTL = 60
    client = signed_in(rep)
    client.get("/")
    with CaptureQueriesContext(connection) as captured:
        client.get("/")
    assert len(captured) <= 10, [q["sql"][:80] for q in captured]


def test_an_empty_account_gets_first_steps_and_a_finished_day_its_due(rep, signed_in):
    client = signed_in(rep)
    assert "First steps" in client.get("/").content.decode()
    LeadFactory(owner=rep, next_step_at=timezone.now() + timedelta(days=3))
    assert "Everything is done" in client.get("/").content.decode()


def test_a_head_sees_people_the_pool_and_counts(my, head, rep, colleague, signed_in):
    LeadFactory(name="Nobodys", score=50)
    text = signed_in(head).get("/").content.decode()
    assert opened(signed_in(head).get("/")) == ["Nobodys"]
    row = re.search(
        rf'<tr data-row[^>]*><td class="cell-main"><a data-open href="/leads/\?owner={rep.pk}">.*?</tr>', text, re.S
    )[0]
    numbers = [int(n) for n in re.findall(r">(\d+)</(?:a|span|td)>", row)]
    assert numbers == [4, 2, 1, 1, 1]
    assert "Theirs" not in text
    assert opened(signed_in(head).get("/?view=mine")) == []


def test_the_numbers_of_a_team_open_exactly_their_rows(my, head, rep, signed_in):
    client = signed_in(head)
    for query, expected in [
        ("attention=waiting", {"Hot", "Warm"}),
        ("attention=overdue", {"Late"}),
        ("", {"Hot", "Warm", "Late", "Idle"}),
    ]:
        text = client.get(f"/leads/?owner={rep.pk}&{query}").content.decode()
        assert set(re.findall(r'data-open href="/leads/\d+/">([^<]+)<', text)) == expected


def test_an_empty_account_says_what_to_do_first(admin, rep, signed_in):
    first = 'id="begin-title"'
    assert first in signed_in(admin).get("/").content.decode()
    LeadFactory(owner=rep)
    assert first not in signed_in(admin).get("/").content.decode()


def test_an_administrator_sees_receipts_failures_and_silent_sources(admin, signed_in):
    source = SourceFactory(name="Quiet form", created_at=timezone.now() - timedelta(days=30))
    SubmissionFactory(source=source, received_at=timezone.now() - timedelta(days=9))
    busy = SourceFactory(name="Busy form", created_at=timezone.now() - timedelta(days=30))
    SubmissionFactory.create_batch(2, source=busy, state="lead")
    SubmissionFactory(source=busy, state="error", reason="failed", detail="boom")
    Job.objects.create(task="leads.judge", ref="7", dead=True, error="ValueError: no budget")
    text = signed_in(admin).get("/").content.decode()
    assert re.findall(r'stat-value">(\d+)<', text) == ["3", "2", "0", "0", "0", "0", "1"]
    assert "Reading an enquiry #7" in text and "no budget" in text and "ValueError" not in text
    assert "processing failed five times" in text and "boom" not in text  # which its own page tells
    silent = text[text.index('id="silent-title"') :]
    assert ("Quiet form" in silent, "Busy form" in silent) == (True, False)


def test_a_marketer_sees_sources_counted_as_one(marketer, rep, signed_in):
    google = Origin.objects.create(name="Google")
    adwords = Origin.objects.create(name="adwords", same_as=google)
    LeadFactory.create_batch(2, owner=rep, first_origin=google)
    LeadFactory(owner=rep, first_origin=adwords, band="hot")
    LeadFactory(owner=rep, first_origin=google, created_at=timezone.now() - timedelta(days=40))
    text = signed_in(marketer).get("/").content.decode()
    assert re.findall(r'<td class="num[^>]*>(\d+)</td>', text) == ["3", "1", "1"]


def test_the_demo_form_is_offered_where_it_exists(rep, signed_in):
    assert "/f/demo-form/" not in signed_in(rep).get("/").content.decode()
    Source.objects.create(key="demo-form", name="Demo", adapter="web-form")
    assert "/f/demo-form/" in signed_in(rep).get("/").content.decode()


def test_a_day_is_ones_own(my, outsider, marketer):
    assert day.of(outsider).queue() == [my["theirs"].pk]
    assert day.of(marketer).queue() == []


def test_who_keeps_people_waiting_stands_first_in_a_team(head, rep, colleague):
    now = timezone.now()
    LeadFactory(owner=rep, waiting_since=None, next_step_at=now)
    LeadFactory(owner=colleague, waiting_since=now, band="hot")
    (_team, people), = oversight.teams(head)  # fmt: skip
    assert [(person, counts["hot"]) for person, counts in people][:2] == [(colleague, 1), (rep, 0)]


def test_a_task_of_a_client_who_has_passed_to_others_names_nobody(my, rep, outsider, signed_in):
    Lead.objects.filter(pk=my["late"].pk).update(
        name="Secret name", phone="+79160001122", owner=outsider, team=outsider.team
    )
    client = signed_in(rep)
    page = client.get("/").content.decode()
    assert "Ring Late" in page and "The client has passed to a colleague." in page
    assert "Secret name" not in page and "+79160001122" not in page and f"/leads/{my['late'].pk}/" not in page
    assert my["late"].pk not in day.of(rep).queue()
    assert "The client has passed to a colleague." in client.get("/tasks/").content.decode()
