"""Boards of leads and deals: columns by stage, each with its first page, its count and its sums.

At a million cards a board asks three questions whatever its size: the first keys of every column (one index scan each,
as a LATERAL join would), those cards, and counts and sums no further than ``cap`` rows a column.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from crm.core import keyset
from crm.core.addresses import addresses
from crm.core.models import Pipeline, Stage, StageEdge

PAGE = 15  # cards a column: more than a screen shows


@dataclass
class Total:
    """What a column holds; exact up to the cap, "that many and more" above it."""

    count: int = 0
    sums: dict = field(default_factory=dict)  # currency → Decimal
    capped: bool = False


@dataclass
class Column:
    stage: Stage
    total: Total
    cards: list
    after: str = ""  # cursor of the next page; empty: these were the last
    targets: list = field(default_factory=list)  # stages that a card may be moved to from here
    url: str = ""  # reads the column anew, with the board's filters

    @property
    def rows_id(self):
        return f"cards-{self.stage.pk}"

    @property
    def next_url(self):
        return f"{self.url}{'&' if '?' in self.url else '?'}after={self.after}" if self.after else ""


class Board:
    """One pipeline seen through filters.

    ``arms``: the cards as index scans (see keyset.page), ``cards``: the same as one queryset; open ones of any stage.
    ``order``: the column of the order, descending; ``money``: (amount, currency) columns to sum; ``moves``: see below;
    ``url``: name of the address of a column, ``query``: the filters in it; ``card_url``: that of a card.
    """

    def __init__(self, *, stages, arms, cards, order, url, card_url, query="", money=(), cap=1000, moves=None):
        self.stages, self.arms, self.cards, self.order = stages, arms, cards, order
        self.card_url = card_url
        self.url, self.query, self.moves = url, query, moves or {}
        self.money, self.cap = money, cap

    def columns(self, rows):
        """All columns with their first pages; ``rows``: the queryset that loads the cards."""
        pages, totals = self._first_pages(), self.totals()
        found = rows.in_bulk([key for keys, _after in pages.values() for key in keys])
        return [self._column(stage, totals[stage.pk], found, *pages[stage.pk]) for stage in self.stages]

    def _column(self, stage, total, found, keys, after):
        url = reverse(self.url, args=[stage.pk]) + (f"?{self.query}" if self.query else "")
        cards = _dressed(found, keys, stage, self.card_url)
        return Column(stage, total, cards, after, self.moves.get(stage.pk, []), url)

    def column(self, stage, rows, *, after=""):
        """One column from a cursor on; raises keyset.BadCursor."""
        arms = [(queryset.filter(stage=stage), constant) for queryset, constant in self.arms]
        page = keyset.page(arms, self.order, after=after, size=PAGE)
        return self._column(stage, self.totals([stage])[stage.pk], rows.in_bulk(page.keys), page.keys, page.after)

    def _first_pages(self):
        """{stage: (keys, cursor)}: one statement, a sorted index scan for each column and arm."""
        parts = [self._part(stage, *arm) for stage in self.stages for arm in self.arms]
        rows = parts[0].union(*parts[1:], all=True) if parts else []
        by_stage = {stage.pk: set() for stage in self.stages}
        for stage, pk, value in rows:
            by_stage[stage].add((value, pk))
        return {stage: self._page(keys) for stage, keys in by_stage.items()}

    def _part(self, stage, queryset, constant):
        lead = [f"{constant}_id"] if constant else []
        # Naming "stage" in the order costs nothing and lets the planner see that the index is sorted by what follows.
        order = [*lead, "stage_id", f"-{self.order}", "-id"]
        return queryset.filter(stage=stage).order_by(*order).values_list("stage_id", "id", self.order)[: PAGE + 1]

    def _page(self, keys):
        ordered = sorted(keys, reverse=True)
        last = ordered[PAGE - 1] if len(ordered) > PAGE else None
        return [pk for _value, pk in ordered[:PAGE]], keyset.encode(*last) if last else ""

    def totals(self, stages=None):
        """{stage: Total} of the given stages, in one statement."""
        totals = {stage.pk: Total() for stage in stages or self.stages}
        parts = [part for pk in totals if (part := self._total_part(pk))]
        if not parts:
            return totals
        with connection.cursor() as cursor:
            cursor.execute(" union all ".join(sql for sql, _params in parts), [p for _sql, ps in parts for p in ps])
            for stage, currency, count, amount in cursor.fetchall():
                total = totals[stage]
                total.count += count
                if amount is not None:
                    total.sums[currency] = total.sums.get(currency, Decimal(0)) + amount
        for total in totals.values():
            total.capped, total.count = total.count > self.cap, min(total.count, self.cap)
        return totals

    def _total_part(self, stage):
        queryset = self.cards.filter(stage=stage).order_by().values_list(*(self.money or ("id",)))[: self.cap + 1]
        try:
            sql, params = queryset.query.sql_with_params()
        except EmptyResultSet:  # a filter that nothing can meet
            return None
        if not self.money:
            return f"select {int(stage)}, '', count(*), null::numeric from ({sql}) cards", params  # noqa: S608 # nosec B608
        amount, currency = self.money
        head = f"select {int(stage)}, cards.{currency}, count(*), sum(cards.{amount})"  # names of columns, no input
        return f"{head} from ({sql}) cards group by cards.{currency}", params  # noqa: S608 # nosec B608


def _dressed(found, keys, stage, card_url):
    """The cards of a column in order, each with its time at the stage held against the stage's norm."""
    now, address = timezone.now(), addresses(card_url)
    cards = [found[key] for key in keys if key in found]
    for card in cards:
        dress(card, stage, now)
        card.address = address(card.pk)
    return cards


def dress(card, stage, now=None, card_url=""):
    """Set ``address``, ``days`` at the stage and ``tone``: a warning past the norm, a danger past twice of it."""
    card.address = reverse(card_url, args=[card.pk]) if card_url else ""
    card.days = max(0, ((now or timezone.now()) - card.stage_entered_at).days)
    over = stage.norm_days and card.days >= stage.norm_days
    card.tone = ("danger" if card.days >= 2 * stage.norm_days else "warning") if over else ""
    card.norm = stage.norm_days
    return card


def pipelines(kind):
    return list(Pipeline.objects.filter(kind=kind, is_active=True).order_by("-is_default", "position", "id"))


def stages(pipeline):
    return list(Stage.objects.filter(pipeline=pipeline).order_by("position", "id"))


def moves(stages, user):
    """{stage: [stages that the user may move a card to from there]}; gates are asked at the move itself."""
    by_pk = {stage.pk: stage for stage in stages}
    allowed = {stage.pk: [] for stage in stages}
    edges = StageEdge.objects.filter(source__in=by_pk, target__in=by_pk)
    if user.is_manager or user.is_marketer:
        edges = edges.filter(heads_only=False)
    for source, target in edges.values_list("source_id", "target_id"):
        allowed[source].append(by_pk[target])
    for targets in allowed.values():
        targets.sort(key=lambda stage: (stage.position, stage.pk))
    return allowed
