"""The funnel machinery, one for leads and deals: which moves are allowed, and what lacks for them.

A subject is a model with ``pipeline``, ``stage`` (StageField), ``status``, ``stage_entered_at`` and ``version``.
"""

from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.utils.translation import gettext as _
from django_fsm import TransitionNotAllowed

from crm.core.models import Stage, StageEdge, StageMoveBase


class GateRefused(Exception):
    """The stage asks for fields that are empty. ``missing``: field names in the stage's order."""

    def __init__(self, stage, missing):
        self.stage, self.missing = stage, missing
        super().__init__(_("To enter “%(stage)s”, fill in first what it asks for.") % {"stage": stage.name})


class StaleCard(Exception):
    """Somebody moved the card meanwhile."""

    def __init__(self, subject):
        self.subject = subject
        super().__init__(_("Somebody has moved this card meanwhile; it is at “%s” now.") % subject.stage.name)


def may_use(edge_heads_only, user):
    return not edge_heads_only or user is None or user.is_head or user.is_administrator


def missing_fields(subject, stage):
    """Names of the stage's required fields that are empty on the subject."""
    return [name for name in stage.required_fields if getattr(subject, name, None) in (None, "", [], {})]


def resolve(subject, to, *, by=None):
    """The target's key for the ``stage`` transition; raises TransitionNotAllowed, PermissionDenied or GateRefused."""
    edge = StageEdge.objects.filter(
        source_id=subject.stage_id, target=to, target__pipeline_id=subject.pipeline_id
    ).first()
    if not edge:
        raise TransitionNotAllowed(
            _("A move from “%(source)s” to “%(target)s” is not allowed in this funnel.")
            % {"source": subject.stage.name, "target": to.name}
        )
    if not may_use(edge.heads_only, by):
        raise PermissionDenied(_("Only a head of sales may make this move."))
    if missing := missing_fields(subject, to):
        raise GateRefused(to, missing)
    return to.pk


def available(subject, user=None):
    """Stages that the user may move the subject to now, in order; gates are not asked."""
    edges = Q(edges_in__source_id=subject.stage_id)
    if user is not None and not may_use(True, user):
        edges &= Q(edges_in__heads_only=False)
    return Stage.objects.filter(edges, pipeline_id=subject.pipeline_id).order_by("position", "id")


def move_kind(source, target, stages):
    """How a move reads in the funnel: ``stages`` are all of the pipeline, in order."""
    order = [stage.pk for stage in stages]
    step = order.index(target.pk) - order.index(source.pk)
    kinds = StageMoveBase.Kind
    return kinds.MOVED if step == 1 else kinds.SKIPPED if step > 1 else kinds.RETURNED


def entry_stage(kind):
    """The first stage of the default pipeline of a kind (``lead`` or ``deal``), with its pipeline."""
    return (
        Stage.objects.select_related("pipeline")
        .filter(pipeline__kind=kind, pipeline__is_default=True)
        .order_by("position", "id")
        .first()
    )


GUARD_SQL = """
create or replace function core_stage_guard() returns trigger language plpgsql as $$
begin
  if new.stage_id is distinct from old.stage_id and not exists (
    select 1 from core_stageedge e join core_stage s on s.id = e.target_id
    where e.source_id = old.stage_id and e.target_id = new.stage_id and s.pipeline_id = new.pipeline_id
  ) then
    raise exception 'stage % -> % is not allowed', old.stage_id, new.stage_id using errcode = 'check_violation';
  end if;
  return new;
end $$;
"""


def guard_sql(table):
    """SQL of the last guard: no path, not even ``update()``, moves a row along a move that is not allowed."""
    return (
        f"create trigger {table}_stage_guard before update of stage_id, pipeline_id on {table} "
        "for each row execute function core_stage_guard();"
    )
