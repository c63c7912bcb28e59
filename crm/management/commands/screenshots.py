"""The four pictures of the README, taken from the demo in the system's Chromium."""

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from playwright.sync_api import sync_playwright

from crm.boot.processes import PROCESSES
from crm.demo.company import PASSWORD
from leads.models import Assignment, Lead

ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
        "--disable-sync", "--no-first-run"]  # fmt: skip
SIZE = {"width": 1440, "height": 900}


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser):
        parser.add_argument("--out", default=str(settings.BASE_DIR / "static" / "screens"))

    def handle(self, out, **options):
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        if not chromium:
            raise CommandError("Chromium was not found.")
        call_command("prepare", verbosity=0)
        if not Lead.objects.exists():
            call_command("seed_demo", leads=2000, seed=1, verbosity=0)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = subprocess.Popen([sys.executable, *PROCESSES["web"].command, "--port", str(port)])
        try:
            base = f"http://127.0.0.1:{port}"
            answers(f"{base}/healthz")
            for name in shoot(chromium, base, Path(out)):
                self.stdout.write(name)
        finally:
            server.terminate()
            server.wait(20)


def answers(url, attempts=150):
    """Wait until the server is there."""
    for _attempt in range(attempts):
        try:
            urllib.request.urlopen(url, timeout=2).read()  # noqa: S310 - our own server on the loopback  # nosec B310
            return
        except OSError:
            time.sleep(0.2)
    raise CommandError("The web server did not start.")


def pages():
    """Name → address: a hot lead of the manager's with an assignment by rule."""
    told = Assignment.objects.filter(how="rule").values("lead")
    lead = Lead.objects.open().filter(owner__username="manager", pk__in=told).order_by("-score").first()
    return {
        "board": "/deals/board/",
        "card": f"/leads/{lead.pk}/",
        "funnel": "/reports/funnel/",
        "why": f"/leads/{lead.pk}/#routing-panel",
    }


def shoot(chromium, base, out):
    """Take the pictures as the head of sales; yields their paths."""
    out.mkdir(parents=True, exist_ok=True)
    plan = pages()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGS)
        page = browser.new_context(base_url=base, viewport=SIZE, locale="en-US").new_page()
        page.goto("/login/")
        page.fill("[name=username]", "head")
        page.fill("[name=password]", PASSWORD)
        page.press("[name=password]", "Enter")
        page.wait_for_load_state()
        for name, address in plan.items():
            page.goto(address)
            page.wait_for_timeout(1500)  # panels load; the live stream never ends
            shown = page.locator(address.partition("#")[1] + address.partition("#")[2]) if "#" in address else page
            shown.screenshot(path=out / f"{name}.png")
            yield str(out / f"{name}.png")
        browser.close()
