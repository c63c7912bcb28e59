"""Doors that have fallen silent, receipts that ended in an error, the canary."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from crm.core.jobs import drain
from crm.core.models import Notice
from leads.models import Source, Submission
from leads.services import judging, watch
from tests.factories import SubmissionFactory
from tests.leads.capture.conftest import make_source


def past(source, *hours):
    for ago in hours:
        row = SubmissionFactory(source=source, state="merged")
        Submission.objects.filter(pk=row.pk).update(received_at=timezone.now() - timedelta(hours=ago))


def test_silence_is_several_usual_gaps_and_longer_than_any_seen(source, admin):
    past(source, *range(40, 8, -1))
    other = make_source(key="night")
    past(other, 60, 59, 58, 57, 40, 39, 38, 37, 36, 35, 34, 33, 20)  # its nights are longer than this
    quiet = make_source(key="new")
    past(quiet, 100, 99)
    assert [found.key for found, _last in watch.silent()] == ["site"]
    assert (watch.tell(), watch.tell()) == (["site"], [])
    past(source, 7)
    assert watch.tell() == ["site"]  # another silence, after one more receipt
    assert Notice.objects.filter(kind="source_silent", user=admin).count() == 2
    Source.objects.update(is_active=False)
    assert watch.silent() == []


def test_an_error_is_told_once_an_hour_for_a_source(source, admin):
    rows = [SubmissionFactory(source=source, state="waiting") for _n in range(2)]
    for row in rows:
        judging.gave_up(str(row.pk), "ValueError: x")
    assert list(Notice.objects.values_list("kind", "user")) == [("receipt_error", admin.pk)]
    assert set(Submission.objects.values_list("state", "reason")) == {("error", "failed")}


@pytest.mark.django_db(transaction=True)
def test_the_canary_goes_through_the_door(live_server, capsys, monkeypatch):
    make_source(adapter="google-ads", secret="s")
    monkeypatch.setattr("leads.management.commands.canary.time.sleep", lambda _seconds: drain())
    call_command("canary", "site", "--url", live_server.url, "--json")
    said = json.loads(capsys.readouterr().out)
    assert (said["status"], said["state"], said["reason"], said["ok"]) == (200, "rejected", "test", True)


def test_a_closed_door_is_said(source, capsys):
    with pytest.raises(CommandError):
        call_command("canary", "site", "--url", "http://127.0.0.1:9", "--json")
    assert json.loads(capsys.readouterr().out)["ok"] is False
    with pytest.raises(CommandError):
        call_command("canary", "none")
