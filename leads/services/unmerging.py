"""A merge undone, however late: both cards as they were, and what has come since goes to the one it came from.

Where something came from is told by its signs (the phone that called, the address that wrote, what a receipt holds)
and by what hangs on these; what tells nothing stays with the card that stayed.
"""

from datetime import date, datetime
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from leads.models import Identity, Kind, Lead, Merge, Person, StageMove, Submission
from leads.services import merging
from leads.services.intake import lock_signs
from leads.services.merging import model_of, plain, point, relations
from leads.services.tasks import plan


@transaction.atomic
def undo(merge, *, by):
    """Make two cards of one again; returns the Merge. Raises ValidationError where a later merge is in the way."""
    merge = Merge.objects.select_for_update().get(pk=merge.pk)
    people = {
        p.pk: p
        for p in Person.objects.select_for_update().filter(pk__in=[merge.person_id, merge.other_id]).order_by("pk")
    }
    if merge.undone_at:
        return merge
    if len(people) < 2:
        raise ValidationError(_("One of the cards has been deleted since; there is nothing to restore."))
    merge.person, merge.other = people[merge.person_id], people[merge.other_id]
    _check_order(merge)
    lock_signs([*merge.person.identities.all()])
    list(Lead.objects.select_for_update(no_key=True, of=("self",)).filter(person__in=people).order_by("pk"))
    since = _Since(merge)
    _give_back(merge)
    since.share_out()
    StageMove.objects.filter(pk__in=merge.kept["moves"]).delete()
    _restore(merge.kept)
    for pk in filter(None, (merge.lead_id, merge.other_lead_id)):
        plan(Lead.objects.get(pk=pk))
    merge.undone_at, merge.undone_by = timezone.now(), by
    merge.save(update_fields=["undone_at", "undone_by"])
    merge.lead, merge.other_lead = (Lead.objects.filter(pk=pk).first() for pk in (merge.lead_id, merge.other_lead_id))
    merging._tell(merge, Kind.UNMERGED, by)
    return merge


def _check_order(merge):
    later = Merge.objects.filter(pk__gt=merge.pk, undone_at=None)
    if later.filter(other=merge.person_id).exists():
        raise ValidationError(_("This card has itself been merged into another since: undo that first."))
    if later.filter(person=merge.person_id, lead=merge.lead_id).exclude(lead=None).exists():
        raise ValidationError(_("Another card has been merged into this one since: undo that first."))


def _give_back(merge):
    """The rows that went over, where they still are."""
    for label, fields in merge.kept["moved"].items():
        model = model_of(label)
        for field, keys in fields.items():
            lead = model._meta.get_field(field).related_model is Lead
            here, there = (merge.lead_id, merge.other_lead_id) if lead else (merge.person_id, merge.other_id)
            for start in range(0, len(keys), merging.CHUNK):
                part = keys[start : start + merging.CHUNK]
                still = model._base_manager.filter(pk__in=part, **{field: here}).values_list("pk", flat=True)
                point(model, field, list(still), there)


def _restore(kept):
    """Columns that still say what the merge wrote; what a colleague has changed since stays."""
    for key, before in kept["before"].items():
        label, _colon, pk = key.partition(":")
        model = model_of(label)
        row = model._base_manager.filter(pk=pk).first()
        after = kept["after"].get(key, {})
        back = {
            name: _value(model, name, value)
            for name, value in before.items()
            if row is not None and plain(getattr(row, name)) == after.get(name)
        }
        if back:
            model._base_manager.filter(pk=pk).update(**back)


def _value(model, name, value):
    """What JSON kept, as the column takes it."""
    field = model._meta.get_field(name.removesuffix("_id")) if name.endswith("_id") else model._meta.get_field(name)
    kind = field.get_internal_type()
    if value is None or kind == "ForeignKey":
        return value
    if kind == "DateTimeField":
        return datetime.fromisoformat(value)
    if kind == "DateField":
        return date.fromisoformat(value)
    return Decimal(value) if kind == "DecimalField" else value


# --- What has come since ------------------------------------------------------------------------------------------------


class _Since:
    """Rows of the merged card that are newer than the merge, and whose each of them is; read before anything moves."""

    def __init__(self, merge):
        self.merge, self.last = merge, merge.kept["last"]
        moved = set(merge.kept["moved"].get(Identity._meta.label, {}).get("person", []))
        signs = list(merge.person.identities.all())
        newer = self.last.get(Identity._meta.label, 0)
        self.theirs = {(s.kind, s.value) for s in signs if s.pk in moved}
        self.ours = {(s.kind, s.value) for s in signs if s.pk not in moved and s.pk <= newer}
        self.receipts = self._receipts()
        self.calls, self.letters = {}, {}

    def _receipts(self):
        """Receipts since the merge that came of the other person."""
        rows = Submission.objects.filter(person=self.merge.person_id, pk__gt=self._newest(Submission))
        found = set()
        for pk, parsed in rows.values_list("pk", "parsed"):
            said = {(s.get("kind"), s.get("value")) for s in _signs_of(parsed)}
            if said & self.theirs and not said & self.ours:
                found.add(pk)
                self.theirs |= said
        return found

    def _newest(self, model):
        return self.last.get(model._meta.label, 0)

    def share_out(self):
        """Point what is the other's at the other's card."""
        merge, taken = self.merge, {}
        for model, _field in relations(Person):
            rows = model._base_manager.filter(person=merge.person_id, pk__gt=self._newest(model)).order_by("pk")
            taken[model] = [row.pk for row in self._slim(model, rows) if self._is_theirs(row)]
        for model, field in relations(Person):
            point(model, field, taken[model], merge.other_id)
            if merge.lead_id and any(f.name == "lead" for f in model._meta.fields) and taken[model]:
                here = model._base_manager.filter(pk__in=taken[model], lead=merge.lead_id).values_list("pk", flat=True)
                point(model, "lead", list(here), merge.other_lead_id)
        self._with_leads(taken.get(Lead, []))

    def _slim(self, model, rows):
        """Without what a row carries besides its signs."""
        heavy = {"body", "headers", "html", "text", "data"} & {field.name for field in model._meta.fields}
        return rows.defer(*heavy) if heavy else rows

    def _with_leads(self, leads):
        """Everything that hangs on a lead that is the other's."""
        for model, _field in relations(Lead):
            if any(f.name == "person" for f in model._meta.fields):
                rows = model._base_manager.filter(lead__in=leads, person=self.merge.person_id)
                point(model, "person", list(rows.values_list("pk", flat=True)), self.merge.other_id)

    def _is_theirs(self, row):
        said = self._said(row)
        if said:
            return bool(said & self.theirs) and not said & self.ours
        if getattr(row, "submission_id", None):
            return row.submission_id in self.receipts
        if isinstance(row, Submission):
            return row.pk in self.receipts
        return self._by_what_hangs_on_it(row)

    def _said(self, row):
        """The signs that a row itself holds: of a call, a letter, a message, a sign just learnt."""
        if isinstance(row, Identity):
            return {(row.kind, row.value)}
        words = {getattr(row, name, "") for name in ("client", "to", "sender", "chat", "visitor")} - {"", None}
        return {(kind, word) for kind, word in self.theirs | self.ours if word in words}

    def _by_what_hangs_on_it(self, row):
        """A lead by its receipts, an interaction by its letter or call, a task by what asked for it."""
        if isinstance(row, Lead):
            return Submission.objects.filter(lead=row.pk, pk__in=self.receipts).exists()
        message = getattr(row, "message_id", None) and row.message
        call = getattr(row, "phone_call", None) if hasattr(type(row), "phone_call") else None
        inner = message or call
        if inner:
            return bool(self._said(inner) & self.theirs) and not self._said(inner) & self.ours
        mark = str(getattr(row, "dedup", "") or "")
        return mark.startswith("enquiry:") and mark.rpartition(":")[2] in {str(pk) for pk in self.receipts}


def _signs_of(parsed):
    """The identities that a receipt was read as: of an enquiry, or of the events in it."""
    if not isinstance(parsed, dict):
        return []
    said = [sign for sign in parsed.get("identities") or [] if isinstance(sign, dict)]
    for event in parsed.get("events") or []:
        if isinstance(event, dict):
            said += [{"kind": "phone", "value": event.get("client")}, {"kind": "email", "value": event.get("sender")}]
            said += [sign for sign in event.get("identities") or [] if isinstance(sign, dict)]
    return said
