"""The only writer of the timeline."""

from django.db import transaction
from django.db.models.functions import Now

from crm.core.copying import blank, copy_in, copy_objects
from crm.core.jobs import enqueue, enqueue_many
from leads.models import Interaction, Kind, Lead, Person
from leads.models.interactions import HUMAN_TOUCHES, REACTING

# Noise of the machine's own doing does not lift a card in the lists; what makes a card finds it on top already.
QUIET = {
    "captured",
    "imported",
    "band_changed",
    "qualified",
    "owner_changed",
    "parked",
    "email_opened",
    "tagged",
    "task_set",
    "merged",
    "unmerged",
    "auto_reply",
    "bounced",
}


@transaction.atomic(savepoint=False)
def record(subject, kind, /, *, by=None, at=None, text="", deal=None, submission=None, message=None, **details):
    """Write what happened to a lead (or, without one, a person) in the transaction of the change itself.

    ``deal`` is the key of a deal; ``details`` must be JSON. Kinds in REACTING set the automation going. Returns the
    Interaction.
    """
    lead = subject if isinstance(subject, Lead) else None
    row = Interaction(
        person_id=lead.person_id if lead else subject.pk if isinstance(subject, Person) else None,
        lead=lead,
        deal_ref=deal,
        kind=kind,
        by=by,
        text=text,
        details=details,
        submission=submission,
        message=message,
    )
    if at is not None:
        row.at = at
    row.save(force_insert=True)
    if lead and kind not in QUIET and not (by is None and kind == Kind.EMAIL_OUT):
        lift(lead, answered=by is not None and kind in HUMAN_TOUCHES)
    if lead and kind in REACTING:
        enqueue("crm.react", row.pk)
    return row


@transaction.atomic(savepoint=False)
def amend(row, *, kind, by=None, at=None, text=None, **details):
    """Correct a row that mirrors something which became known in pieces (a call); returns whether it said otherwise."""
    fresh = {"kind": kind, "by_id": by.pk if by else None, "details": row.details | details, "at": at or row.at}
    fresh |= {} if text is None else {"text": text}
    if all(getattr(row, name) == value for name, value in fresh.items()):
        return False
    for name, value in fresh.items():
        setattr(row, name, value)
    row.save(update_fields=["kind", "by", "details", "at", "text"])
    if row.lead_id:
        lift(row.lead, answered=by is not None and kind in HUMAN_TOUCHES)
        if kind in REACTING:
            enqueue("crm.react", row.pk)
    return True


def lift(lead, *, answered=False):
    """Note activity on the lead; ``answered``: a colleague has reacted, the speed-to-lead clock stops."""
    changes = {"active_at": Now()}
    if answered and lead.waiting_since:
        changes["waiting_since"] = None
        lead.waiting_since = None
        if lead.answered_at is None:
            changes["answered_at"] = Now()
    Lead.objects.filter(pk=lead.pk).update(**changes)


@transaction.atomic(savepoint=False)
def record_many(rows):
    """Write many Interaction rows in sets, with their jobs; does not lift cards. Returns them with keys."""
    made = copy_objects(list(rows))
    enqueue_many("crm.react", [row.pk for row in made if row.lead_id and row.kind in REACTING])
    return made


def record_quietly(rows):
    """COPY rows (dicts by column) of kinds that set nothing going; for lists. The caller is in a transaction."""
    if loud := {row["kind"] for row in rows} & {str(kind) for kind in REACTING}:
        raise ValueError(f"{loud} would have to be reacted to")
    base = blank(Interaction)
    copy_in(Interaction, [base | row for row in rows])
