"""What a colleague does on a lead's card. Every verb is one transaction that writes the timeline as well."""

from decimal import Decimal

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models, transaction
from django.utils.translation import gettext as _

from crm.core.models import User
from crm.core.refusals import Refusal
from leads import identity
from leads.models import Assignment, Identity, Kind, Lead
from leads.services import people
from leads.services.funnel import locked, move_stage
from leads.services.ownership import assign
from leads.services.tasks import finish, set_task
from leads.services.timeline import record

FIELDS = (
    "name", "phone", "email", "company_name", "job_title", "city", "region", "country", "language", "industry",
    "company_size", "product", "need", "budget", "authority", "decision_date",
)  # fmt: skip
RESULTS = ("reached", "no_answer", "busy", "callback", "wrong_number")
CONTACTS = {"phone": Identity.Kind.PHONE, "email": Identity.Kind.EMAIL}
# The client's card follows the lead while it says the same or nothing.
FOLLOWED = ("name", "job_title", "city", "language")
NORMAL = {"name": identity.person_name, "city": identity.city}
TAGS_AT_MOST = 30


def clean(name, value):
    """The value of a lead's field as it is kept; raises ValidationError in the user's language."""
    field = Lead._meta.get_field(name)
    if isinstance(value, str):
        value = value.replace("\r\n", "\n").strip()
        if "\x00" in value:
            raise ValidationError(_("Characters that cannot be shown are not allowed."))
    if value in (None, ""):
        return None if field.null else ""
    if name in CONTACTS:
        return people.normal(CONTACTS[name], value)[0]
    if name in NORMAL:
        value = NORMAL[name](value) or ""
    elif isinstance(field, models.CharField):
        value = " ".join(str(value).split())
    value = field.clean(value, None)
    if isinstance(value, int | Decimal) and value < 0:
        raise ValidationError(_("This cannot be less than zero."))
    return value


def _cleaned(changes):
    values, errors = {}, {}
    for name, value in changes.items():
        try:
            if name not in FIELDS:
                raise ValidationError(_("This field cannot be changed here."))
            values[name] = clean(name, value)
        except ValidationError as error:
            errors[name] = error
    if errors:
        raise ValidationError(errors)
    return values


@transaction.atomic
def edit(lead, changes, *, by):
    """Change fields of the card: normalised, checked, with before and after in the timeline. Returns the lead as saved.

    ``changes``: values by field name (FIELDS). Raises ValidationError with a dict of fields; nothing is changed then.
    """
    values = _cleaned(changes)
    lead = locked(lead)
    before = {name: getattr(lead, name) for name, value in values.items() if getattr(lead, name) != value}
    if not before:
        return lead
    if not (values.get("phone", lead.phone) or values.get("email", lead.email) or _reachable(lead)):
        raise ValidationError(
            {name: _("Leave a phone or an email to answer to.") for name in CONTACTS if name in values}
        )
    for name in before:
        setattr(lead, name, values[name])
    lead.save(update_fields=[*before, *_follow(lead, before, changes, by=by)])
    for name in CONTACTS.keys() & before.keys():
        if before[name]:
            people.release(lead.person, CONTACTS[name], before[name])
    fields = {name: [people.shown(old), people.shown(getattr(lead, name))] for name, old in before.items()}
    record(lead, Kind.EDITED, by=by, fields=fields)
    return lead


def _reachable(lead):
    """A card that never had a phone or e-mail (messenger, imported row) may stay without."""
    return not (lead.phone or lead.email)


def _follow(lead, before, changes, *, by):
    """Carry changes over to identities, company and person; returns the lead's further fields to save."""
    extra = []
    for name in CONTACTS.keys() & before.keys():
        if getattr(lead, name):
            try:
                people.claim(lead.person, CONTACTS[name], changes[name], by=by)
            except ValidationError as error:
                raise ValidationError({name: error}) from error
    person, moved = lead.person, []
    if "company_name" in before:
        former, lead.company = lead.company_id, people.company_named(lead.company_name)
        extra.append("company")
        if person.company_id in (None, former):
            person.company, moved = lead.company, ["company"]
    for name in before.keys() & set(FOLLOWED):
        if getattr(person, name) in ("", before[name]):
            setattr(person, name, getattr(lead, name))
            moved.append(name)
    if moved:
        person.save(update_fields=moved)
    return extra


@transaction.atomic
def tag(lead, *, add=(), remove=(), by):
    """Put tags on and take tags off; case tells no tags apart. Returns the lead as saved."""
    lead = locked(lead)
    gone = {word.strip().casefold() for word in remove}
    tags = [word for word in lead.tags if word.casefold() not in gone]
    for word in add:
        word = " ".join(word.replace("\x00", "").split())
        if len(word) > 40:
            raise ValidationError(Refusal("long_tag"))
        if word and word.casefold() not in {known.casefold() for known in tags}:
            tags.append(word)
    if len(tags) > TAGS_AT_MOST:
        raise ValidationError(Refusal("many_tags", most=TAGS_AT_MOST))
    if tags != lead.tags:
        put = [word for word in tags if word not in lead.tags]
        taken = [word for word in lead.tags if word not in tags]
        lead.tags = tags
        lead.save(update_fields=["tags"])
        record(lead, Kind.TAGGED, by=by, add=put, remove=taken)
    return lead


@transaction.atomic
def note(lead, *, by, text, next_step=None):
    """Write a note; returns the Interaction. ``next_step``: what set_task takes (title, due_at, kind)."""
    text = _text(text)
    if not text:
        raise ValidationError(_("Write something first."))
    row = record(lead, Kind.NOTE, by=by, text=text)
    _plan(lead, next_step, by=by)
    return row


@transaction.atomic
def log_call(lead, *, by, result, text="", next_step=None, closes=None):
    """Record a call with its result (RESULTS); returns the Interaction.

    ``next_step``: what set_task takes (title, due_at, kind); ``closes``: the open Task that this call was.
    """
    if result not in RESULTS:
        raise ValidationError(_("Choose how the call went."))
    row = record(lead, Kind.CALL, by=by, text=_text(text), result=result, direction="out")
    if closes is not None:
        finish(closes, by=by, result="")
    _plan(lead, next_step, by=by)
    return row


def replied(lead, *, by, text=""):
    """The client has answered: automation stops what runs on its own. Returns the Interaction."""
    return record(lead, Kind.REPLIED, by=by, text=_text(text))


def _text(text):
    return text.replace("\x00", "").replace("\r\n", "\n").strip()


def _plan(lead, next_step, *, by):
    if next_step:
        set_task(lead, **{"assignee": lead.owner or by, "by": by} | next_step)


@transaction.atomic
def change_owner(lead, to, *, by):
    """Hand the lead over; returns the Assignment, None when it is theirs already.

    Managers hand over their own leads, to whom ``User.objects.owners_for`` allows; raises PermissionDenied.
    """
    lead = locked(lead)
    own = lead.owner_id == by.pk or not by.is_manager
    if not (by.can_change_owner and own and User.objects.owners_for(by).filter(pk=to.pk).exists()):
        raise PermissionDenied(Refusal("not_to_them"))
    if lead.owner_id == to.pk:
        return None
    return assign(lead, to, how=Assignment.How.HAND, by=by)


@transaction.atomic
def fill_and_move(lead, to, changes, *, by, version=None):
    """Fill what the stage asks for and move, both or neither; raises as edit and move_stage do."""
    if changes:
        edit(lead, changes, by=by)
    return move_stage(lead, to, by=by, version=version)
