"""Who came to an event: marked one by one, or by a list; a stranger on the list becomes a lead."""

import csv
import io
from itertools import islice

from django.db import transaction
from django.db.models.functions import Now

from leads import identity
from leads.capture.event import name_of
from leads.identity import Known
from leads.importing.table import open_table
from leads.models import Kind, Lead, Registration, Status
from leads.services.intake import match, open_lead
from leads.services.judging import phone_region
from leads.services.timeline import record

MOST = 5000  # lines of a list


def listed(source):
    """The registrations of an event, who registered first above; with what a page shows of them."""
    return Registration.objects.filter(source=source).select_related("person", "lead").order_by("registered_at", "pk")


@transaction.atomic
def mark(registration, *, by, came=True):
    """Note that a person came, or take it back; the card is told once."""
    row = Registration.objects.select_for_update(of=["self"]).select_related("person", "source", "lead").get(
        pk=registration.pk
    )  # fmt: skip
    if bool(row.attended_at) == came:
        return False
    Registration.objects.filter(pk=row.pk).update(attended_at=Now() if came else None)
    if came and not _told(row):
        event = name_of(row.source)
        record(row.lead or row.person, Kind.ATTENDED, by=by, text=event, event=row.source.key)
    return True


def _told(row):
    return row.person.interactions.filter(kind=Kind.ATTENDED, details__event=row.source.key).exists()


def lines_of(text, file=None):
    """[[cell, …]] of a pasted list and of a file; raises Unreadable for a file that is no table."""
    rows = [row for row in csv.reader(io.StringIO(text.replace("\t", ",").replace(";", ","))) if any(row)]
    if file:
        table = open_table(file)
        rows += [list(table.columns), *([str(cell or "") for cell in row.cells] for row in islice(table.rows, MOST))]
    return rows[:MOST]


def _signs(cells):
    """(identities, name) of a line: whatever cell is an e-mail, a phone, a name."""
    known, name = [], ""
    for cell in cells:
        if emails := identity.emails(cell):
            known += [Known("email", address) for address in emails]
        elif phones := identity.phones(cell, phone_region()):
            known += [Known("phone", phone.e164, extension=phone.extension) for phone in phones]
        elif not name and any(c.isalpha() for c in cell):
            name = identity.person_name(cell) or ""
    return known, name


def mark_list(source, rows, *, by):
    """(marked, made, unread): people marked as having come, cards made of strangers, lines without a contact."""
    marked = made = unread = 0
    for cells in rows:
        known, name = _signs(cells)
        if not known:
            unread += 1
            continue
        came, is_new = _came(source, known, name, by=by)
        marked, made = marked + came, made + is_new
    return marked, made, unread


@transaction.atomic
def _came(source, known, name, *, by):
    person, is_new = match(known, name=name), False
    if person is None:
        fields = {"name": name} if name else {}
        lead, _outcome = open_lead(fields=fields, identities=known, source=source, by=by)
        person, is_new = lead.person, True
    lead = Lead.objects.filter(person=person, status=Status.OPEN).order_by("-pk").first()
    row, _made = Registration.objects.get_or_create(source=source, person=person, defaults={"lead": lead})
    return mark(row, by=by), is_new
