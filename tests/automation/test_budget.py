"""What one enquiry costs from receipt to owner and letter, all transactions of the worker."""

import json
import uuid

import pytest
from django.db import connection

from crm.automation.defaults import ensure_defaults
from crm.core import jobs
from crm.core.models import Hours
from leads.models import Assignment, Lead, Message, Source
from tests.factories import SubmissionFactory, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)


def made(source):
    """Judge one receipt of a new person; returns its statements, transaction control apart."""
    fields = {
        "phone": f"+7926{uuid.uuid4().int % 10**7:07d}",
        "email": f"{uuid.uuid4().hex}@example.test",
        "need": "окна",
    }
    receipt = SubmissionFactory(source=source, body=json.dumps(fields).encode())
    job, statements = jobs.enqueue("leads.judge", receipt.pk), []

    def note(execute, sql, params, many, context):
        if "SAVEPOINT" not in sql[:20]:
            statements.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        jobs.run_job(job)
    return statements


def test_a_card_is_made_scored_owned_and_greeted_in_25_queries(settings):
    ensure_defaults()
    Hours.objects.update(start="00:00", end="23:59:59")
    Hours.objects.bulk_create(
        Hours(calendar=Hours.objects.first().calendar, weekday=day, start="00:00", end="23:59:59") for day in (5, 6)
    )
    for _n in range(3):
        UserFactory()
    source = Source.objects.create(key="door", name="Door", adapter="json")
    made(source)
    settings.CONFIG_TTL = 60  # as in a worker that has been running for a moment
    made(source)
    statements = made(source)
    lead = Lead.objects.order_by("-pk").first()
    assert lead.owner_id == Assignment.objects.get(lead=lead).to_owner_id is not None
    assert (lead.score > 0, Message.objects.filter(lead=lead, kind="welcome").count()) == (True, 1)
    assert len(statements) <= 25, "\n".join(s[:120] for s in statements)
