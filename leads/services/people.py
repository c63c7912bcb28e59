"""Who a person is: contacts (Identity rows) and the fields of the client's card."""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from leads import identity, search
from leads.models import Company, Identity, Kind, Lead, Person
from leads.services.timeline import record

Contact = Identity.Kind
FIELDS = ("name", "company", "job_title", "city", "language", "birthday", "sex", "preferences", "owner")


class Taken(ValidationError):
    """The contact is another person's. ``lead``: a card of theirs that the colleague may open, or None."""

    def __init__(self, kind, person, *, by=None):
        self.person, self.lead = person, None
        super().__init__(self._words(kind, by), code="taken")

    def _words(self, kind, by):
        what = {Contact.PHONE: _("This number"), Contact.EMAIL: _("This email")}.get(kind, _("This contact"))
        leads = Lead.objects.filter(person=self.person).order_by("-id")
        self.lead = leads.visible_to(by).first() if by else None
        if by is None or self.lead:
            return _("%(what)s belongs to %(name)s already.") % {"what": what, "name": self.person}
        other = leads.select_related("owner").first()
        if other and other.owner:  # a colleague's card is named by its owner, its data stay unseen
            return _("%(what)s belongs to a client of %(owner)s already.") % {"what": what, "owner": other.owner}
        return _("%(what)s belongs to another client already.") % {"what": what}


def matching(user, text):
    """People whom a colleague may see by what was typed into a search box; none where it is too short."""
    try:
        leads = Lead.objects.visible_to(user).filter(search.condition(text)).order_by("-id").values("person")[:100]
    except search.TooShort:
        return Person.objects.none()
    where = Q(pk__in=[row["person"] for row in leads])
    if signs := search.identities(text):
        where |= Q(pk__in=Identity.objects.filter(signs).values("person"))
    seen = Person.objects.visible_to(user).filter(where, merged_into=None)
    return seen.select_related("company", "owner").order_by("-pk")


def normal(kind, raw):
    """(value, extension) of a contact as it is kept; raises ValidationError for what cannot be one."""
    if kind == Contact.PHONE:
        number = identity.phone(raw)
        if number is None:
            raise ValidationError(_("This is no phone number: %(raw)s") % {"raw": raw}, code="phone")
        return number.e164, number.extension or ""
    if kind == Contact.EMAIL:
        address = identity.email(raw)
        if address is None:
            raise ValidationError(_("This is not an email address: %(raw)s") % {"raw": raw}, code="email")
        return address, ""
    return raw.strip()[:254], ""


def claim(person, kind, raw, *, by=None):
    """Make the contact the person's own and return its row; raises ValidationError, Taken where it is another's."""
    value, extension = normal(kind, raw)
    rows = list(Identity.objects.select_related("person").filter(kind=kind, scope="", value=value))
    for row in rows:
        if row.person_id == person.pk:
            return row
    shared = any(row.is_shared for row in rows)
    if rows and not shared:
        raise Taken(kind, rows[0].person, by=by)
    own = {"person": person, "raw": raw[:254], "extension": extension[:10]}
    if shared:  # a switchboard: each of its people has a row
        return Identity.objects.create(kind=kind, value=value, is_shared=True, **own)
    row, _made = Identity.objects.get_or_create(kind=kind, scope="", value=value, is_shared=False, defaults=own)
    if row.person_id != person.pk:  # somebody was quicker
        raise Taken(kind, row.person, by=by)
    return row


def release(person, kind, value):
    """Give up a contact that no card of the person carries any more; returns whether it went.

    A number that was a slip must not pull a stranger's enquiry into this client's history.
    """
    field = "phone" if kind == Contact.PHONE else "email"
    if person.leads.filter(**{field: value}).exists():
        return False
    return bool(person.identities.filter(kind=kind, scope="", value=value).delete()[0])


def company_named(name):
    """The company of that name, made when it is new; None for an empty name."""
    name = " ".join(name.split())
    if not name:
        return None
    key = identity.company_key(name)[:200] or name.casefold()[:200]
    return Company.objects.get_or_create(name_key=key, defaults={"name": name[:200]})[0]


def shown(value):
    """A value as the timeline keeps it: JSON, readable later."""
    return "" if value is None else value if isinstance(value, str | int | bool | list) else str(value)


@transaction.atomic
def edit_person(person, changes, *, by):
    """Change fields of the client's card; ``changes``: cleaned values by field name. Returns the person.

    Raises ValidationError for a field that cannot be changed here.
    """
    if unknown := set(changes) - set(FIELDS):
        raise ValidationError(_("These fields cannot be changed: %s") % ", ".join(sorted(unknown)))
    fresh = Person.objects.select_for_update(no_key=True).get(pk=person.pk)
    changed = {}
    for name, value in changes.items():
        before = getattr(fresh, name)
        if before != value:
            setattr(fresh, name, value)
            changed[name] = [shown(before), shown(value)]
    if changed:
        fresh.save(update_fields=list(changed))
        record(fresh, Kind.EDITED, by=by, fields=changed)
    return fresh


@transaction.atomic
def add_contact(person, kind, raw, *, by):
    """One more phone or e-mail of the person; raises ValidationError or Taken."""
    row = claim(person, kind, raw, by=by)
    record(person, Kind.EDITED, by=by, fields={str(kind): ["", row.value]})
    return row


@transaction.atomic
def remove_contact(row, *, by):
    """Forget a contact; raises ValidationError while a card of the person carries it."""
    if row.kind in {Contact.PHONE, Contact.EMAIL} and not release(row.person, row.kind, row.value):
        raise ValidationError(_("A lead carries this contact; change it there."))
    if row.kind not in {Contact.PHONE, Contact.EMAIL}:
        row.delete()
    record(row.person, Kind.EDITED, by=by, fields={row.kind: [row.value, ""]})
