"""The health check of a container, and static files through the middleware that every process has."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from crm.boot.embedded import BASE_DIR
from crm.core.models import Heartbeat


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["relay", "beat"])
def test_relay_and_beat_live_while_they_note_it(name):
    with pytest.raises(CommandError, match=f"{name}: not seen yet"):
        call_command("alive", name)
    Heartbeat.objects.create(name=name, at=timezone.now())
    call_command("alive", name)
    Heartbeat.objects.filter(name=name).update(at=timezone.now() - timedelta(minutes=5))
    with pytest.raises(CommandError, match=rf"{name}: silent for 30\d s"):
        call_command("alive", name)


def test_a_worker_that_does_not_answer_is_not_alive():
    with pytest.raises(CommandError, match=r"worker: worker@\S+ does not answer"):
        call_command("alive", "worker")


def test_a_web_server_that_does_not_listen_is_not_alive():
    with pytest.raises(CommandError, match="web: .*refused"):
        call_command("alive", "web", port=1)


def test_a_static_file_is_one_answer_and_knows_its_age(client):
    first = client.get("/static/css/base.css")
    assert (first.status_code, first.streaming) == (200, False)
    assert first.content == (BASE_DIR / "static/css/base.css").read_bytes()
    again = client.get("/static/css/base.css", headers={"if-modified-since": first["Last-Modified"]})
    assert (again.status_code, again.content) == (304, b"")
