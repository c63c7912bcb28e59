"""Tasks: the page of one's own day and the team's, finishing, postponing, the calendar feed."""

from datetime import datetime, time, timedelta

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import BadRequest, ValidationError
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from leads import ics
from leads.forms import card as forms
from leads.models import Lead, Task, TaskFeed
from leads.services import tasks as services
from leads.views import answers
from leads.views.card import CHANGED, address, worked
from leads.views.timeline import touched

SHORT, LONG = 15, 50  # tasks of one bucket on the whole page, and on its own
FEED_AT_MOST = 500  # tasks
WORDS = {
    "overdue": pgettext_lazy("tasks", "Overdue"),
    "today": pgettext_lazy("tasks", "Today"),
    "tomorrow": pgettext_lazy("tasks", "Tomorrow"),
    "later": pgettext_lazy("tasks", "Later"),
    "done": pgettext_lazy("tasks", "Done"),
}
EVENTS = {**CHANGED, "tasks:changed": True}


def _bounds():
    """Now and the first instants of tomorrow and of the day after, in the user's time zone."""
    today = timezone.localdate()
    midnights = [timezone.make_aware(datetime.combine(today + timedelta(days=n), time())) for n in (1, 2)]
    return [timezone.now(), *midnights]


def buckets():
    """The filter of each bucket; together they hold every task once."""
    now, tomorrow, after = _bounds()
    return {
        "overdue": Q(done_at=None, due_at__lt=now),
        "today": Q(done_at=None, due_at__gte=now, due_at__lt=tomorrow),
        "tomorrow": Q(done_at=None, due_at__gte=tomorrow, due_at__lt=after),
        "later": Q(done_at=None, due_at__gte=after),
        "done": Q(done_at__isnull=False),
    }


def _whose(request):
    """Tasks of the page: one's own, or the team's for who leads one."""
    user, team = request.user, request.GET.get("who") == "team"
    if not team or user.is_manager or user.is_marketer:
        return Task.objects.filter(assignee=user), False
    rows = Task.objects.visible_to(user)
    if user.is_head:
        rows = rows.filter(assignee__team__in=user.headed_teams.values_list("pk", flat=True))
    return rows, True


@require_GET
def tasks(request):
    rows, team = _whose(request)
    when = request.GET.get("when", "")
    chosen = [when] if when in WORDS else [name for name in WORDS if name != "done"]
    try:
        groups = [_bucket(request, rows, name, LONG if when else SHORT) for name in chosen]
    except (ValueError, OverflowError) as error:
        raise BadRequest(_("This address of the list is not valid.")) from error
    context = {"groups": groups, "when": when if when in WORDS else "", "team": team, "words": WORDS}
    if not any(group["tasks"] for group in groups):
        context["ever"] = rows.exists()  # nothing to do is not the same as nothing ever planned
    context["may_team"] = not (request.user.is_manager or request.user.is_marketer)
    return render(request, "leads/tasks.html", context)


def _bucket(request, rows, name, size):
    """One bucket's first page, or the one after ``after``: open tasks by due time, done ones the latest first."""
    moment, sign = ("done_at", "-") if name == "done" else ("due_at", "")
    rows = rows.filter(buckets()[name]).select_related("lead", "person", "assignee", "assignee__team")
    if after := request.GET.get("after", ""):
        at, _sep, pk = after.rpartition("~")
        at, pk, beyond = datetime.fromisoformat(at), int(pk), "lt" if sign else "gt"
        if at.tzinfo is None or not 0 <= pk < 2**63:
            raise ValueError(after)
        rows = rows.filter(Q(**{f"{moment}__{beyond}": at}) | Q(**{moment: at, f"pk__{beyond}": pk}))
    found = list(rows.order_by(f"{sign}{moment}", f"{sign}pk")[: size + 1])
    shown = found[:size]
    after = f"{getattr(shown[-1], moment).isoformat()}~{shown[-1].pk}" if len(found) > size else ""
    return {"name": name, "label": WORDS[name], "tasks": services.named(shown, request.user), "after": after}


def _task(request, pk):
    rows = Task.objects.editable_by(request.user).select_related("lead__owner", "person", "assignee")
    return services.named([get_object_or_404(rows, pk=pk)], request.user)[0]


@require_http_methods(["GET", "POST"])
def task_new(request, pk):
    """Plan a step on a lead."""
    lead = worked(request, pk)
    data = request.POST if request.method == "POST" else None
    form = forms.TaskForm(data, user=request.user, owner=lead.owner)
    if form.is_valid():
        try:
            services.set_task(lead, by=request.user, **{"assignee": lead.owner or request.user} | form.step())
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return answers.done(request, address(lead), _("Planned."), **EVENTS)
    context = {"lead": lead, "form": form, "asks": "asks" in request.GET}
    return answers.dialog(request, "leads/card_task.html", context, invalid=form.is_bound)


@require_http_methods(["GET", "POST"])
def task_done(request, pk):
    """Tick a task off: at once, or with what came of it and what is next."""
    task = _task(request, pk)
    lead = task.lead if task.lead and Lead.objects.editable_by(request.user).filter(pk=task.lead_id).exists() else None
    form = forms.DoneForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        step = form.step()
        services.finish(task, by=request.user, result=form.cleaned_data["result"])
        if step and lead:
            services.set_task(lead, by=request.user, assignee=task.assignee or request.user, deal=task.deal_ref, **step)
        return _after(request, lead, _("Done."), step)
    context = {"task": task, "lead": lead, "form": form}
    return answers.dialog(request, "leads/card_task_done.html", context, invalid=form.is_bound)


def _after(request, lead, text, step):
    if lead is None:
        return answers.done(request, reverse("leads:tasks"), text, **EVENTS)
    response = touched(request, lead, text, step)
    return answers.told(response, **{"tasks:changed": True}) if request.htmx else response


@require_http_methods(["GET", "POST"])
def task_due(request, pk):
    """Move a task to another time."""
    task = _task(request, pk)
    form = forms.PostponeForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            services.postpone(task, form.cleaned_data["next_at"], by=request.user)
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return answers.done(request, answers.back(request, reverse("leads:tasks")), _("Moved."), **EVENTS)
    return answers.dialog(request, "leads/card_task_due.html", {"task": task, "form": form}, invalid=form.is_bound)


@require_http_methods(["GET", "POST"])
def feed_settings(request):
    """The address of one's own calendar; a POST makes a new one, and the old one stops working."""
    if request.method == "POST":
        TaskFeed.renew(request.user)
        return answers.away(request, reverse("leads:task_feed_settings"), _("The calendar has a new address."))
    feed = TaskFeed.of(request.user)
    url = settings.PUBLIC_URL + reverse("leads:task_feed", args=[feed.key])
    return answers.dialog(request, "leads/task_feed.html", {"url": url})


@login_not_required
@require_GET
def task_feed(request, key):
    """Open tasks as a calendar for phones; whoever holds the address reads it, so it can be renewed."""
    feed = get_object_or_404(TaskFeed.objects.select_related("user"), key=key, user__is_active=True)
    user = feed.user
    with translation.override(user.language or settings.LANGUAGE_CODE):
        rows = Task.objects.filter(assignee=user, done_at=None).select_related("lead", "person")
        text = ics.calendar(
            [_event(task) for task in services.named(list(rows.order_by("due_at")[:FEED_AT_MOST]), user)],
            name=_("Tasks: %s") % user, now=timezone.now(),
        )  # fmt: skip
    response = HttpResponse(text, content_type="text/calendar; charset=utf-8")
    response["Cache-Control"] = "private, no-store"
    return response


def _event(task):
    subject = task.subject
    url = settings.PUBLIC_URL + (address(subject) if subject else reverse("leads:tasks"))
    summary = f"{task.title} — {subject}" if subject else task.title
    return ics.Event(f"task-{task.pk}@crm", task.due_at, summary, subject.phone if subject else "", url)
