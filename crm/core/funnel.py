"""The funnel machinery, one for leads and deals: which moves are allowed, and what lacks for them.

A subject is a model with ``pipeline``, ``stage`` (StageField), ``status``, ``stage_entered_at`` and ``version``.
"""

from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.utils import timezone
from django_fsm import TransitionNotAllowed

from crm.core.models import Stage, StageEdge, StageMoveBase
from crm.core.refusals import Refusal

Kind = StageMoveBase.Kind


class GateRefused(Exception):
    """The stage asks for fields that are empty. ``missing``: field names in the stage's order."""

    def __init__(self, stage, missing):
        self.stage, self.missing = stage, missing
        super().__init__(Refusal("gate", stage=stage.name))


class StaleCard(Exception):
    """Somebody moved the card meanwhile."""

    def __init__(self, subject):
        self.subject = subject
        super().__init__(Refusal("moved_on", stage=subject.stage.name))


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
        raise TransitionNotAllowed(Refusal("no_move", source=subject.stage.name, target=to.name))
    if not may_use(edge.heads_only, by):
        raise PermissionDenied(Refusal("heads_only"))
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
    return Kind.MOVED if step == 1 else Kind.SKIPPED if step > 1 else Kind.RETURNED


def entry_stage(kind, pipeline=None):
    """The first stage of a pipeline, or of the default one of a kind (``lead`` or ``deal``), with its pipeline."""
    chosen = {"pipeline": pipeline} if pipeline else {"pipeline__kind": kind, "pipeline__is_default": True}
    return Stage.objects.select_related("pipeline").filter(**chosen).order_by("position", "id").first()


def check_way_out(subject):
    """An outcome (won, converted) asks for what each stage from here on asks for: closing early evades no gate."""
    stages = list(Stage.objects.filter(pipeline_id=subject.pipeline_id).order_by("position", "id"))
    ahead = stages[[stage.pk for stage in stages].index(subject.stage_id) :]
    lacking = {stage: lacks for stage in ahead if (lacks := missing_fields(subject, stage))}
    if lacking:
        raise GateRefused(next(iter(lacking)), list(dict.fromkeys(sum(lacking.values(), []))))


# --- Booking: the subject's row is locked, its moves are the rows of ``subject.stage_moves`` --------------------
def locked(subject, *, version=None):
    """The subject's row, locked for this transaction; raises StaleCard when it has moved since ``version``."""
    fresh = type(subject).objects.select_for_update(no_key=True).get(pk=subject.pk)
    if version is not None and fresh.version != version:
        raise StaleCard(fresh)
    return fresh


def enter(subject, *, by=None, at=None, imported=False, **extra):
    """Book the entry of a new subject at its stage."""
    when = {} if at is None else {"at": at}
    return subject.stage_moves.create(
        kind=Kind.ENTERED, to_stage_id=subject.stage_id, by=by, imported=imported, **when, **extra
    )


def book(subject, kind, *, by, since, now, source=None, **extra):
    """Write the move that brought the subject where it is now; its version grows with each. Not saved here."""
    subject.version += 1
    return subject.stage_moves.create(
        kind=kind,
        from_stage_id=source or subject.stage_id,
        to_stage_id=subject.stage_id,
        by=by,
        at=now,
        seconds=max(0, int((now - since).total_seconds())),
        **extra,
    )


def advance(subject, to, *, by=None, **extra):
    """Move the locked subject to another stage and save it; returns the booked move. Raises as ``resolve``."""
    source, now = subject.stage_id, timezone.now()
    start = subject.stage
    subject.move(to, by=by)
    stages = list(Stage.objects.filter(pipeline_id=subject.pipeline_id).order_by("position", "id"))
    kind = move_kind(start, to, stages)
    move = book(subject, kind, by=by, since=subject.stage_entered_at, now=now, source=source, **extra)
    subject.stage_entered_at = now
    subject.save(update_fields=["stage", "stage_entered_at", "version"])
    return move


def close(subject, kind, *, by, **extra):
    """Book an outcome that the subject's status already says and note its time; the caller saves."""
    subject.closed_at = timezone.now()
    return book(subject, kind, by=by, since=subject.stage_entered_at, now=subject.closed_at, **extra)


def resume(subject, *, by, since, **extra):
    """Book the reopening: the time at the stage starts anew; the caller saves."""
    now = timezone.now()
    move = book(subject, Kind.REOPENED, by=by, since=since or now, now=now, **extra)
    subject.stage_entered_at = now
    return move


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
