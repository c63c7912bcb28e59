"""Send a marked test through a source's real door, and say what came of it."""

import json
import time
import uuid
from datetime import timedelta

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse
from django.utils import timezone

from crm.core import outbound
from leads.capture import ADAPTERS, canary
from leads.models import Source, Submission

PATIENCE = 10.0  # seconds until a worker should have judged it
WAIT = 0.2


class Command(BaseCommand):
    help = "Posts a marked test to a source's address by HTTP, waits for the judge and prints what became of it."

    def add_arguments(self, parser):
        parser.add_argument("key", nargs="?", help="a source; without it: all active ones")
        parser.add_argument("--url", default="", help="the product's address, where it is not PUBLIC_URL")
        parser.add_argument("--json", action="store_true")

    def handle(self, *, key, url, **options):
        sources = Source.objects.filter(is_active=True, adapter__in=ADAPTERS)
        sources = list(sources.filter(key=key) if key else sources)
        if not sources:
            raise CommandError(f"there is no active source “{key}”" if key else "there is no active source")
        results = [self.send(source, (url or settings.PUBLIC_URL).rstrip("/")) for source in sources]
        if options["json"]:
            self.stdout.write(json.dumps(results if not key else results[0], ensure_ascii=False))
        else:
            for row in results:
                self.stdout.write("  ".join(f"{name}={value}" for name, value in row.items()))
        if not all(row["ok"] for row in results):
            raise CommandError("not every door is open")

    def send(self, source, base):
        """What the door said to a test, and what the judge made of it; ``ok``: stored and judged in time."""
        mark, start = f"canary-{uuid.uuid4().hex[:12]}", time.monotonic()
        address = base + reverse("leads:capture", args=[source.key])
        sent = canary.of(ADAPTERS[source.adapter], source, mark, address)
        headers = {"Content-Type": sent.content_type, **canary.headers_of(sent, mark)}
        try:
            answer = outbound.fetch(
                "POST", address + sent.query, data=sent.raw, headers=headers, timeout=PATIENCE, trusted=base
            )
        except (outbound.Refused, outbound.Unreachable) as error:
            return {"source": source.key, "ok": False, "error": str(error)}
        found = self.judged(source, mark, start)
        state = {"state": found.state, "reason": found.reason, "receipt": str(found.receipt)} if found else {}
        ok = bool(found) and found.state not in {Submission.State.WAITING, Submission.State.ERROR}
        seconds = round(time.monotonic() - start, 2)
        return {"source": source.key, "ok": ok, "status": answer.status, **state, "seconds": seconds}

    def judged(self, source, mark, start):
        """The test's receipt, once it is judged or the time is over."""
        since = timezone.now() - timedelta(seconds=2 * PATIENCE)
        rows = Submission.objects.filter(source=source, received_at__gt=since, headers__contains={"X-Request-Id": mark})
        while True:
            found = rows.defer("body").order_by("-pk").first()
            late = time.monotonic() - start > PATIENCE
            if late or (found and found.state != Submission.State.WAITING):
                return found
            time.sleep(WAIT)
