"""Opens and clicks: each kept as it came, judged human or machine a moment later, counted once.

A hit that could be a human's waits ``letters.WINDOW`` for its neighbours: a security gateway that walks all links of a
letter gives itself away only by the second one. Until then the row says ``pending`` and counts as nobody's.
"""

from datetime import timedelta

from django.db import transaction

from crm.core.jobs import clock, enqueue
from leads import letters
from leads.models import Engagement, Kind, Message
from leads.services.timeline import record

PENDING = "pending"
WAY_OUT = -1  # the unsubscribe page, as a target beside the links


def sent_message(token):
    """The letter of a token with what judging needs; None for a token that was never given out."""
    return Message.objects.filter(token=token).only("pk", "sent_at", "first_open_at", "lead_id", "tracked").first()


@transaction.atomic
def hit(message, kind, *, method, agent, ip_hash="", link=None, way_out=False):
    """Keep one open or click; a possible human's is judged with its neighbours by ``leads.judge_hits``."""
    if message.lead_id is None:  # erased: nothing is kept about the person
        return None
    since = None if message.sent_at is None else clock() - message.sent_at
    is_human, reason = letters.judge_hit(method=method, agent=agent, since_sent=since)
    if way_out:
        is_human, reason = False, "way_out"  # looking at the page is neither interest nor a decision
    row = Engagement.objects.create(
        message=message, kind=kind, link=link, is_human=False, reason=PENDING if is_human else reason,
        user_agent=agent[:300], ip_hash=ip_hash,
    )  # fmt: skip
    if is_human:
        enqueue("leads.judge_hits", message.pk, due_at=clock() + letters.WINDOW + timedelta(milliseconds=200))
    return row


@transaction.atomic
def judge_hits(message_pk):
    """Decide on the pending hits of a letter that are old enough to have seen their neighbours."""
    message = Message.objects.select_for_update(no_key=True).get(pk=message_pk)
    pending = list(message.engagements.filter(reason=PENDING).order_by("at", "id"))
    if not pending:
        return
    near = letters.WINDOW
    around = message.engagements.filter(at__gte=pending[0].at - near, at__lte=pending[-1].at + near)
    machine = letters.judge_burst([(row.pk, _target(row), row.at) for row in around.order_by("at", "id")])
    horizon, waiting = clock() - near, False
    human = []
    for row in pending:
        if row.at > horizon:
            waiting = True
            continue
        row.is_human, row.reason = (False, "burst") if row.pk in machine else (True, _why(row, message))
        human += [row] if row.is_human else []
    Engagement.objects.bulk_update(pending, ["is_human", "reason"], batch_size=2000)
    _count(message, human)
    if waiting:
        enqueue("leads.judge_hits", message.pk, due_at=clock() + near)


def _target(row):
    if row.kind == "open":
        return None
    return row.link_id or WAY_OUT


def _why(row, message):
    return letters.judge_hit(method="GET", agent=row.user_agent, since_sent=row.at - message.sent_at)[1]


def _count(message, human):
    """First human open of a letter, and first human click on each of its links, go to the timeline; and to scoring."""
    if not human:
        return
    lead = message.lead
    opened = next((row for row in human if row.kind == "open"), None)
    if opened and message.first_open_at is None:
        message.first_open_at = opened.at
        record(lead, Kind.EMAIL_OPENED, at=opened.at, message=message, text=message.subject)
    known = set(_counted_links(message))
    for row in human:
        if row.kind == "click" and row.link_id and row.link_id not in known:
            known.add(row.link_id)
            message.first_click_at = message.first_click_at or row.at
            what = {"url": row.link.url, "link": row.link_id}
            record(lead, Kind.EMAIL_CLICKED, at=row.at, message=message, text=message.subject, **what)
    message.save(update_fields=["first_open_at", "first_click_at"])


def _counted_links(message):
    rows = message.lead.interactions.filter(message=message, kind=Kind.EMAIL_CLICKED)
    return [details.get("link") for details in rows.values_list("details", flat=True)]
