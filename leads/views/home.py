"""The first page, by role. Parts that belong to other storeys come by their own addresses."""

from django.conf import settings
from django.contrib import messages
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from crm.core.models import Organisation
from leads.models import Lead, Source
from leads.services import day, oversight

DEMO = "demo-form"


def _demo():
    """The address of the form to try, in local mode alone."""
    if not settings.LOCAL or not Source.objects.filter(key=DEMO, is_active=True).exists():
        return ""
    try:
        return reverse("leads:form", args=[DEMO])
    except NoReverseMatch:
        return ""


@require_safe
def my_day(request):
    """A manager's day; a head has it as a second tab."""
    today = day.of(request.user)
    context = {"day": today, "shown": day.SHOWN, "tabs": request.user.is_head, "demo": _demo()}
    if today.is_empty:
        context["first_steps"] = not Lead.objects.filter(owner=request.user).exists()
    return render(request, "home/my_day.html", context)


@require_safe
def next_card(request):
    """To the next card of the day after the one in ``after``; home when the day is done."""
    queue = day.of(request.user).queue()
    after = request.GET.get("after", "")
    place = queue.index(int(after)) + 1 if after.isascii() and after.isdigit() and int(after) in queue else 0
    rest = [pk for pk in [*queue[place:], *queue[:place]] if str(pk) != after]
    if not rest:
        messages.success(request, _("That was the last one for now."))
        return redirect("home")
    return redirect("leads:card", rest[0])


@require_safe
def team(request):
    """A head's view: people, the pool, the funnel."""
    if request.GET.get("view") == "mine":
        return my_day(request)
    pool = oversight.pool(request.user)
    context = {"teams": oversight.teams(request.user), "pool": pool[: oversight.SHOWN], "demo": _demo()}
    context["pool_goes_on"] = len(pool) > oversight.SHOWN
    busy = pool or any(counts["open"] for _team, lines in context["teams"] for _person, counts in lines)
    context["begins"] = not busy and not Lead.objects.visible_to(request.user).exists()
    return render(request, "home/team.html", context)


@require_safe
def system(request):
    """An administrator's view: what came in, what failed, who is silent."""
    states = oversight.receipts_today()
    context = {
        "states": states, "received": sum(states.values()), "errors": oversight.errors(),
        "silent": oversight.silent_sources(), "dead": oversight.dead_jobs(), "pool": oversight.pool(request.user)[: oversight.SHOWN], "demo": _demo(),
        "organisation": Organisation.get(), "begins": not Lead.objects.exists(),
    }  # fmt: skip
    return render(request, "home/system.html", context)


@require_safe
def marketing(request):
    """A marketer's view: new leads by source, and the sequences."""
    context = {"origins": oversight.by_origin(), "demo": _demo()}
    context["most"] = max([row["fresh"] for row in context["origins"]], default=0)
    return render(request, "home/marketing.html", context)
