import json

from django.core.management.base import BaseCommand, CommandError

from crm.automation.undoing import whole
from leads.models import Import
from leads.services.undoing import WrongState


class Command(BaseCommand):
    requires_system_checks = []
    help = "Undo an import: the cards that it made go, the cards that it completed get back what they had."

    def add_arguments(self, parser):
        parser.add_argument("id", type=int, help="the number of the import: `import_leads --json` and its page say it")
        parser.add_argument("--json", action="store_true", help="one JSON object and nothing else")

    def handle(self, *, id, **options):
        job = Import.objects.select_related("by").filter(pk=id).first()
        if job is None:
            raise CommandError(f"There is no import {id}.")
        if job.state != Import.State.UNDONE:
            try:
                whole(job)
            except WrongState as error:
                raise CommandError(str(error)) from error
        found = {"import": job.pk} | {name: job.undo[name] for name in ("rows", "removed", "restored", "kept")}
        if options["json"]:
            self.stdout.write(json.dumps(found))
        else:
            for name, value in found.items():
                self.stdout.write(f"{name:10} {value}")
