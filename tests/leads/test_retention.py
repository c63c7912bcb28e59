"""The bodies of what was refused go after their time; the receipts, their reasons and the ledger stay."""

from datetime import timedelta

import pytest
from django.utils import timezone

from crm.core.jobs import drain, enqueue
from crm.core.models import Organisation
from leads.models import Lead, Submission
from leads.services import judging, retention
from leads.services.ledger import ledger
from tests.factories import LeadFactory, SourceFactory, SubmissionFactory

pytestmark = pytest.mark.django_db


def aged(days, **values):
    row = SubmissionFactory(**values)
    Submission.objects.filter(pk=row.pk).update(received_at=timezone.now() - timedelta(days=days))
    return row


@pytest.fixture
def old(funnels):
    """Receipts of 31 days ago, one of each fate, and a refused one of yesterday."""
    lead, source = LeadFactory(), SourceFactory()
    common = {"source": source, "body": b'{"phone": "1"}', "sha256": "x", "parsed": {"phone": "1"}}
    fates = {"rejected": "no_contact", "spam": "honeypot", "error": "failed", "lead": "", "merged": "", "waiting": ""}
    rows = {
        state: aged(31, **common, state=state, reason=reason, lead=lead if state in {"lead", "merged"} else None)
        for state, reason in fates.items()
    }
    return rows | {"fresh": aged(29, **common, state="rejected", reason="no_contact")}


def bodies(rows):
    return {name: bytes(Submission.objects.get(pk=row.pk).body) for name, row in rows.items()}


def test_only_what_was_refused_long_ago_goes(old):
    before = ledger()
    enqueue("crm.daily", "20261122")
    drain()
    kept = bodies(old)
    assert {name for name, body in kept.items() if not body} == {"rejected", "spam"}
    assert ledger() == before
    row = Submission.objects.get(pk=old["spam"].pk)
    assert (row.state, row.reason, row.parsed, row.sha256) == ("spam", "honeypot", None, "x")


def test_the_time_is_a_setting(old):
    Organisation.get()
    Organisation.objects.update(refused_days=7)
    retention.forget_bodies()
    assert bodies(old)["fresh"] == b""


def test_many_go_in_chunks(funnels, monkeypatch):
    monkeypatch.setattr(retention, "CHUNK", 2)
    source = SourceFactory()
    for _n in range(5):
        aged(40, source=source, body=b"x", sha256="x", state="rejected", reason="no_contact")
    assert retention.forget_bodies() == 2
    enqueue("crm.daily", "20261122")
    drain()
    assert set(Submission.objects.values_list("body", flat=True)) == {b""}
    assert retention.forget_bodies() == 0


def test_a_body_that_somebody_shares_stays_until_all_of_it_is_refused(funnels):
    source = SourceFactory()
    common = {"source": source, "sha256": "x"}
    whole = aged(40, **common, body=b'[{"a": 1}, {"b": 2}]', part="0", state="rejected", reason="no_contact")
    part = aged(40, **common, body=b"", whole=whole, part="1", state="lead", lead=LeadFactory())
    assert (retention.forget_bodies(), bodies({"whole": whole})["whole"][:1]) == (0, b"[")
    Submission.objects.filter(pk=part.pk).update(state="rejected", reason="no_contact", lead=None)
    assert (retention.forget_bodies(), bodies({"whole": whole})["whole"]) == (1, b"")


def test_a_replay_says_why_it_cannot(old, signed_in, admin):
    retention.forget_bodies()
    for name in ("rejected", "spam"):
        row = Submission.objects.get(pk=old[name].pk)
        assert not judging.may_replay(row)
        answer = signed_in(admin).post(f"/receipts/{row.pk}/replay/", {"force": "1"}, follow=True)
        assert "удалено" in answer.content.decode() or "has been deleted" in answer.content.decode()
        assert (answer.context["forgotten"], answer.context["can_replay"]) == (True, False)
    assert judging.replay_many(Submission.objects.filter(state="rejected"), by=admin) == 1  # the fresh one
    drain()
    assert set(Submission.objects.filter(state="rejected").values_list("reason", flat=True)) == {"no_contact"}
    assert Lead.objects.count() == 1
