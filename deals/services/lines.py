"""Product lines: where there are any, the deal's amount is their sum."""

from decimal import Decimal

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from deals.models import DealLine, Status
from deals.services.cards import checked
from deals.services.history import locked, tell
from leads.models import Kind

LINES = 200  # a deal; a longer list is an attachment


@transaction.atomic
def add_line(deal, *, by=None, product=None, title="", quantity=Decimal(1), price=None, discount=Decimal(0)):
    """Add a product or a line of free text; returns the line. Raises ValidationError by field."""
    deal = _open(deal)
    if deal.lines.count() >= LINES:
        raise ValidationError(_("A deal holds %d lines at most.") % LINES)
    line = DealLine(
        deal=deal,
        product=product,
        title=title or (product.name if product else ""),
        quantity=quantity,
        price=product.price if price is None and product else price,
        discount=discount,
    )
    _store(deal, line, by=by)
    return line


@transaction.atomic
def change_line(line, changes, *, by=None):
    """Change quantity, price, discount or title of a line; returns it."""
    deal = _open(line.deal)
    line = deal.lines.get(pk=line.pk)
    for name in ("title", "quantity", "price", "discount"):
        setattr(line, name, changes.get(name, getattr(line, name)))
    _store(deal, line, by=by)
    return line


@transaction.atomic
def remove_line(line, *, by=None):
    """Take a line out; the last one leaves the amount as it was. Returns the deal."""
    deal = _open(line.deal)
    deal.lines.filter(pk=line.pk).delete()
    _recount(deal, by=by, removed=line.title)
    return deal


def _open(deal):
    deal = locked(deal)
    if deal.status != Status.OPEN:
        raise ValidationError(_("The products of a closed deal stand; reopen the deal to change them."))
    return deal


def _store(deal, line, *, by):
    line.clean_fields(exclude={"deal", "product"})
    line.save()
    _recount(deal, by=by, line=line.title)


def _recount(deal, *, by, **details):
    rows = list(deal.lines.all())
    before = deal.amount
    if rows:
        deal.amount = sum((line.total for line in rows), Decimal(0))
    try:
        checked(deal, "amount")
    except ValidationError as error:
        raise ValidationError({"price": _("The sum of the lines is too large.")}) from error
    deal.save(update_fields=["amount"])
    fields = {"amount": [_plain(before), _plain(deal.amount)]} if before != deal.amount else {}
    tell(deal, Kind.EDITED, by=by, fields=fields, **details)


def _plain(amount):
    return None if amount is None else str(amount)
