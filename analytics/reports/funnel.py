"""The exact cohort funnel: enquiries of a period, followed through lead stages, deal stages and money by stage moves.

For a stage and a cohort at an instant: *entered* = moved on + lost + still here. Who passed over a stage is *skipped*,
who was there and is now before it is *returned*; both are counted apart. A card's place is that of its last move.
"""

from dataclasses import dataclass

from django.db import connections
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from analytics.scope import DB
from analytics.tables import Cell, Column, Table, ratio

CELLS = ("entered", "moved_on", "lost", "here", "skipped", "returned")

# What each card of the cohort has been through: its stages and kinds of moves in order. ``cohort``: a query of keys.
FACTS = """
    with cohort as materialized ({cohort}),
    facts as (
      select m.{subject} as id, array_agg(m.to_stage_id order by m.id) as visited, array_agg(m.kind order by m.id) as kinds
      from {moves} m join cohort c on c.id = m.{subject}
      where m.at <= %s group by m.{subject}),
    """
# Cards that went the same way count alike, and there are few ways: stages are held against ways, not against cards.
WAYS = "ways as (select visited, kinds, count(*) as cards from facts group by visited, kinds),"
# Where a card, or all cards of a way, stand by the last move.
PLACED = """placed as (
      select f.*, s.id as stage, s.position as place, s.pipeline_id, f.kinds[cardinality(f.kinds)] as last,
             f.kinds[cardinality(f.kinds)] in ('rejected', 'lost') as lost,
             f.kinds[cardinality(f.kinds)] in ('converted', 'won') as gone
      from {source} f join core_stage s on s.id = f.visited[cardinality(f.visited)])"""
# The place of a card towards one stage; the six cells of the funnel.
TOWARDS = {
    "here": "p.stage = s.id and not p.lost and not p.gone",
    "lost": "p.stage = s.id and p.lost",
    "moved_on": "s.id = any(p.visited) and (p.place > s.position or p.stage = s.id and p.gone)",
    "returned": "s.id = any(p.visited) and p.place < s.position",
    "skipped": "not s.id = any(p.visited) and (p.place > s.position or p.gone)",
}
TOWARDS["entered"] = f"({TOWARDS['here']}) or ({TOWARDS['lost']}) or ({TOWARDS['moved_on']})"


@dataclass
class Step:
    """One stage of the funnel with its counts."""

    kind: str  # lead or deal
    stage: int
    name: str
    counts: dict
    won: int = 0  # cards of the cohort that were won, whatever their stage
    cohort: int = 0  # cards of the cohort, moved or not


def _facts(kind, keys, source="facts"):
    sql, params = keys.query.sql_with_params()
    moves, subject = ("leads_stagemove", "lead_id") if kind == "lead" else ("deals_dealstagemove", "deal_id")
    facts = FACTS.format(cohort=sql, moves=moves, subject=subject)
    return facts + (WAYS if source == "ways" else "") + PLACED.format(source=source), list(params)


def pipeline_of(kind, scope):
    return scope.pipelines.get(kind)


def cohort(kind, scope):
    """Keys of the cohort's leads, or of the deals that these leads became and the reader sees."""
    leads = scope.leads().order_by()
    if kind == "lead":
        return leads.filter(pipeline=pipeline_of("lead", scope)).values("id")
    return (
        scope.deals().filter(lead__in=leads.values("id"), pipeline=pipeline_of("deal", scope)).order_by().values("id")
    )


def steps(kind, scope):
    """The stages of the kind's pipeline with the six counts each, in order."""
    pipeline = pipeline_of(kind, scope)
    if pipeline is None:
        return []
    facts, params = _facts(kind, cohort(kind, scope), "ways")
    conditions = ["p.last = 'won'", *(TOWARDS[name] for name in CELLS)]
    counts = ", ".join(f"coalesce(sum(p.cards) filter (where {condition}), 0)::bigint" for condition in conditions)
    select = f"""select s.id, s.name, (select count(*) from cohort), {counts}
        from core_stage s left join placed p on p.pipeline_id = s.pipeline_id
        where s.pipeline_id = %s group by s.id, s.name, s.position order by s.position, s.id"""  # nosec B608 - constants
    sql = f"{facts} {select}"
    with connections[DB].cursor() as cursor:
        cursor.execute(sql, [*params, scope.as_of, pipeline.pk])
        rows = cursor.fetchall()
    return [
        Step(kind, stage, name, dict(zip(CELLS, cells, strict=True)), won=won, cohort=whole)
        for stage, name, whole, won, *cells in rows
    ]


def keys_of(kind, scope, stage, cell):
    """Keys of exactly the cards that a cell of the funnel counts."""
    facts, params = _facts(kind, cohort(kind, scope))
    places = f"placed p join core_stage s on s.id = %s and s.pipeline_id = p.pipeline_id where {TOWARDS[cell]}"
    sql = f"{facts} select p.id from {places}"  # nosec B608 - constants; values are parameters
    with connections[DB].cursor() as cursor:
        cursor.execute(sql, [*params, scope.as_of, stage])
        return [row[0] for row in cursor.fetchall()]


def won_keys(scope):
    """Keys of the cohort's deals that were won by the instant of the report."""
    facts, params = _facts("deal", cohort("deal", scope))
    with connections[DB].cursor() as cursor:
        sql = f"{facts} select id from placed where last = 'won'"  # nosec B608 - constants; values are parameters
        cursor.execute(sql, [*params, scope.as_of])
        return [row[0] for row in cursor.fetchall()]


def table(scope):
    """The end-to-end funnel as a table: enquiries, lead stages, deal stages, won."""
    lead_steps, deal_steps = steps("lead", scope), steps("deal", scope)
    enquiries = lead_steps[0].cohort if lead_steps else 0
    won = deal_steps[0].won if deal_steps else 0
    rows = [_edge(_("Enquiries"), enquiries, "leads", enquiries)]
    rows += [_row(step, enquiries) for step in lead_steps]
    rows += [_row(step, enquiries) for step in deal_steps]
    rows.append(_edge(_("Won deals"), won, "funnel_won", enquiries))
    notes = [
        _(
            "Skipped: cards that passed over the stage. Returned: those that were there and went back. Neither is entered."
        )
    ]
    return Table(_("Funnel"), _columns(), rows, notes=notes)


def _columns():
    return [
        Column(_("Stage"), "text"),
        Column(_("Entered"), hint=_("Moved on + lost + still here")),
        Column(_("Of enquiries"), "percent"),
        Column(_("Moved on")),
        Column(_("Conversion"), "percent", _("Moved on ÷ entered")),
        Column(pgettext("funnel", "Lost")),
        Column(_("Still here")),
        Column(_("Skipped"), hint=_("Passed over this stage; not among the entered")),
        Column(_("Returned"), hint=_("Were here and went back; not among the entered")),
    ]


def _row(step, enquiries):
    n = step.counts

    def cell(name):
        return Cell(n[name], f"funnel_{step.kind}", {"stage": step.stage, "cell": name})

    return [
        Cell(step.name),
        cell("entered"),
        Cell(ratio(n["entered"], enquiries)),
        cell("moved_on"),
        Cell(ratio(n["moved_on"], n["entered"])),
        cell("lost"),
        cell("here"),
        cell("skipped"),
        cell("returned"),
    ]


def _edge(name, value, cell, enquiries):
    return [Cell(name), Cell(value, cell), Cell(ratio(value, enquiries)), *[Cell(None) for _n in range(6)]]


def differences(scope):
    """How often the funnel contradicts itself or the cards' own columns (0 is right)."""
    wrong = 0
    for kind in ("lead", "deal"):
        for step in steps(kind, scope):
            n = step.counts
            wrong += n["entered"] != n["moved_on"] + n["lost"] + n["here"]
            wrong += any(len(keys_of(kind, scope, step.stage, cell)) != n[cell] for cell in CELLS)
    return wrong
