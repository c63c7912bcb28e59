"""Who got how much of each rule, and who is owed: the ledger as everybody may read it."""

from dataclasses import dataclass
from decimal import Decimal

from routing.models import Debt, Rule
from routing.staff import staff
from routing.strategies import BOOKED


@dataclass
class Share:
    user: object
    weight: int
    given: int
    debt: Decimal
    takes: bool  # whether routing reckons with them now
    percent: float | None = None  # of all that the rule gave


@dataclass
class Table:
    rule: Rule
    shares: list
    given: int
    owed: Decimal  # the largest debt
    balance: Decimal  # 0: what one is owed another is ahead


def tables():
    """A table a rule that keeps a ledger, in the order of the rules."""
    sellers = staff().sellers
    rows = {}
    for debt in Debt.objects.select_related("user").order_by("user__last_name", "user__first_name", "user_id"):
        share = Share(debt.user, debt.user.weight, debt.given, debt.debt, debt.user_id in sellers)
        rows.setdefault(debt.rule_id, []).append(share)
    rules = Rule.objects.filter(strategy__in=BOOKED).select_related("team")
    return [_table(rule, rows.get(rule.pk, [])) for rule in rules if rule.is_active or rule.pk in rows]


def _table(rule, shares):
    given = sum(share.given for share in shares)
    for share in shares:
        share.percent = share.given / given if given else None
    owed = max((share.debt for share in shares), default=Decimal(0))
    return Table(rule, shares, given, owed, sum((share.debt for share in shares), Decimal(0)))
