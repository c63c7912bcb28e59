import json

from django.core.management.base import BaseCommand, CommandError
from django.core.serializers.json import DjangoJSONEncoder

from leads.api import show
from leads.conditions import reworded
from leads.models import Lead
from scoring.models import Evidence


class Command(BaseCommand):
    help = "Show a lead whole: card, identities, timeline, score evidence, assignments with their trace."

    def add_arguments(self, parser):
        parser.add_argument("id", type=int)
        parser.add_argument("--json", action="store_true", help="one JSON document and nothing else")

    def handle(self, id, **options):
        lead = (
            Lead.objects.select_related("source", "first_origin", "last_origin", "stage", "owner", "person")
            .filter(pk=id)
            .first()
        )
        if lead is None:
            raise CommandError(f"There is no lead {id}.")
        indent = None if options["json"] else 2
        self.stdout.write(json.dumps(document(lead), cls=DjangoJSONEncoder, ensure_ascii=False, indent=indent))


def document(lead):
    """Everything known of a lead, as JSON-ready values."""
    timeline = lead.interactions.order_by("at", "id").values("id", "kind", "at", "by_id", "text", "details")
    evidence = (
        Evidence.objects.filter(lead=lead)
        .order_by("id")
        .values("id", "rule__name", "kind", "points", "step", "withdraws", "why", "at", "interaction_id")
    )
    return {
        "card": show(lead) | {"person": lead.person_id, "last_origin": str(lead.last_origin or "")},
        "identities": list(
            lead.person.identities.order_by("id").values("kind", "scope", "value", "extension", "is_shared")
        ),
        "receipts": list(lead.submissions.order_by("id").values("receipt", "state", "reason", "received_at")),
        "touches": list(lead.touches.order_by("at", "id").values("at", "origin__name", "marks")),
        "timeline": list(timeline),
        "score": {
            "shown": lead.score,
            "sum": sum(row.points for row in lead.evidence.all()),
            "evidence": [row | {"why": reworded(row["why"])} for row in evidence],
        },
        "assignments": list(
            lead.assignments.order_by("id").values("at", "how", "from_owner_id", "to_owner_id", "by_id", "trace")
        ),
        "stage_moves": list(
            lead.stage_moves.order_by("id").values(
                "at", "kind", "from_stage__name", "to_stage__name", "by_id", "imported"
            )
        ),
        "messages": list(lead.messages.order_by("id").values("kind", "to", "subject", "state", "reason", "sent_at")),
        "tasks": list(lead.tasks.order_by("id").values("title", "kind", "due_at", "assignee_id", "done_at")),
    }
