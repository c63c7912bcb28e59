"""Every stored number against a recount from the event tables; 0 differences is right."""

from django.db import connection

from analytics.reports import flow, funnel, sources

LAST_MOVE = """
    select count(*) from {card} c
    left join lateral (select to_stage_id, kind from {move} m where m.{subject} = c.id order by m.id desc limit 1) m on true
    where m.to_stage_id is distinct from c.stage_id
       or c.status <> case when m.kind in ({closing}) then m.kind else 'open' end"""

CHECKS = {
    # The card's place and state are those of its last move, and it has moved as often as its moves say.
    "lead_stages": LAST_MOVE.format(
        card="leads_lead", move="leads_stagemove", subject="lead_id", closing="'converted', 'rejected'"
    ),
    "deal_stages": LAST_MOVE.format(
        card="deals_deal", move="deals_dealstagemove", subject="deal_id", closing="'won', 'lost'"
    ),
    "lead_entries": """
        select count(*) from leads_lead l
        where (select count(*) from leads_stagemove m where m.lead_id = l.id and m.from_stage_id is null) <> 1""",
    # The owner is who the last assignment with a receiver named, or nobody.
    "assignments": """
        select count(*) from leads_lead l
        left join lateral (select to_owner_id from leads_assignment a
                           where a.lead_id = l.id and a.to_owner_id is not null order by a.id desc limit 1) a on true
        where l.owner_id is not null and a.to_owner_id is distinct from l.owner_id""",
    # A converted lead has its deal, and no deal's lead is unconverted.
    "conversions": """
        select (select count(*) from leads_lead l where l.status = 'converted'
                 and not exists (select 1 from deals_deal d where d.lead_id = l.id))
             + (select count(*) from deals_deal d join leads_lead l on l.id = d.lead_id
                 where l.status = 'rejected' and l.merged_into_id is null)""",
    "deal_amounts": """
        select count(*) from deals_deal d join (
          select deal_id, sum(round(quantity * price * (100 - discount) / 100, 2)) as total
          from deals_dealline group by deal_id) t on t.deal_id = d.id
        where d.amount is distinct from t.total""",
    "next_steps": """
        select count(*) from leads_lead l where l.status = 'open' and l.next_step_at is distinct from (
          select min(due_at) from leads_task t where t.lead_id = l.id and t.done_at is null and t.deal_ref is null)""",
    # Every receipt is in exactly one known state, and what became a lead has it.
    "ledger": """
        select count(*) from leads_submission
        where state not in ('waiting', 'lead', 'merged', 'spam', 'rejected', 'error')
           or state = 'lead' and lead_id is null and person_id is not null""",
    "receipts_without_reason": """
        select count(*) from leads_submission where state in ('spam', 'rejected', 'error') and reason = ''""",
    # Every row of a list is in exactly one of the four counts.
    "imports": """
        select count(*) from leads_import i
        cross join lateral (
          select count(*) as n, count(*) filter (where r.state = 'created') as created,
                 count(*) filter (where r.state = 'updated') as updated,
                 count(*) filter (where r.state = 'skipped') as skipped,
                 count(*) filter (where r.state = 'failed') as failed
          from leads_importrow r where r.of_id = i.id) r
        where r.n <> i.rows or r.created <> i.created or r.updated <> i.updated or r.skipped <> i.skipped
           or r.failed <> i.failed""",
    "letters_twice": """
        select count(*) from (select dedup from leads_message where dedup is not null group by 1 having count(*) > 1) d""",
}


def event_checks():
    """{name: differences} of the plain recounts."""
    found = {}
    with connection.cursor() as cursor:
        for name, sql in CHECKS.items():
            cursor.execute(sql)
            found[name] = cursor.fetchone()[0]
    return found


def report_checks(scope):
    """Reports against each other: funnel, sources and the days count the same enquiries and the same money."""
    whole = scope.leads().count()
    by_source = sources.numbers(scope)
    return {
        "funnel": funnel.differences(scope),
        "sources": abs(sum(n["all"] for _o, n, _m in by_source) - whole),
        "new_leads": abs(sum(n for _day, n, _c in flow.new_leads(scope)) - whole),
        "pipeline": abs(sum(n for _s, n, _m, _w in flow.pipeline(scope)) - flow.open_deals(scope).count()),
    }
