"""The ledger of receipts."""

import json

from django.core.management.base import BaseCommand, CommandError

from leads.models import Source, Submission
from leads.services.ledger import ledger


class Command(BaseCommand):
    help = "Counts receipts by state: received = lead + merged + spam + rejected + error + waiting."

    def add_arguments(self, parser):
        parser.add_argument("--source", metavar="KEY")
        parser.add_argument("--json", action="store_true")

    def handle(self, *, source, **options):
        receipts = Submission.objects.all()
        if source:
            if not Source.objects.filter(key=source).exists():
                raise CommandError(f"there is no source “{source}”")
            receipts = receipts.filter(source__key=source)
        totals = ledger(receipts)
        if options["json"]:
            self.stdout.write(json.dumps(totals))
        else:
            for name, count in totals.items():
                self.stdout.write(f"{name:>9}  {count}")
