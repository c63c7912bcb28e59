"""Read mailboxes now."""

import json

from django.core.management.base import BaseCommand, CommandError

from leads import imap
from leads.services import mailboxes


class Command(BaseCommand):
    help = "Reads the mailboxes (all active ones, or those named) once; the workers do so every minute by themselves."

    def add_arguments(self, parser):
        parser.add_argument("keys", nargs="*", metavar="KEY")
        parser.add_argument("--json", action="store_true")

    def handle(self, *, keys, **options):
        sources = mailboxes.mailboxes().order_by("key")
        if unknown := set(keys) - set(sources.values_list("key", flat=True)):
            raise CommandError(f"there is no mailbox “{', '.join(sorted(unknown))}”")
        reports = {source.key: self._poll(source) for source in sources if not keys or source.key in keys}
        if options["json"]:
            self.stdout.write(json.dumps(reports, ensure_ascii=False))
        else:
            for key, report in reports.items():
                self.stdout.write(f"{key}: {', '.join(f'{name} {value}' for name, value in report.items())}")
        if any("error" in report for report in reports.values()):
            raise CommandError("a mailbox could not be read")

    def _poll(self, source):
        try:
            return mailboxes.poll(source)
        except mailboxes.Busy:
            return {"busy": True}
        except (imap.Broken, imap.Denied) as error:
            return {"error": str(error)}
