"""Sequences: their page for those who write them, their panel on the lead's card."""

from functools import wraps

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Count, Q
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from crm.core.fragments import part_of
from crm.core.models import AuditEntry, Role
from crm.core.versions import locked, refusal
from leads.conditions import all_in_words
from leads.models import Lead
from leads.services import letters, optouts
from leads.views import answers
from nurturing import services
from nurturing.forms import EnrolForm, SequenceForm, StepForm
from nurturing.models import Enrolment, Sequence, Step

READERS = {Role.MARKETER, Role.ADMIN, Role.HEAD}
WRITERS = {Role.MARKETER, Role.ADMIN}
PAGE = 50
COUNTS = {  # how many leads are where, called the same wherever they are counted
    Enrolment.State.RUNNING: gettext_lazy("In it now"),
    Enrolment.State.DONE: gettext_lazy("Finished"),
    Enrolment.State.STOPPED: gettext_lazy("Stopped"),
}


def for_roles(roles):
    def decorate(view):
        @wraps(view)
        def guarded(request, *args, **kwargs):
            if request.user.role not in roles:
                raise PermissionDenied(_("Marketers and administrators look after the sequences."))
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def may_write(user):
    return user.role in WRITERS


# --- Sequences -------------------------------------------------------------------------------------------------------
@require_GET
@for_roles(READERS)
def index(request):
    seen = Q() if request.user.sees_all else Q(enrolments__lead__in=Lead.objects.visible_to(request.user))
    states = {state: Count("enrolments", filter=seen & Q(enrolments__state=state)) for state in Enrolment.State.values}
    rows = Sequence.objects.annotate(**states).order_by("-is_active", "name")
    context = {"rows": rows, "can_write": may_write(request.user), "form": SequenceForm()}
    return render(request, "nurturing/index.html", context)


@require_http_methods(["GET", "POST"])
@for_roles(WRITERS)
def new(request):
    form = SequenceForm(request.POST or None, instance=Sequence(is_active=False))
    if request.method == "POST" and form.is_valid():
        sequence = form.save()
        return answers.away(request, _address(sequence), _("Now add its steps, then switch it on."))
    return answers.dialog(request, "nurturing/new.html", {"form": form}, invalid=request.method == "POST")


@require_http_methods(["GET", "POST"])
@for_roles(READERS)
@transaction.atomic
def sequence(request, pk):
    row = get_object_or_404(locked(Sequence.objects.all(), request), pk=pk)
    form = SequenceForm(request.POST or None, instance=row)
    if request.method == "POST":
        if not may_write(request.user):
            raise PermissionDenied
        if form.is_valid():
            form.save()
            _changed(request, row)
            return answers.away(request, _address(row), _("The sequence is saved."))
        row = get_object_or_404(Sequence, pk=pk)  # as it is, not as it was refused
    context, status = _page(request, row) | {"form": form}, refusal(form) if request.method == "POST" else 200
    return render(request, "nurturing/sequence.html", context, status=status)


def _changed(request, row):
    details = {"pk": row.pk}
    AuditEntry.objects.create(user=request.user, action="sequence_changed", subject=row.name, details=details)


def _page(request, row):
    counts = dict(_enrolments(request.user, row).values_list("state").annotate(n=Count("pk")))
    return {
        "sequence": row,
        "whom": all_in_words(row.condition),
        "steps": row.steps.filter(is_archived=False)
        .select_related("template")
        .annotate(taken=Count("runs"))
        .order_by("position", "pk"),
        "counts": [(state.value, label, counts.get(state.value, 0)) for state, label in COUNTS.items()],
        "running": counts.get("running", 0),
        "enrolled": sum(counts.values()),
        "can_write": may_write(request.user),
        "leads": Lead.objects.visible_to(request.user).order_by("-created_at", "-pk")[:20],
    }


def _enrolments(user, row):
    """Those of the leads that the reader may see: each count opens exactly its rows."""
    rows = row.enrolments.all()
    return rows if user.sees_all else rows.filter(lead__in=Lead.objects.visible_to(user))


def _address(row):
    return reverse("nurturing:sequence", args=[row.pk])


@require_POST
@for_roles(WRITERS)
def switch(request, pk):
    row = get_object_or_404(Sequence, pk=pk)
    on = request.POST.get("on") == "1"
    if on and not row.steps.filter(is_archived=False).exists():
        return answers.away(request, _address(row), _("A sequence without steps cannot be switched on."), level="error")
    services.switch(row, on=on, by=request.user)
    return answers.away(request, _address(row), _("The sequence is on.") if on else _("The sequence is off."))


@require_GET
@for_roles(READERS)
def enrolled(request, pk):
    """Exactly the leads behind a count of the sequence's page, as far as the reader may see them."""
    row = get_object_or_404(Sequence, pk=pk)
    state, before = request.GET.get("state", ""), request.GET.get("before", "")
    rows = _enrolments(request.user, row).select_related("lead__owner")
    rows = rows.filter(state=state) if state in Enrolment.State.values else rows
    rows = rows.filter(pk__lt=int(before)) if _is_key(before) else rows
    rows = list(rows.order_by("-pk")[: PAGE + 1])
    last = rows[PAGE - 1].pk if len(rows) > PAGE else None
    next_url = f"{reverse('nurturing:enrolled', args=[pk])}?state={state}&before={last}" if last else ""
    context = {"sequence": row, "rows": rows[:PAGE], "next_url": next_url, "state": state, "states": COUNTS}
    return render(request, "nurturing/enrolled.html", context)


def _is_key(text):
    return text.isascii() and text.isdecimal() and len(text) < 16


# --- Steps -----------------------------------------------------------------------------------------------------------
@require_http_methods(["GET", "POST"])
@for_roles(WRITERS)
@transaction.atomic
def step(request, pk, step_pk=None):
    row = get_object_or_404(locked(Sequence.objects.all(), request), pk=pk)
    kept = get_object_or_404(row.steps.filter(is_archived=False), pk=step_pk) if step_pk else None
    form = StepForm(request.POST or None, instance=kept or Step(sequence=row))
    if request.method == "POST" and form.is_valid():
        form.save() if kept else services.place(form.save(commit=False), row)
        _changed(request, row)
        return answers.done(request, _address(row), _("The step is saved."), **{"steps:changed": {}})
    context = {"form": form, "sequence": row, "step": kept}
    return answers.dialog(request, "nurturing/step.html", context, invalid=request.method == "POST")


@require_POST
@for_roles(WRITERS)
def step_move(request, pk, step_pk):
    kept = get_object_or_404(Step, sequence=pk, pk=step_pk, is_archived=False)
    services.move(kept, by=-1 if request.POST.get("to") == "up" else 1)
    return _steps(request, kept.sequence)


@require_POST
@for_roles(WRITERS)
def step_remove(request, pk, step_pk):
    kept = get_object_or_404(Step, sequence=pk, pk=step_pk, is_archived=False)
    services.remove(kept)
    return _steps(request, kept.sequence)


def _steps(request, row):
    if not request.htmx:
        return answers.away(request, _address(row))
    return render(request, "nurturing/_steps.html", _page(request, row))


@require_GET
@for_roles(READERS)
@part_of("nurturing:sequence", keys={"pk": "pk"})
def steps(request, pk):
    return render(request, "nurturing/_steps.html", _page(request, get_object_or_404(Sequence, pk=pk)))


@require_GET
@for_roles(READERS)
def preview(request, pk):
    """All letters of the sequence as one real lead would get them."""
    row = get_object_or_404(Sequence, pk=pk)
    lead = _chosen(request)
    rows = row.steps.filter(is_archived=False).select_related("template")
    shown = [
        (each, *letters.render(each.template, lead)) if each.template and lead else (each, "", "") for each in rows
    ]
    return render(request, "nurturing/preview.html", {"sequence": row, "lead": lead, "steps": shown})


def _chosen(request):
    rows, key = Lead.objects.visible_to(request.user), request.GET.get("lead", "")
    rows = rows.filter(pk=int(key)) if _is_key(key) else rows
    return rows.select_related("owner").order_by("-created_at", "-pk").first()


# --- On the card -----------------------------------------------------------------------------------------------------
@require_GET
@part_of("leads:card", keys={"pk": "lead_pk"}, anchor="#nurturing-panel")
def panel(request, lead_pk):
    lead = get_object_or_404(Lead.objects.visible_to(request.user), pk=lead_pk)
    return render(request, "nurturing/panel.html", _panel(request, lead))


def _panel(request, lead, error=""):
    rows = list(lead.enrolments.select_related("sequence").order_by("-pk")[:10])
    for row in rows:
        row.next_step = services.next_step(row) if row.state == Enrolment.State.RUNNING else None
    return {
        "lead": lead,
        "rows": rows,
        "messages_of_lead": list(lead.messages.select_related("by").order_by("-pk")[:5]),
        "form": EnrolForm(lead=lead),
        "opted_out": bool(lead.email) and optouts.is_opted_out(lead.email),
        "can_edit": request.user.can_edit_leads,
        "error": error,
    }


@require_POST
def enrol(request, lead_pk):
    lead = get_object_or_404(Lead.objects.editable_by(request.user), pk=lead_pk)
    form, error = EnrolForm(request.POST, lead=lead), ""
    try:
        if not form.is_valid():
            raise ValidationError(_("Choose a sequence."))
        services.enrol_by_hand(lead, form.cleaned_data["sequence"], by=request.user)
    except ValidationError as refusal:
        error = refusal.messages[0]
    return _after(request, lead, error)


@require_POST
def stop(request, pk):
    rows = Enrolment.objects.filter(lead__in=Lead.objects.editable_by(request.user)).select_related("lead")
    row = get_object_or_404(rows, pk=pk)
    services.stop_one(row, by=request.user)
    return _after(request, row.lead)


def _after(request, lead, error=""):
    if not request.htmx:
        level = "error" if error else "success"
        return answers.away(request, reverse("leads:card", args=[lead.pk]), error or _("Done."), level=level)
    response = render(request, "nurturing/panel.html", _panel(request, lead, error), status=422 if error else 200)
    return answers.told(response, **({} if error else {"lead:changed": {}}))
