"""The deal's own facts: edited with words for what is wrong, and handed to another owner."""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _

from crm.core.notices import notify
from deals.models import Deal, Status
from deals.services.history import locked, tell
from leads.models import Kind, Task

EDITABLE = ("title", "amount", "currency", "expected_close", "terms")
MONEY = {"amount", "currency"}


def checked(deal, *names):
    """Clean the named fields of the deal, as a form would; raises ValidationError by field."""
    others = {field.name for field in Deal._meta.fields} - set(names)
    deal.clean_fields(exclude=others)
    return deal


def _plain(value):
    return None if value in (None, "") else str(value)


@transaction.atomic
def edit(deal, changes, *, by=None):
    """Set fields of EDITABLE; returns the deal as saved. Raises ValidationError by field; then nothing is changed."""
    deal = locked(deal)
    before = {name: getattr(deal, name) for name in changes}
    for name, value in changes.items():
        if name not in EDITABLE:
            raise ValidationError(_("“%s” cannot be changed here.") % name)
        setattr(deal, name, value)
    checked(deal, *changes)
    changed = {name: [_plain(old), _plain(new)] for name, old in before.items() if (new := getattr(deal, name)) != old}
    if changed:
        _refuse_money(deal, changed)
        deal.save(update_fields=list(changed))
        tell(deal, Kind.EDITED, by=by, fields=changed)
    return deal


def _refuse_money(deal, changed):
    if not MONEY & set(changed):
        return
    if deal.status != Status.OPEN:
        raise ValidationError({"amount": _("The sum of a closed deal stands; reopen the deal to change it.")})
    if "amount" in changed and deal.lines.exists():
        raise ValidationError({"amount": _("The amount is the sum of the product lines; change those.")})


@transaction.atomic
def change_owner(deal, to, *, by=None):
    """Hand the deal over with the open tasks of its former owner; the new owner is told."""
    deal = locked(deal)
    former = deal.owner_id
    if former == to.pk:
        return deal
    deal.owner, deal.team_id = to, to.team_id
    deal.save(update_fields=["owner", "team"])
    Task.objects.filter(deal_ref=deal.pk, done_at=None, assignee_id=former).update(assignee=to)
    tell(deal, Kind.OWNER_CHANGED, by=by, how="hand", name=str(to), **{"from": former, "to": to.pk})
    if to != by:
        notify(to, "assigned", url=reverse("deals:card", args=[deal.pk]), deal=deal.pk, name=str(deal))
    return deal
