"""The canary of every channel: signed as its provider signs, taken at the real door, and no lead."""

import json
from dataclasses import replace

import pytest
from django.core.management import call_command

from crm.core.jobs import drain
from leads.capture import ADAPTERS, canary
from leads.models import Lead, Source, Submission
from leads.services import receipt
from tests.leads.capture.conftest import make_source

PATH, ROOT = "/capture/site/", "http://localhost"
MAPPINGS = [
    {"proof": "header", "proof_name": "X-Api-Key"}, {"proof": "query", "proof_name": "token"},
    {"proof": "field", "proof_name": "auth[key]"}, {"proof": "hmac", "proof_name": "X-Sign", "hmac_prefix": "sha256="},
    {"proof": "hmac", "proof_name": "X-Sign", "hmac_algorithm": "sha1", "hmac_encoding": "base64"},
]  # fmt: skip
CASES = [*((name, {}) for name in ADAPTERS), ("mango", {"api_key": "K"}), *(("mapping", more) for more in MAPPINGS)]


@pytest.mark.parametrize(("adapter", "stated"), CASES)
def test_every_adapter_takes_its_own_test_and_makes_no_lead(funnels, adapter, stated, local_off):
    source = make_source(adapter=adapter, secret="s3cret", settings=stated)
    answer = receipt.receive(source, canary.envelope(ADAPTERS[adapter], source, PATH, ROOT))
    drain()
    row = Submission.objects.get()
    assert (answer.status, row.state) == (202, "rejected"), answer
    assert row.reason in {"test", "not_enquiry", "auto_reply"}
    assert row.headers["X-Request-Id"] == canary.MARK
    assert not Lead.objects.exists()


@pytest.mark.parametrize(
    "adapter", ["mango", "zadarma", "twilio", "meta", "whatsapp", "typeform", "telegram", "vk", "json"]
)
def test_a_test_signed_with_another_secret_is_refused(funnels, adapter, local_off):
    source = make_source(adapter=adapter, secret="s3cret")
    sent = canary.envelope(ADAPTERS[adapter], replaced(source, "guess"), PATH, ROOT)
    answer = receipt.receive(source, sent)
    assert (answer.status, answer.reason) == (401, "bad_signature")


def replaced(source, secret):
    return Source(key=source.key, adapter=source.adapter, secret=secret)


def test_twilio_signs_the_address_that_was_called(funnels, local_off):
    source = make_source(adapter="twilio", secret="s3cret")
    sent = canary.envelope(ADAPTERS["twilio"], source, PATH, ROOT)
    moved = replace(sent, url="http://elsewhere.example/capture/other/", path="/capture/other/")
    assert receipt.receive(source, moved).status == 401


@pytest.fixture
def local_off(settings):
    settings.LOCAL = False


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("adapter", ["mango", "zadarma", "twilio"])
def test_the_command_is_heard_by_exchanges_that_sign(funnels, live_server, capsys, monkeypatch, adapter):
    make_source(adapter=adapter, secret="s3cret", settings={"api_key": "K"})
    monkeypatch.setattr("leads.management.commands.canary.time.sleep", lambda _seconds: drain())
    call_command("canary", "site", "--url", live_server.url, "--json")
    said = json.loads(capsys.readouterr().out)
    assert (said["status"], said["state"], said["reason"], said["ok"]) == (200, "rejected", "not_enquiry", True)
