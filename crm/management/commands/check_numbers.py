import json
from datetime import timedelta

from django.core.management.base import BaseCommand
from django.utils import timezone

from analytics.recount import event_checks, report_checks
from analytics.scope import Scope
from crm.core.models import Organisation, Role, User
from routing.services import recount_debts
from scoring.services import recount


class Command(BaseCommand):
    help = (
        "Recount scores, funnel, assignments, debts, reports and ledger from the event tables; exits 1 on a difference."
    )
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("--json", action="store_true", help="one JSON object and nothing else")

    def handle(self, **options):
        found = {"scores": recount(), "debts": recount_debts(), **event_checks(), **report_checks(everything())}
        if options["json"]:
            self.stdout.write(json.dumps(found))
        else:
            for name, wrong in found.items():
                self.stdout.write(f"{name:24} {wrong}")
        if any(found.values()):
            raise SystemExit(1)


def everything():
    """The scope of an administrator over ten years."""
    now, organisation = timezone.now(), Organisation.get()
    reader = User(role=Role.ADMIN, is_active=True)
    return Scope(
        user=reader,
        start=now.date() - timedelta(days=3650),
        end=now.date() + timedelta(days=1),
        as_of=now,
        organisation=organisation,
        step="month",
    )
