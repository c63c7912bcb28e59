"""``manage.py alive NAME``: the health check of one container. Exit code 0 when the process does its work."""

import http.client
import platform
from datetime import timedelta

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from crm.boot.processes import PROCESSES
from crm.celery import app
from crm.core.models import Heartbeat

SILENCE = timedelta(seconds=90)  # the relay notes itself every few seconds, beat rings every minute at the latest


class Command(BaseCommand):
    help = "Says whether a process of this name works: web and workers on this machine, relay and beat anywhere."
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("name", choices=sorted(PROCESSES))
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *, name, port, **options):
        asks = {"web": lambda: web(port)} | {kind: lambda: worker(name) for kind in ("worker", "mail", "bulk")}
        fault = asks.get(name, lambda: beating(name))()
        if fault:
            raise CommandError(f"{name}: {fault}")
        self.stdout.write(f"{name} works")


def web(port):
    host = next((name for name in settings.ALLOWED_HOSTS if "*" not in name), "localhost").lstrip(".")
    asking = http.client.HTTPConnection("127.0.0.1", port, timeout=8)
    try:
        asking.request("GET", "/healthz", headers={"Host": host})
        status = asking.getresponse().status
    except OSError as error:
        return str(error)
    finally:
        asking.close()
    return "" if status == 200 else f"/healthz answers {status}"


def worker(name):
    node = f"{name}@{platform.node()}"
    return "" if app.control.inspect(destination=[node], timeout=5).ping() else f"{node} does not answer"


def beating(name):
    last = Heartbeat.objects.filter(name=name).values_list("at", flat=True).first()
    if last is None:
        return "not seen yet"
    silent = timezone.now() - last
    return "" if silent < SILENCE else f"silent for {silent.total_seconds():.0f} s"
