"""Letters: written from the card, read in the local mailbox, settled by a person where nobody knows."""

import re

from csp.decorators import csp
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from crm.core.fragments import part_of
from leads.forms.letters import LetterForm, MailboxFilter
from leads.letters import PLAIN_LOOK, compose, frame_length
from leads.models import Lead, Message, Template
from leads.services import letters, optouts
from leads.views import answers
from leads.views.card import address, seen, worked

PAGE = 50
# A letter is foreign text: shown in a frame that may load nothing and run nothing.
LETTER_CSP = {"default-src": ["'none'"], "style-src": ["'unsafe-inline'"], "frame-ancestors": ["'self'"], "sandbox": []}


# --- From the card ---------------------------------------------------------------------------------------------------
@require_http_methods(["GET", "POST"])
def new(request, pk):
    lead = worked(request, pk)
    form = LetterForm(request.POST or None, lead=lead, initial=_answering(request, lead))
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        letters.write(
            lead, kind=Message.Kind.LETTER, subject=data["subject"], text=data["text"], by=request.user,
            template=data["template"],
        )  # fmt: skip
        return answers.done(request, address(lead), _("The email is on its way."), **{"lead:changed": {}})
    context = {"form": form, "lead": lead, "action": reverse("leads:letter_new", args=[lead.pk])}
    context["opted_out"] = bool(lead.email) and optouts.is_opted_out(lead.email)
    return answers.dialog(request, "leads/letter_new.html", context, invalid=request.method == "POST")


def _answering(request, lead):
    """Subject of the answer to one of the client's letters; by it the answer stays in the thread (see delivery)."""
    key = request.GET.get("answers", "")
    letter = lead.letters.filter(pk=int(key)).first() if _is_key(key) else None
    if letter is None:
        return {}
    bare = re.sub(r"^\s*((re|aw|sv|отв|на)\s*:\s*)+", "", letter.subject, flags=re.IGNORECASE)
    return {"subject": f"Re: {bare}"[:200]}


@require_GET
@part_of("leads:letter_new", keys={"pk": "pk"})
def fill(request, pk):
    """Subject and text of the chosen template, rendered for this lead."""
    lead = worked(request, pk)
    key = request.GET.get("template", "")
    template = Template.objects.filter(is_active=True, kind="letter", pk=int(key)).first() if _is_key(key) else None
    subject, text = letters.render(template, lead, by=request.user) if template else ("", "")
    form = LetterForm(initial={"template": template, "subject": subject, "text": text}, lead=lead)
    return render(request, "leads/_letter_fields.html", {"form": form, "lead": lead})


@require_POST
def preview(request, pk):
    """The letter as the client will see it; nothing is kept."""
    lead = worked(request, pk)
    form = LetterForm(request.POST, lead=lead)
    form.is_valid()
    data = form.cleaned_data
    context = {"form": form, "lead": lead, "subject": data.get("subject", ""), "text": data.get("text", "")}
    return render(request, "leads/_letter_preview.html", context, status=200 if form.is_valid() else 422)


@require_http_methods(["GET", "POST"])
def opt_out(request, pk):
    """A colleague notes that the client wants no letters."""
    lead = worked(request, pk)
    if request.method == "POST" and lead.email:
        optouts.opt_out(lead.email, reason=optouts.Reason.BY_HAND, lead=lead, by=request.user)
        return answers.done(
            request, address(lead), _("No more emails will be sent to %s.") % lead.email, **{"lead:changed": {}}
        )
    context = {"lead": lead, "opted_out": bool(lead.email) and optouts.is_opted_out(lead.email)}
    return answers.dialog(request, "leads/letter_opt_out.html", context, invalid=request.method == "POST")


def _is_key(text):
    return text.isascii() and text.isdecimal() and len(text) < 16


# --- Messages --------------------------------------------------------------------------------------------------------
@require_GET
def mailbox(request):
    """All that leaves the system, newest first; in local mode the only place where it arrives."""
    if not request.user.is_administrator:
        raise PermissionDenied(_("Only administrators read the outgoing mail."))
    form = MailboxFilter(request.GET)
    form.is_valid()
    rows = _narrowed(Message.objects.select_related("lead", "by"), form.cleaned_data)
    before = request.GET.get("before", "")
    rows = list((rows.filter(pk__lt=int(before)) if _is_key(before) else rows).order_by("-pk")[: PAGE + 1])
    context = {"form": form, "rows": rows[:PAGE], "next_url": _next(request, rows), "unsure": _unsure()}
    return render(request, "leads/mailbox.html", context)


def _narrowed(rows, data):
    for field in ("state", "kind"):
        if data.get(field):
            rows = rows.filter(**{field: data[field]})
    words = data.get("q", "").replace("\x00", "").strip()
    return rows.filter(Q(to__icontains=words) | Q(subject__icontains=words)) if words else rows


def _next(request, rows):
    if len(rows) <= PAGE:
        return ""
    query = QueryDict(mutable=True)
    query.update({name: value for name, value in request.GET.items() if name != "before"})
    query["before"] = rows[PAGE - 1].pk
    return f"{reverse('leads:mailbox')}?{query.urlencode()}"


def _unsure():
    return len(Message.objects.filter(state=Message.State.UNSURE).values_list("pk", flat=True)[:100])


def _message(request, pk, *related):
    return get_object_or_404(Message.objects.visible_to(request.user).select_related(*related), pk=pk)


@require_GET
def message(request, pk):
    row = _message(request, pk, "lead", "by", "template")
    hits = list(row.engagements.select_related("link").order_by("-pk")[:100])
    context = {"message": row, "hits": hits, "links": row.links.order_by("position")}
    context["length"] = frame_length(row.text)
    return render(request, "leads/mailbox_message.html", context)


@require_GET
@xframe_options_sameorigin
@csp(LETTER_CSP)
def body(request, pk):
    """The letter's HTML as it was sent, but for the pixel and the counted links: reading it here is no open."""
    row = _message(request, pk)
    page = compose(row.text).html.replace("<body", f"{PLAIN_LOOK}<body", 1)
    return HttpResponse(page, headers={"Cache-Control": "no-store"})


@require_POST
def verdict(request, pk):
    """An ``unsure`` letter: it was sent, or it is sent again. Who may write to the lead decides."""
    row = _message(request, pk, "lead")
    allowed = request.user.is_administrator or (
        row.lead_id and Lead.objects.editable_by(request.user).filter(pk=row.lead_id).exists()
    )
    if not allowed:
        raise PermissionDenied(_("Who works the lead, or an administrator, settles this."))
    back = reverse("leads:message", args=[row.pk])
    try:
        letters.settle(row, sent=request.POST.get("answer") == "sent", by=request.user)
    except ValidationError as error:
        return answers.refused(request, error.messages[0], status=409)
    return answers.away(request, back, _("Noted."))


@require_GET
def of_lead(request, pk):
    """The lead's letters: its timeline, narrowed to them."""
    return redirect(reverse("leads:timeline", args=[seen(request, pk).pk], query={"group": "letters"}))
