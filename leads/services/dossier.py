"""What the lead's card shows, read in few queries; every part can be read anew by itself."""

import secrets
from dataclasses import dataclass

from django.utils import timezone
from django.utils.text import capfirst

from crm.core.columns import NAMES, but
from crm.core.funnel import available
from crm.core.models import Stage, User
from crm.core.templatetags.ui import day
from leads.models import Lead, Suppression
from leads.services import dialling, waiting
from leads.story import LABELS

CONTACTS = ("phone", "email", "company_name", "job_title", "city")
QUALIFYING = ("budget", "need", "authority", "decision_date")
MORE = ("name", "product", "region", "country", "language", "industry", "company_size")
OTHERS_AT_MOST = 20
OTHERS = ("product", "status", "created_at", "stage__name", *(f"owner__{name}" for name in NAMES))
UNSEEN = but(User, "assignee", *NAMES)
DAY = 86_400  # seconds


@dataclass(frozen=True)
class Fact:
    name: str
    label: str
    value: object  # as the field holds it
    text: str  # as people read it; empty: not known

    @property
    def known(self):
        return self.value not in (None, "")


def fact(lead, name):
    value = getattr(lead, name)
    text = day(value) if name == "decision_date" and value else value
    return Fact(name, capfirst(LABELS[name]), value, "" if text is None else text)


def labels(names):
    """Fields in words, for what a form cannot ask."""
    return [str(LABELS.get(name, name)) for name in names]


def of_lead(lead, user):
    """The whole page's context but for the timeline."""
    return {"lead": lead} | head(lead, user) | steps(lead, user) | facts(lead, user) | others(lead, user)


def head(lead, user):
    """Path over the stages with the moves allowed now, days in stage, the running clock."""
    stages = list(Stage.objects.filter(pipeline_id=lead.pipeline_id).order_by("position", "id"))
    open_now = lead.status == "open" and user.can_edit_leads
    allowed = set(available(lead, user).values_list("pk", flat=True)) if open_now else set()
    here = next((place for place, stage in enumerate(stages) if stage.pk == lead.stage_id), 0)
    path = [
        {
            "stage": stage,
            "state": "current" if place == here else "done" if place < here else "todo",
            "allowed": stage.pk in allowed,
        }
        for place, stage in enumerate(stages)
    ]
    waits = waiting.clocks([lead]).get(lead.pk)
    days = int((timezone.now() - lead.stage_entered_at).total_seconds() // DAY)
    stuck = lead.status == "open" and 0 < lead.stage.norm_days < days
    return {
        "path": path,
        "days": days,
        "stuck": stuck,
        "waits": waits,
        "late": waits is not None and waits > waiting.norm(),
        "dial_token": secrets.token_hex(16) if open_now and dialling.phone_of(user) else "",
    }


def steps(lead, user):
    tasks = list(lead.tasks.open().select_related("assignee").defer(*UNSEEN).order_by("due_at", "pk"))
    return {"tasks": tasks}


def facts(lead, user):
    touches = list(lead.touches.select_related("origin").order_by("at", "pk")[:200])
    return qualification(lead) | {
        "contacts": [fact(lead, name) for name in CONTACTS],
        "more": [fact(lead, name) for name in MORE],
        "custom": [(str(name), value) for name, value in sorted(lead.custom.items()) if value not in (None, "", [])],
        "first_touch": touches[0] if touches else None,
        "last_touch": touches[-1] if len(touches) > 1 else None,
        "touches": len(touches),
        "opted_out": bool(lead.email) and Suppression.objects.filter(kind="email", value=lead.email).exists(),
    }


def qualification(lead):
    """The checklist: what should be known before a lead is worth a deal."""
    qualifying = [fact(lead, name) for name in QUALIFYING]
    return {"qualifying": qualifying, "qualified": sum(item.known for item in qualifying)}


def others(lead, user):
    """The person's other leads; of those that the user may not see, only with whom they are."""
    rows = Lead.objects.filter(person_id=lead.person_id, merged_into=None).exclude(pk=lead.pk).order_by("-pk")
    mine = list(rows.visible_to(user).select_related("stage", "owner").only(*OTHERS)[:OTHERS_AT_MOST])
    closed = rows.exclude(pk__in=Lead.objects.visible_to(user).filter(person_id=lead.person_id).values("pk"))
    hidden = closed.select_related("owner").only("owner", "owner__first_name", "owner__last_name", "owner__username")
    return {"others": mine, "hidden": list(hidden[:OTHERS_AT_MOST]) if not user.sees_all else []}


PARTS = {"head": head, "steps": steps, "facts": facts}
