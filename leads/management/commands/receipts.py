"""The receipts of a source."""

import json

from django.core.management.base import BaseCommand, CommandError

from leads.models import Source, Submission


class Command(BaseCommand):
    help = "Lists the receipts of a source, oldest first."

    def add_arguments(self, parser):
        parser.add_argument("key")
        parser.add_argument("--json", action="store_true")

    def handle(self, *, key, **options):
        if not Source.objects.filter(key=key).exists():
            raise CommandError(f"there is no source “{key}”")
        rows = Submission.objects.filter(source__key=key).order_by("id")
        found = [
            {"id": str(r.receipt), "state": r.state, "reason": r.reason, "lead": r.lead_id, "parsed": r.parsed}
            for r in rows.only("receipt", "state", "reason", "lead_id", "parsed")
        ]
        if options["json"]:
            self.stdout.write(json.dumps(found, ensure_ascii=False))
        else:
            for row in found:
                self.stdout.write(f"{row['id']}  {row['state']:<8}  {row['reason']:<13}  {row['lead'] or ''}")
