"""From an enquiry to a card: who is it, do they have an open lead, and what does the enquiry add to it.

Every door comes through ``open_lead``: forms, JSON, hand, API. The signs of identity are locked first, so that two
enquiries of one person that arrive at once make one card.
"""

import functools
import hashlib
import re
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import Case, Q, Value, When
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from crm.core.funnel import entry_stage
from crm.core.models import Organisation
from crm.core.notices import notify
from crm.core.recent import recent
from leads import identity
from leads.capture import PSEUDO
from leads.conditions import fold
from leads.models import Consent, Identity, Kind, Lead, PageView, Person, Source, Status, Tombstone, Touch
from leads.services.funnel import enter_funnel
from leads.services.origins import campaign_of, origin_of
from leads.services.people import company_named
from leads.services.tasks import set_task
from leads.services.timeline import record

OWN_FIELDS = (
    "name", "company_name", "job_title", "city", "region", "country", "language", "industry", "company_size",
)  # fmt: skip  # what is known of the person: a later enquiry inherits it
ASKED_FIELDS = ("product", "need", "budget", "authority", "decision_date")  # what this enquiry is about
PERSON_FIELDS = ("name", "job_title", "city", "language")
NORMAL = {"name": identity.person_name, "city": identity.city}


# --- Who is it ------------------------------------------------------------------------------------------------------


def lock_signs(identities, *, graves=()):
    """Take the locks of the signs until the end of the transaction, always in one order.

    Returns whether one of ``graves``, digests of signs, is of somebody who was erased.
    """
    words = {f"{k.kind}:{k.scope}:{k.value}" for k in identities}
    keys = sorted(int.from_bytes(hashlib.blake2b(w.encode(), digest_size=8).digest(), signed=True) for w in words)
    if not keys:
        return False
    sql = """
        with held as materialized (select pg_advisory_xact_lock(k) from unnest(%s::bigint[]) k)
        select count(*), exists (select from leads_tombstone where digest = any(%s::varchar[])) from held"""
    with connection.cursor() as cursor:
        cursor.execute(sql, [keys, list(graves)])
        return cursor.fetchone()[1]


def _probe(identities):
    """The rows of these signs, with their people: one look at the index. A visitor's id merges nobody."""
    wanted = Q()
    for kind, scope in {(k.kind, k.scope) for k in identities if k.kind != Identity.Kind.VISITOR}:
        values = [k.value for k in identities if (k.kind, k.scope) == (kind, scope)]
        wanted |= Q(kind=kind, scope=scope, value__in=values)
    return list(Identity.objects.filter(wanted).select_related("person").order_by("id")) if wanted else []


def choose(rows, identities, name=""):
    """(person, others) of the rows found: who has most of the signs, the earlier sign deciding between equals.

    A sign that several people share (a switchboard, a role mailbox) counts only together with the name.
    """
    if not rows:
        return None, []
    rank = {(k.kind, k.scope, k.value): place for place, k in enumerate(identities)}
    votes = {}
    for row in rows:
        if (row.is_shared or of_many(row.kind, row.value)) and (not name or fold(row.person.name) != fold(name)):
            continue
        count, best = votes.get(row.person_id, (0, len(rank)))
        votes[row.person_id] = (count + 1, min(best, rank[(row.kind, row.scope, row.value)]))
    if not votes:
        return None, []
    order = sorted(votes, key=lambda pk: (-votes[pk][0], votes[pk][1], pk))
    return next(row.person for row in rows if row.person_id == order[0]), order[1:]


def of_many(kind, value):
    """Whether a sign is that of many people by the company's settings: a switchboard, a role mailbox."""
    return many()(kind, value)


def many():
    """``of_many`` for a set of signs: the settings are read once."""
    organisation = Organisation.get()
    boxes, boards = organisation.role_mailboxes.lower().split(), _switchboards(organisation.shared_phones)
    return lambda kind, value: (
        value.partition("@")[0] in boxes if kind == "email" else kind == "phone" and value in boards
    )


@functools.lru_cache(8)
def _switchboards(text):
    return frozenset(number.e164 for part in re.split(r"[,;\n]+", text) if (number := identity.phone(part)))


def match(identities, *, name=""):
    """The person known by these signs (``leads.identity.Known``), or None."""
    identities = list(identities)
    return choose(_probe(identities), identities, name)[0]


def _learn(person, identities, rows):
    """Add the signs that the person did not have; what is somebody else's stays theirs, unless it is shared anyway."""
    own = {(r.kind, r.scope, r.value) for r in rows if r.person_id == person.pk}
    shared = {(r.kind, r.scope, r.value) for r in rows if r.is_shared}
    fresh = [
        Identity(
            person=person, kind=k.kind, scope=k.scope, value=k.value, raw=k.raw, extension=k.extension,
            is_shared=(k.kind, k.scope, k.value) in shared or of_many(k.kind, k.value),
        )
        for k in identities
        if (k.kind, k.scope, k.value) not in own
    ]  # fmt: skip
    if fresh:
        Identity.objects.bulk_create(fresh, ignore_conflicts=True)


def _meet(visitor, person):
    """The site visitor is this person from now on, and what they have read so far is theirs."""
    moved = Identity.objects.filter(kind=Identity.Kind.VISITOR, scope="", value=visitor).update(person=person)
    if not moved:
        Identity.objects.bulk_create([Identity(person=person, kind="visitor", value=visitor)], ignore_conflicts=True)
    PageView.objects.filter(visitor=visitor, person=None).update(person=person)


# --- The card -------------------------------------------------------------------------------------------------------


def _normal(fields):
    """Fields that a lead has, normalised; empty ones left out."""
    names = (*OWN_FIELDS, *ASKED_FIELDS, "tags", "custom")
    kept = {name: NORMAL.get(name, lambda value: value)(fields[name]) for name in names if name in fields}
    return {name: value for name, value in kept.items() if value not in (None, "", [], {})}


def _contacts(identities):
    first = {}
    for known in identities:
        if known.kind in {"phone", "email"}:
            first.setdefault(known.kind, known.value)
    return first


def _person(fields, company):
    return Person.objects.create(company=company, **{n: fields[n] for n in PERSON_FIELDS if n in fields})


def _complete_person(person, fields, company):
    changes = {n: fields[n] for n in PERSON_FIELDS if n in fields and not getattr(person, n)}
    if company and not person.company_id:
        changes["company"] = company
    for name, value in changes.items():
        setattr(person, name, value)
    if changes:
        Person.objects.filter(pk=person.pk).update(**changes)


def _latest(person):
    """The person's open lead, else the last one, locked; None for who has none."""
    first_open = Case(When(status=Status.OPEN, then=Value(0)), default=Value(1))
    return Lead.objects.select_for_update(no_key=True).filter(person=person).order_by(first_open, "-id").first()


class Erased(Exception):
    """This is somebody who was deleted on purpose; nothing has been written."""


def open_lead(*, identities, by=None, **enquiry):
    """Make a lead of an enquiry, or add it to the person's open one; see ``_open``. Raises Erased.

    A sign of somebody who was erased makes no new card, unless it has become somebody else's since. What a colleague
    enters by hand is taken: they know whom they speak with.
    """
    made = _open(identities=list(identities), by=by, **enquiry)
    if made is None:
        raise Erased
    return made


@transaction.atomic(savepoint=False)
def _open(
    *,
    fields,
    identities,
    source,
    submission=None,
    by=None,
    marks=None,
    at=None,
    consent=False,
    visitor="",
    details=None,
):
    """Make a lead of an enquiry, or add it to the person's open one; returns ``(lead, "lead" | "merged")``.

    None, and nothing written, where it is somebody who was erased.
    ``fields``: by the names of Lead's fields; ``identities``: ``leads.identity.Known``; ``marks``: utm_* and click ids;
    ``at``: when it arrived; ``details``: goes to the interaction. Records CAPTURED or RECAPTURED, which set the
    automation going; enters the funnel and starts the clock. Human data are never overwritten.
    """
    identities, fields, at = list(identities), _normal(fields), at or timezone.now()
    erased = lock_signs(identities, graves=[Tombstone.digest_of(k.kind, k.value, k.scope) for k in identities])
    rows = _probe(identities)
    person, others = choose(rows, identities, fields.get("name", ""))
    if erased and person is None and by is None:
        return None
    company = company_named(fields.get("company_name", ""))
    origin = origin_of(marks or {}, source)
    details = {"source": source.name, **(details or {})} | ({"also": others} if others else {})
    previous = None
    if person:
        previous = _latest(person)
        _complete_person(person, fields, company)
    else:
        person = _person(fields, company)
    _learn(person, identities, rows)
    facts = {**fields, **_contacts(identities)}
    if previous and previous.status == Status.OPEN:
        lead, outcome = _merge(previous, facts, origin, marks, at, details, submission, by), "merged"
    else:
        lead, outcome = (
            _new(person, company, facts, origin, marks, source, at, details, submission, by, previous),
            "lead",
        )
    _trace(lead, origin, marks, at, submission, consent, visitor, source)
    return lead, outcome


def _trace(lead, origin, marks, at, submission, consent, visitor, source):
    """Where the person came from, what they agreed to, who the visitor of the site was."""
    Touch.objects.create(
        lead=lead, person_id=lead.person_id, submission=submission, at=at, origin=origin, marks=marks or {}
    )
    if consent and source.consent_id:
        Consent.objects.create(person_id=lead.person_id, text_id=source.consent_id, submission=submission, given_at=at)
    if visitor:
        _meet(visitor, lead.person)


@recent
def first_stage():
    return entry_stage("lead")


def _new(person, company, facts, origin, marks, source, at, details, submission, by, previous):
    stage, campaign = first_stage(), campaign_of(marks)
    if stage is None:
        raise LookupError("there is no default lead funnel")
    if previous:  # a client comes back: what is known of them comes along
        known = {n: getattr(previous, n) for n in (*OWN_FIELDS, "phone", "email")}
        facts = {n: v for n, v in known.items() if v not in (None, "")} | facts
        details |= {"returning": True, "previous_lead": previous.pk, "previous_status": previous.status}
        details["previous_owner"] = previous.owner_id
    lead = Lead.objects.create(
        person=person, company=company or person.company, source=source, pipeline=stage.pipeline, stage=stage,
        first_origin=origin, last_origin=origin, first_campaign=campaign, last_campaign=campaign,
        created_at=at, active_at=at, waiting_since=at, stage_entered_at=at, **facts,
    )  # fmt: skip
    enter_funnel(lead, by=by, at=at)
    record(lead, Kind.CAPTURED, by=by, at=at, submission=submission, text=facts.get("need", ""), **details)
    return lead


def _merge(lead, facts, origin, marks, at, details, submission, by):
    changes, conflicts = _additions(lead, facts)
    if conflicts:
        details["conflicts"] = conflicts
    if lead.waiting_since is None:
        changes["waiting_since"] = at
    if origin:
        changes |= {"last_origin": origin, "last_campaign": campaign_of(marks)}
    for name, value in changes.items():
        setattr(lead, name, value)
    if changes:
        Lead.objects.filter(pk=lead.pk).update(**changes)
    record(lead, Kind.RECAPTURED, by=by, at=at, submission=submission, text=str(facts.get("need", "")), **details)
    _tell_owner(lead, submission, by)
    return lead


def _additions(lead, facts):
    """(changes, conflicts): empty fields to fill, and what the enquiry says otherwise than the card."""
    changes, conflicts = {}, {}
    for name, value in facts.items():
        have = getattr(lead, name)
        if name == "custom":
            if fresh := {key: item for key, item in value.items() if key not in have}:
                changes["custom"] = {**have, **fresh}
        elif name == "tags":
            if fresh := [tag for tag in value if tag not in have]:
                changes["tags"] = [*have, *fresh]
        elif have in (None, ""):
            changes[name] = value
        elif name != "need" and fold(have) != fold(value):
            conflicts[name] = str(value)
    return changes, conflicts


def _tell_owner(lead, submission, by):
    """The owner of an open card learns of a new enquiry at once and has it as a task; one open task at a time."""
    if lead.owner_id is None or lead.owner_id == (by.pk if by else None):
        return
    notify(lead.owner, "returned", url=reverse("leads:card", args=[lead.pk]), lead=lead.pk, name=str(lead))
    prefix = f"enquiry:{lead.pk}:"
    if lead.tasks.filter(done_at=None, dedup__startswith=prefix).exists():
        return
    due_at = timezone.now() + timedelta(minutes=Organisation.get().missed_call_minutes)
    with override(Organisation.get().language_for(lead.owner)):
        title = _("Answer the enquiry")
    mark = submission.pk if submission else timezone.now().timestamp()
    set_task(lead, title=title, due_at=due_at, assignee=lead.owner, dedup=f"{prefix}{mark}")


# --- Sources without an address -------------------------------------------------------------------------------------


def pseudo_source(kind):
    """The source of leads that come by no address: a key of PSEUDO; made, in our language, when first asked for."""
    found = Source.objects.select_related("origin").filter(key=kind).first()
    if found:
        return found
    with override(Organisation.get().language):
        row = {"name": str(PSEUDO[kind]), "adapter": kind, "channel": kind}
    return Source.objects.get_or_create(key=kind, defaults=row)[0]
