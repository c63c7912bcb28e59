"""New leads over time; what stands in the pipeline; what the coming time should bring."""

from datetime import date, timedelta
from decimal import Decimal

from django.db.models import Count, F, Q, Sum
from django.db.models.functions import TruncDay, TruncMonth, TruncWeek
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from analytics.reports.funnel import pipeline_of
from analytics.tables import Cell, Column, Table
from crm.core.models import Stage
from crm.core.templatetags import ui
from leads.models import Status

STEPS = {"day": TruncDay, "week": TruncWeek, "month": TruncMonth}
BARS = 120  # at most; a longer period goes by a longer step


def step_of(scope):
    """The step asked for, or the next longer one that keeps the chart readable."""
    lengths = {"day": 1, "week": 7, "month": 28}
    return next(
        (s for s in list(lengths)[list(lengths).index(scope.step) :] if scope.days / lengths[s] <= BARS), "month"
    )


def _first(day, step):
    if step == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if step == "month" else day


def _next(day, step):
    if step == "month":
        return date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return day + timedelta(days=7 if step == "week" else 1)


def buckets(scope):
    """First days of the days, weeks or months that the period touches."""
    step = step_of(scope)
    day, days = _first(scope.start, step), []
    while day <= scope.end:
        days.append(day)
        day = _next(day, step)
    return days


def lead_rows(scope, day):
    """The cohort's leads of the bucket that begins on ``day``; None: all of them."""
    if day is None:
        return scope.leads()
    since, until = scope.instant(day), scope.instant(_next(day, step_of(scope)))
    return scope.leads().filter(created_at__gte=since, created_at__lt=until)


def new_leads(scope):
    """[(first day of the bucket, leads, of them converted)]; empty buckets are there with 0."""
    trunc = STEPS[step_of(scope)]("created_at", tzinfo=scope.zone)
    found = {
        row["bucket"].date(): (row["n"], row["converted"])
        for row in scope.leads().order_by().annotate(bucket=trunc).values("bucket")
        .annotate(n=Count("id"), converted=Count("id", filter=Q(status=Status.CONVERTED)))
    }  # fmt: skip
    return [(day, *found.get(day, (0, 0))) for day in buckets(scope)]


def new_leads_table(scope):
    kind = "month" if step_of(scope) == "month" else "day"
    columns = [Column(_("Period"), kind), Column(_("New leads")), Column(_("Converted by now"))]
    found = new_leads(scope)
    rows = [[Cell(day), Cell(n, "new_leads", {"day": day.isoformat()}), Cell(done)] for day, n, done in found]
    total = [Cell(_("Total")), Cell(sum(row[1] for row in found), "new_leads"), Cell(sum(row[2] for row in found))]
    return Table(_("New leads"), columns, rows, total)


# --- Pipeline ----------------------------------------------------------------------------------------------------------
def open_deals(scope, stage=None):
    rows = scope.deals().open().filter(pipeline=pipeline_of("deal", scope))
    return rows.filter(stage=stage) if stage else rows


def pipeline(scope):
    """[(stage, deals, sum, weighted sum)] of the open deals, in the company's currency; deals of all dates."""
    own = Q(currency=scope.organisation.currency)
    rows = open_deals(scope).order_by().values("stage").annotate(n=Count("id"), money=Sum("amount", filter=own))
    found = {row["stage"]: (row["n"], row["money"] or Decimal(0)) for row in rows}
    stages = Stage.objects.filter(pipeline=pipeline_of("deal", scope)).order_by("position", "id")
    return [
        (s, *found.get(s.pk, (0, Decimal(0))), found.get(s.pk, (0, Decimal(0)))[1] * s.probability / 100)
        for s in stages
    ]


def pipeline_table(scope):
    found = pipeline(scope)
    columns = [
        Column(_("Stage"), "text"), Column(_("Open deals")), Column(_("Sum"), "money"),
        Column(_("Probability"), "percent"), Column(_("Weighted sum"), "estimate", _("Sum × probability")),
    ]  # fmt: skip
    rows = [
        [Cell(s.name), Cell(n, "pipeline", {"stage": s.pk}), Cell(money, "pipeline", {"stage": s.pk}),
         Cell(s.probability / 100), Cell(weighted, "pipeline", {"stage": s.pk})]
        for s, n, money, weighted in found
    ]  # fmt: skip
    total = [
        Cell(_("Total")), Cell(sum(r[1] for r in found), "pipeline"), Cell(sum(r[2] for r in found), "pipeline"),
        Cell(None), Cell(sum(r[3] for r in found), "pipeline"),
    ]  # fmt: skip
    return Table(_("Open deals"), columns, rows, total)


# --- Forecast ----------------------------------------------------------------------------------------------------------
def forecast_deals(scope, month=None, stage=None):
    """Open deals that are expected to close within the period (of the month that begins on ``month``)."""
    rows = scope.deals().open().filter(expected_close__gte=scope.start, expected_close__lte=scope.end)
    if month:
        rows = rows.filter(expected_close__gte=month, expected_close__lt=_next(month, "month"))
    return rows.filter(stage=stage) if stage else rows


LEFT_OUT = ("dateless", "passed")


def left_out(scope, why):
    """Open deals that no period to come holds: without an expected date, or with one before the period."""
    dates = {"expected_close": None} if why == "dateless" else {"expected_close__lt": scope.start}
    return scope.deals().open().filter(**dates)


def _asides(scope):
    own = Q(currency=scope.organisation.currency)
    for why in LEFT_OUT:
        found = left_out(scope, why).order_by().aggregate(n=Count("id"), money=Sum("amount", filter=own))
        money = ui.money(found["money"] or 0, scope.organisation.currency)
        told = {"shown": ui.num(found["n"]), "sum": money, "day": ui.day(scope.start)}
        if why == "dateless":
            words = ngettext(
                "%(shown)s open deal without an expected close date, %(sum)s, is not in the forecast",
                "%(shown)s open deals without an expected close date, %(sum)s, are not in the forecast", found["n"],
            )  # fmt: skip
        else:
            words = ngettext(
                "%(shown)s open deal expected before %(day)s, %(sum)s, is not in the forecast",
                "%(shown)s open deals expected before %(day)s, %(sum)s, are not in the forecast", found["n"],
            )  # fmt: skip
        if found["n"]:
            yield Cell(words % told, "left_out", {"measure": why}, kind="text")


def forecast(scope):
    """[(first day of the month, deals, sum, Σ amount × stage probability)] over the period, exact in Decimal."""
    own = Q(currency=scope.organisation.currency)
    rows = (
        forecast_deals(scope).order_by().annotate(month=TruncMonth("expected_close")).values("month")
        .annotate(
            n=Count("id"), money=Sum("amount", filter=own),
            weighted=Sum(F("amount") * F("stage__probability"), filter=own),
        )
    )  # fmt: skip
    found = {
        row["month"]: (row["n"], row["money"] or Decimal(0), (row["weighted"] or Decimal(0)) / 100) for row in rows
    }
    day, months = scope.start.replace(day=1), []
    while day <= scope.end:
        months.append((day, *found.get(day, (0, Decimal(0), Decimal(0)))))
        day = _next(day, "month")
    return months


def forecast_table(scope):
    found = forecast(scope)
    columns = [
        Column(_("Month"), "month"), Column(_("Deals")), Column(_("Sum"), "money"),
        Column(_("Expected"), "estimate", _("Σ amount × probability of the stage")),
    ]  # fmt: skip
    rows = [
        [Cell(day), Cell(n, "forecast", {"month": day.isoformat()}),
         Cell(money, "forecast", {"month": day.isoformat()}), Cell(weighted, "forecast", {"month": day.isoformat()})]
        for day, n, money, weighted in found
    ]  # fmt: skip
    total = [Cell(_("Total")), *[Cell(sum(row[n] for row in found), "forecast") for n in (1, 2, 3)]]
    return Table(_("Forecast"), columns, rows, total, asides=list(_asides(scope)))
