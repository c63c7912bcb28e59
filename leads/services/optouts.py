"""Who gets no letters: opt-outs by the client's own act or a colleague's, asked at the moment of sending."""

from django.db import connection, transaction
from django.utils.translation import gettext as _

from leads.models import Kind, Lead, Suppression
from leads.services.timeline import record

Reason = Suppression.Reason


def address_key(address):
    return address.strip().casefold()


def hold_address(address):
    """Until the end of the transaction nobody else opts this address out, or claims a letter to it."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"mail:{address_key(address)}"])


def is_opted_out(address):
    return Suppression.objects.filter(kind="email", value=address_key(address)).exists()


@transaction.atomic
def opt_out(address, *, reason=Reason.UNSUBSCRIBED, lead=None, message=None, by=None):
    """Suppress the address; returns True when it was not yet. Said again, the first time and reason stay."""
    if not address_key(address):
        return False
    hold_address(address)
    if is_opted_out(address):
        return False
    Suppression.objects.create(value=address_key(address), reason=reason, message=message, by=by)
    for each in _leads_of(address, lead):
        record(each, Kind.UNSUBSCRIBED, by=by, text=address, message=message, reason=reason)
    return True


def _leads_of(address, lead):
    """The lead that the letter was about, and open ones of the same address: their sequences stop as well."""
    others = Lead.objects.open().filter(email=address_key(address)).exclude(pk=lead.pk if lead else None)
    return [*([lead] if lead else []), *others.order_by("pk")[:20]]


@transaction.atomic
def opt_in(address, *, lead=None, by=None):
    """Take letters again, by the client's own act; True when something changed. Complaints stay."""
    hold_address(address)
    gone, _rows = Suppression.objects.filter(
        kind="email", value=address_key(address), reason__in=[Reason.UNSUBSCRIBED, Reason.BY_HAND]
    ).delete()
    if gone and lead is not None:
        record(lead, Kind.NOTE, by=by, text=_("Subscribed to emails again: %s") % address, resubscribed=True)
    return bool(gone)
