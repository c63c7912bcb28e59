"""The demo: its receipts come in the order of their time, and its numbers agree with a recount."""

import json
from collections import Counter
from io import StringIO

import pytest
from django.core.management import call_command

from crm.management.commands import seed_demo
from leads.models import Lead, Submission

pytestmark = pytest.mark.django_db


def test_receipts_of_the_demo_are_written_in_the_order_of_their_time(monkeypatch):
    monkeypatch.setattr(seed_demo, "CHUNK", 50)
    call_command("seed_demo", leads=170, seed=3, verbosity=0)
    times = list(Submission.objects.order_by("pk").values_list("received_at", flat=True))
    assert times == sorted(times)
    states = Counter(Submission.objects.values_list("state", flat=True))
    assert Lead.objects.count() == states["lead"] == 170
    assert states["merged"] > 10 and states.keys() <= {"lead", "merged", "spam", "rejected"}
    assert not Submission.objects.filter(state="merged", lead=None).exists()
    said = StringIO()
    call_command("check_numbers", json=True, stdout=said)
    assert not any(json.loads(said.getvalue()).values())
