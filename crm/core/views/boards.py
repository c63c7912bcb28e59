"""The pages of a board, the same for leads and deals: the board, a column, the answer to a card that was dropped."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import conditional_escape
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _

from crm.core import board, keyset
from crm.core.models import Stage

PLAIN = "text/plain; charset=utf-8"
QUERY = 2000  # characters of an address that are looked at


class AnyCard:
    """Stands for every card of a column when their menu is drawn: its values are marks, to be filled in."""

    MARK = re.compile("\ue000([a-z]+)\ue001")  # private characters: no template says them
    pk, version, address = (f"\ue000{name}\ue001" for name in ("pk", "version", "address"))

    def __str__(self):
        return "\ue000name\ue001"

    @classmethod
    def fill(cls, html, card):
        values = {"pk": card.pk, "version": card.version, "address": card.address, "name": card}
        texts = {name: conditional_escape(str(value)) for name, value in values.items()}
        return mark_safe(cls.MARK.sub(lambda mark: texts.get(mark[1], ""), html))  # noqa: S308 # nosec B308, B703


@dataclass(frozen=True)
class BoardPages:
    """``make_filter(data, user=)`` has form, problems, arms() and filter_queryset(); ``hidden``: its fields that a
    board does not ask for; ``rows()`` loads cards; the rest as crm.core.board.Board takes it."""

    kind: str
    folder: str  # of the templates board.html, _board_cards.html and _board_links.html
    order: str
    url: str  # name of a column's address
    card_url: str
    make_filter: Callable
    rows: Callable
    hidden: frozenset = frozenset()
    money: tuple = ()
    cap: int = 1000

    def page(self, request):
        """The board; a filter asks for the same page and takes ``#board`` out of it."""
        pipelines, found = board.pipelines(self.kind), self._filter(request.GET, request.user)
        chosen = request.GET.get("pipeline")
        pipeline = next((p for p in pipelines if not chosen or str(p.pk) == chosen), None)
        problems = [] if found.is_valid() else found.problems
        if pipeline is None and pipelines:
            problems = [*problems, _("There is no such funnel.")]
        stages = board.stages(pipeline) if pipeline else []
        around = self._around(request, request.GET, stages)
        columns = [] if problems else self._board(found, stages, around).columns(self.rows())
        for column in columns:
            self._add_menus(request, column.cards, column.targets)
        context = {
            "pipelines": pipelines,
            "pipeline": pipeline,
            "filter": found,
            "problems": problems,
            "columns": columns,
            "is_bare": columns and not any(column.total.count for column in columns),
            "is_filtered": any(value for name, value in request.GET.items() if name != "pipeline"),
        }
        context["keep"] = {"pipeline": chosen} if chosen else {}
        status = (422 if request.htmx else 400) if problems else 200
        return render(request, f"{self.folder}/board.html", context | around, status=status)

    def column(self, request, stage):
        """One column, from a cursor on: "load more", and what is read anew after a conflict."""
        stage = get_object_or_404(Stage, pk=stage, pipeline__kind=self.kind)
        found = self._filter(request.GET, request.user)
        if not found.is_valid():
            return HttpResponse("; ".join(found.problems), status=400, content_type=PLAIN)
        stages = board.stages(stage.pipeline_id)
        around = self._around(request, request.GET, stages)
        shown = self._board(found, stages, around)
        try:
            column = shown.column(stage, self.rows(), after=request.GET.get("after", ""))
        except keyset.BadCursor:
            return HttpResponse(_("This place in the column does not exist."), status=400, content_type=PLAIN)
        self._add_menus(request, column.cards, column.targets)
        return render(request, "core/_board_column.html", {"column": column} | around)

    def moved(self, request, subject, changed):
        """The card in its new place, with the heads of the ``changed`` stages (keys) out of band."""
        query = QueryDict((request.htmx.current_url or "").partition("?")[2][:QUERY])
        stages = board.stages(subject.pipeline_id)
        around = self._around(request, query, stages)
        found = self._filter(query, request.user)
        if not found.is_valid():
            found = self._filter(QueryDict(), request.user)
        here = next(stage for stage in stages if stage.pk == subject.stage_id)
        card = board.dress(self.rows().get(pk=subject.pk), here, card_url=self.card_url)
        totals = self._board(found, stages, around).totals([stage for stage in stages if stage.pk in changed])
        self._add_menus(request, [card], around["moves"].get(here.pk, []))
        context = {"cards": [card]} | around
        html = render_to_string(f"{self.folder}/_board_cards.html", context, request)
        for stage in stages:
            if stage.pk in totals:
                head = {"stage": stage, "total": totals[stage.pk], "oob": True}
                html += render_to_string("core/_board_head.html", head, request)
        return HttpResponse(html)

    def _add_menus(self, request, cards, targets):
        """Give each card its menu; those of a column differ in the card's own values alone, so one is drawn for all."""
        if not cards or not request.user.can_edit_leads:
            return
        context = {"card": AnyCard(), "targets": targets, "links": f"{self.folder}/_board_links.html"}
        drawn = render_to_string("core/_board_menu.html", context, request)
        for card in cards:
            card.menu = AnyCard.fill(drawn, card)

    def _filter(self, data, user):
        data = data.copy()
        for name in ("pipeline", "after"):
            data.pop(name, None)
        found = self.make_filter(data, user=user)
        for name in self.hidden & found.form.fields.keys():
            del found.form.fields[name]
        return found

    def _around(self, request, query, stages):
        """What every column and card needs besides itself."""
        can_edit, query = request.user.can_edit_leads, query.copy()
        query.pop("after", None)
        return {
            "moves": board.moves(stages, request.user) if can_edit else {},
            "can_edit": can_edit,
            "now": timezone.now(),
            "query": query.urlencode(),
            "cards_template": f"{self.folder}/_board_cards.html",
        }

    def _board(self, found, stages, around):
        arms = [(queryset.open(), constant) for queryset, constant in found.arms()]
        everything = found._meta.model.objects.visible_to(found.user).open()
        return board.Board(
            stages=stages,
            arms=arms,
            cards=found.filter_queryset(everything),
            order=self.order,
            url=self.url,
            card_url=self.card_url,
            query=around["query"],
            money=self.money,
            cap=self.cap,
            moves=around["moves"],
        )
