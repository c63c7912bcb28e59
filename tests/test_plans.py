"""Plans of the hot queries: a page that reads a big table from end to end is fast in a demo and dead in a year.

A few thousand leads of the demo company stand in for a year's; what a page asks is explained, not timed.
"""

import json
import re

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from crm.core import jobs
from crm.core.models import Job
from leads.models import Lead

LEADS = 3000
BIG = {"leads_lead", "leads_interaction", "leads_submission", "leads_person", "leads_company", "core_job"}
PAGES = [
    "/", "/leads/", "/leads/?sort=score", "/leads/?attention=waiting", "/leads/?attention=overdue", "/search/?q=4567",
    "/leads/board/", "/deals/", "/deals/board/", "/tasks/", "/leads/{lead}/", "/leads/{lead}/timeline/",
]  # fmt: skip
WHO = ("manager", "head")
REPORTS = ["/reports/funnel/", "/reports/sources/", "/reports/managers/"]


@pytest.fixture
def company(db):
    call_command("seed_demo", leads=LEADS, verbosity=0)
    now = timezone.now()
    Job.objects.bulk_create(Job(task="leads.judge", ref=str(n), queue="live", due_at=now) for n in range(LEADS))
    with connection.cursor() as cursor:
        cursor.execute("analyze")


def nodes(plan):
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def scanned(statements):
    """[(table, statement)] of the big tables that a plan reads from end to end."""
    found = []
    with connection.cursor() as cursor:
        for sql, params in statements:
            cursor.execute(f"explain (format json) {sql}", params)
            plan = cursor.fetchone()[0]
            plan = json.loads(plan) if isinstance(plan, str) else plan
            reads = [node["Relation Name"] for node in nodes(plan[0]["Plan"]) if node["Node Type"] == "Seq Scan"]
            found += [(table, sql[:400]) for table in reads if table in BIG]
    return found


def asked(act):
    """The statements that ``act`` sends and a plan exists for."""
    seen = []

    def note(execute, sql, params, many, context):
        if re.match(r"\W*(select|with|update)\b", sql, re.IGNORECASE):
            seen.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        act()
    assert seen
    return seen


def statements_of(page, who):
    user = get_user_model().objects.get(username=who)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    lead = Lead.objects.visible_to(user).order_by("-created_at").first()
    headers = {"HX-Request": "true"} if page.startswith("/search/") else {}

    def get():
        assert client.get(page.format(lead=lead.pk), headers=headers).status_code == 200

    return asked(get)


def test_no_page_reads_a_big_table_from_end_to_end(company):
    found = {(who, page): scanned(statements_of(page, who)) for who in WHO for page in PAGES}
    found["worker"] = scanned(asked(jobs.lease))
    assert {where: reads for where, reads in found.items() if reads} == {}


def test_clients_come_newest_first_without_reading_all(company):
    found = {page: scanned(statements_of(page, "admin")) for page in ("/people/", "/companies/")}
    assert found == {"/people/": [], "/companies/": []}


def test_reports_can_be_served_by_indexes(company):
    """In a small company the planner may rightly read all; with that made dear, an index must serve."""
    statements = {(who, page): statements_of(page, who) for who in WHO for page in REPORTS}
    with connection.cursor() as cursor:
        cursor.execute("set local enable_seqscan = off")
    found = {where: scanned(sent) for where, sent in statements.items()}
    assert {where: reads for where, reads in found.items() if reads} == {}
