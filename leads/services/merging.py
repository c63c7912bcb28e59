"""Two cards of one human being become one, field by field; ``unmerging`` makes them two again at any later time.

Nothing is copied: rows change their owner, and the Merge row keeps which. Where both have an open lead, these become
one too; the other is closed as a duplicate.
"""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.apps import apps
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.db.models import ForeignKey, Max, UniqueConstraint
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import override, pgettext

from crm.core import funnel
from crm.core.models import Organisation, Reason
from leads.models import Interaction, Kind, Lead, Merge, Person, StageMove, Status
from leads.services import cards
from leads.services.funnel import CLOSING
from leads.services.intake import lock_signs
from leads.services.tasks import plan
from leads.services.timeline import record
from leads.story import LABELS, said

PERSON_FIELDS = ("name", "company", "job_title", "city", "language", "birthday", "sex", "preferences", "owner")
LEAD_FIELDS = cards.FIELDS
# What stays with a lead that goes: how it went through its funnel, who had it, what was sent by itself, its deal.
STAYS = {"leads.StageMove", "leads.Assignment", "leads.Referral", "nurturing.Enrolment", "deals.Deal"}
CHUNK = 5000
# Words for fields that a lead has too.
OF_PERSON = {"name": lambda: pgettext("person", "name"), "owner": lambda: _("Account owner")}


@dataclass(frozen=True)
class Choice:
    """One field of the two cards; ``pick``: whose value is proposed."""

    name: str  # of the form
    label: str
    own: object
    other: object
    pick: str  # "own" or "other"

    @property
    def of_lead(self):
        return self.name.startswith("lead.")

    @property
    def differs(self):
        return self.own != self.other

    @property
    def shown(self):
        """Both values as people read them."""
        name = self.name.partition(".")[2]
        words = dict(Person._meta.get_field("sex").flatchoices) if name == "sex" else {}
        return [words.get(value) or said(name, value) for value in (self.own, self.other)]


def open_lead_of(person):
    return (
        Lead.objects.filter(person=person, status=Status.OPEN)
        .select_related("company", "owner")
        .order_by("-id")
        .first()
    )


def _choices(prefix, names, own, other):
    for name in names:
        one, two = getattr(own, name), getattr(other, name)
        pick = "other" if one in (None, "") and two not in (None, "") else "own"
        label = OF_PERSON[name]() if name in OF_PERSON else LABELS.get(name) or own._meta.get_field(name).verbose_name
        yield Choice(f"{prefix}.{name}", capfirst(str(label)), one, two, pick)


def choices(person, other):
    """What the two cards say, side by side; the leads' fields only where both have an open lead."""
    found = list(_choices("person", PERSON_FIELDS, person, other))
    lead, other_lead = open_lead_of(person), open_lead_of(other)
    if lead and other_lead:
        found += _choices("lead", LEAD_FIELDS, lead, other_lead)
    return found


def check(person, other, by):
    """Raise where these two cannot be merged, or not by this colleague."""
    if person.pk == other.pk:
        raise ValidationError(_("This is the same card."))
    if person.merged_into_id or other.merged_into_id:
        raise ValidationError(_("One of the cards has been merged already."))
    for one in (person, other):
        leads = Lead.objects.filter(person=one, status=Status.OPEN)
        if leads.exclude(pk__in=Lead.objects.editable_by(by).values("pk")).exists():
            raise PermissionDenied(
                _("A colleague works with an open lead of this client; ask a head of sales to merge.")
            )


# --- Merging ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def merge(person, other, picks, *, by):
    """Make ``other`` a part of ``person``; ``picks``: name of a Choice → "own" or "other". Returns the Merge."""
    lock_signs([*person.identities.all(), *other.identities.all()])
    people = {
        row.pk: row for row in Person.objects.select_for_update().filter(pk__in=[person.pk, other.pk]).order_by("pk")
    }
    person, other = people[person.pk], people[other.pk]
    check(person, other, by)
    list(Lead.objects.select_for_update(no_key=True, of=("self",)).filter(person__in=people).order_by("pk"))
    lead, other_lead = open_lead_of(person), open_lead_of(other)
    both = bool(lead and other_lead)
    kept = {"moved": {}, "last": last_keys(), "before": {}, "after": {}, "moves": []}
    _choose(kept, person, other, "person", PERSON_FIELDS, picks)
    if both:
        _join(kept, lead, other_lead, picks, by)
    for model, field in relations(Person):
        _move(kept, model, field, other.pk, person.pk)
    _set(kept, other, merged_into_id=person.pk)
    row = Merge.objects.create(
        person=person,
        other=other,
        lead=lead if both else None,
        other_lead=other_lead if both else None,
        by=by,
        kept=kept,
    )
    _tell(row, Kind.MERGED, by)
    return row


def relations(model):
    """(model, name of the foreign key) of the rows that belong to a person or a lead, of all apps."""
    for relation in model._meta.related_objects:
        label = relation.related_model._meta.label
        if label != "leads.Merge" and not (model is Lead and label in STAYS):
            yield relation.related_model, relation.field.name


def last_keys():
    """The newest key of every table whose rows may go over: what is newer has come since."""
    models = {found for kind in (Person, Lead) for found, _field in relations(kind)}
    return {model._meta.label: model._base_manager.aggregate(last=Max("pk"))["last"] or 0 for model in models}


def _choose(kept, own, other, prefix, names, picks):
    proposed = {choice.name: choice.pick for choice in _choices(prefix, names, own, other)}
    fresh = {}
    for name in names:
        field = own._meta.get_field(name)
        if picks.get(f"{prefix}.{name}", proposed[f"{prefix}.{name}"]) == "other":
            fresh[field.attname] = getattr(other, field.attname)
    if prefix == "lead" and "company_name" in fresh:
        fresh["company_id"] = other.company_id
    _set(kept, own, **fresh)


def _set(kept, row, **fresh):
    """Change columns, keeping what they were and what they are now."""
    key = f"{row._meta.label}:{row.pk}"
    changed = {name: value for name, value in fresh.items() if getattr(row, name) != value}
    for name, value in changed.items():
        kept["before"].setdefault(key, {}).setdefault(name, plain(getattr(row, name)))
        kept["after"].setdefault(key, {})[name] = plain(value)
        row.__dict__[name] = value
    if changed:
        row._meta.model._base_manager.filter(pk=row.pk).update(**changed)


def plain(value):
    """A column's value as JSON keeps it without loss."""
    return (
        value.isoformat() if isinstance(value, datetime | date) else str(value) if isinstance(value, Decimal) else value
    )


def _join(kept, lead, other, picks, by):
    """Two open leads become one: its history, tasks and messages joined, the other closed as a duplicate."""
    _choose(kept, lead, other, "lead", LEAD_FIELDS, picks)
    waits = [moment for moment in (lead.waiting_since, other.waiting_since) if moment]
    tags = [*lead.tags, *(tag for tag in other.tags if tag not in lead.tags)]
    custom = {**other.custom, **lead.custom}
    _set(kept, lead, waiting_since=min(waits, default=None), tags=tags, custom=custom,
         active_at=max(lead.active_at, other.active_at))  # fmt: skip
    for model, field in relations(Lead):
        if _by_interaction(model):
            continue
        _move(kept, model, field, other.pk, lead.pk)
    went = kept["moved"].get(Interaction._meta.label, {}).get("lead", [])
    for model, field in relations(Lead):
        if _by_interaction(model):
            _follow(kept, model, field, went, lead.pk)
    _close(kept, other, by)
    _set(kept, other, merged_into_id=lead.pk)
    for one in (lead, other):
        plan(one)


def _by_interaction(model):
    """Points of the score: each is where the interaction is that gave it."""
    return model is not Interaction and any(f.name == "interaction" for f in model._meta.fields) and any(
        f.name == "lead" for f in model._meta.fields
    ) and model._meta.app_label != "leads"  # fmt: skip


def _follow(kept, model, field, interactions, to):
    keys = set()
    for start in range(0, len(interactions), CHUNK):
        part = interactions[start : start + CHUNK]
        keys |= set(model._base_manager.filter(interaction__in=part).values_list("pk", flat=True))
    for inner in model._meta.fields:
        if isinstance(inner, ForeignKey) and inner.related_model is model:  # their decay
            keys |= set(model._base_manager.filter(**{f"{inner.name}__in": keys}).values_list("pk", flat=True))
    _take_over(kept, model, field, sorted(keys), to)


def _move(kept, model, field, former, to):
    keys = list(model._base_manager.filter(**{field: former}).order_by("pk").values_list("pk", flat=True))
    _take_over(kept, model, field, keys, to)


def _take_over(kept, model, field, keys, to):
    keys = point(model, field, keys, to)
    if keys:
        kept["moved"].setdefault(model._meta.label, {}).setdefault(field, []).extend(keys)


def point(model, field, keys, to):
    """Point rows at another card; returns the keys of those that could (some may be there once only)."""
    rows = model._base_manager
    alone = any(isinstance(c, UniqueConstraint) and field in c.fields for c in model._meta.constraints)
    if alone or model._meta.get_field(field).unique:
        return [pk for pk in keys if _point_one(rows, pk, field, to)]
    for start in range(0, len(keys), CHUNK):
        rows.filter(pk__in=keys[start : start + CHUNK]).update(**{field: to})
    return keys


def _point_one(rows, pk, field, to):
    try:
        with transaction.atomic():
            return bool(rows.filter(pk=pk).update(**{field: to}))
    except IntegrityError:
        return False


def duplicate_reason():
    with override(Organisation.get().language):
        name = _("Duplicate")
    return Reason.objects.get_or_create(kind="lead", name=name)[0]


def _close(kept, lead, by):
    """Closed as a duplicate on its funnel; the undo takes the move back."""
    before = {name: getattr(lead, lead._meta.get_field(name).attname) for name in CLOSING}
    lead.reject(duplicate_reason())
    lead.waiting_since, lead.parked_until = None, None
    kept["moves"].append(funnel.close(lead, StageMove.Kind.REJECTED, by=by, reason=lead.rejected_reason).pk)
    lead.save(update_fields=CLOSING)
    key = f"{lead._meta.label}:{lead.pk}"
    for name in CLOSING:
        column = lead._meta.get_field(name).attname
        kept["before"].setdefault(key, {})[column] = plain(before[name])
        kept["after"].setdefault(key, {})[column] = plain(getattr(lead, column))


def _tell(row, kind, by):
    """Both cards' histories say so; the leads are scored anew by the reaction."""
    details = {"merge": row.pk, "name": str(row.other), "other": row.other_id}
    lead = row.lead or open_lead_of(row.person)
    record(lead or row.person, kind, by=by, **details)
    other_lead = row.other_lead if kind == Kind.MERGED else row.other_lead or open_lead_of(row.other)
    if other_lead:
        record(other_lead, kind, by=by, **(details | {"name": str(row.person), "other": row.person_id}))
    elif kind != Kind.MERGED:
        record(row.other, kind, by=by, **(details | {"name": str(row.person), "other": row.person_id}))


def model_of(label):
    return apps.get_model(label)
