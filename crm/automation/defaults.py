"""What a new installation starts with, so that the first enquiry finds a funnel, an owner and a letter.

``ensure_defaults`` may run at every start: each part is made only where there is nothing of its kind, so that nothing
that an administrator removed or renamed comes back. Names are in the company's language (``LANGUAGE_CODE``).
"""

from datetime import time

from django.conf import settings
from django.db import transaction
from django.utils import translation

from crm.automation import starter
from crm.core.models import Calendar, Hours, Organisation, Pipeline, Reason, Stage, StageEdge
from leads.models import ConsentText, Source, Template
from nurturing.models import Sequence, Step
from routing.models import Rule as RoutingRule
from scoring.models import Rule as ScoringRule
from scoring.models import Thresholds


@transaction.atomic
def ensure_defaults():
    """Make what lacks; returns the names of the parts that were made."""
    language = settings.LANGUAGE_CODE.partition("-")[0]
    with translation.override(language):
        parts = [
            ("organisation", _organisation),
            ("calendar", _calendar),
            ("lead funnel", lambda: _funnel("lead", starter.lead_funnel())),
            ("deal pipeline", lambda: _funnel("deal", starter.deal_funnel())),
            ("reasons", _reasons),
            ("thresholds", _thresholds),
            ("scoring rules", _scoring),
            ("routing rule", _routing),
            ("consent text", _consent),
            ("source", _source),
            ("templates", lambda: _templates(language)),
            ("sequences", _sequences),
        ]
        return [name for name, make in parts if make()]


def _organisation():
    language = settings.LANGUAGE_CODE.partition("-")[0]
    return Organisation.objects.get_or_create(
        pk=1, defaults={"name": starter.company_name(), "language": language, "time_zone": settings.TIME_ZONE}
    )[1]


def _calendar():
    if Calendar.objects.exists():
        return False
    calendar = Calendar.objects.create(name=starter.calendar_name(), is_default=True)
    spans = [(time(9), time(13)), (time(14), time(18))]  # the gap is the lunch break
    Hours.objects.bulk_create(
        Hours(calendar=calendar, weekday=day, start=start, end=end) for day in range(5) for start, end in spans
    )
    return True


def _funnel(kind, plan):
    """Stages in order; allowed: one step back, one ahead, and over one stage where its plan says so."""
    if Pipeline.objects.filter(kind=kind).exists():
        return False
    name, rows = plan
    pipeline = Pipeline.objects.create(kind=kind, name=name, is_default=True)
    stages = [
        Stage.objects.create(
            pipeline=pipeline,
            position=place,
            name=row.name,
            probability=row.probability,
            norm_days=row.norm_days,
            required_fields=row.required,
        )
        for place, row in enumerate(rows)
    ]
    steps = [(a, b) for a in range(len(rows)) for b in (a - 1, a + 1, a + 2) if 0 <= b < len(rows)]
    StageEdge.objects.bulk_create(
        StageEdge(source=stages[a], target=stages[b]) for a, b in steps if b != a + 2 or rows[b].may_be_reached_by_skip
    )
    return True


def _reasons():
    made = False
    for kind, names in starter.reasons().items():
        if not Reason.objects.filter(kind=kind).exists():
            Reason.objects.bulk_create(Reason(kind=kind, name=name, position=n) for n, name in enumerate(names))
            made = True
    return made


def _thresholds():
    return Thresholds.objects.get_or_create(pk=1)[1]


def _scoring():
    if ScoringRule.objects.exists():
        return False
    ScoringRule.objects.bulk_create(
        ScoringRule(position=place, **rule) for place, rule in enumerate(starter.scoring_rules())
    )
    return True


def _routing():
    if RoutingRule.objects.exists():
        return False
    RoutingRule.objects.create(name=starter.routing_rule_name(), strategy=RoutingRule.Strategy.EVENLY, position=100)
    return True


def _consent():
    if ConsentText.objects.exists():
        return False
    ConsentText.objects.create(purpose="processing", version=1, text=starter.consent_text())
    return True


def _source():
    """The company's own form: hosted at ``/f/site/``, posts to ``/capture/site/``."""
    if Source.objects.exists():
        return False
    consent = ConsentText.objects.filter(purpose="processing").order_by("-version").first()
    Source.objects.create(key="site", name=starter.site_name(), adapter="web-form", consent=consent)
    return True


def _templates(language):
    if Template.objects.exists():
        return False
    Template.objects.bulk_create(Template(language=language, **fields) for fields in starter.templates())
    return True


def _sequences():
    """Switched off until somebody has read their letters."""
    if Sequence.objects.exists():
        return False
    made = False
    for plan in starter.sequences():
        letters = {t.name: t for t in Template.objects.filter(name__in=[s.get("letter") for s in plan["steps"]])}
        if any(step.get("letter") and step["letter"] not in letters for step in plan["steps"]):
            continue  # its letters were renamed or removed: nothing to send
        sequence = Sequence.objects.create(
            name=plan["name"], condition=plan["condition"], enrols_by_rule=True, is_active=False
        )
        Step.objects.bulk_create(
            Step(
                sequence=sequence,
                position=place,
                kind=step["kind"],
                hours=step.get("hours", 0),
                template=letters.get(step.get("letter")),
                title=step.get("title", ""),
            )
            for place, step in enumerate(plan["steps"], start=1)
        )
        made = True
    return made
