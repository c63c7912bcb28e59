"""The client's messengers in the card: the conversation, answering, what has been seen, files."""

import re

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from crm.core.fragments import part_of
from crm.core.models import AuditEntry
from leads.models import ChatFile, Conversation, SentFile, Source
from leads.outbound import SMS, telegram
from leads.services import dialogue, talk_news, talks
from leads.views import answers
from leads.views.card import address, seen, worked


def _one(request, lead, pk):
    return get_object_or_404(dialogue.of_lead(lead, request.user), pk=pk)


@require_GET
def panel(request, pk):
    """All conversations of the client; the chosen one (or the last) with its messages and the answer's form."""
    lead = seen(request, pk)
    rows = list(dialogue.of_lead(lead, request.user))
    chosen = request.GET.get("talk", "")
    current = next((row for row in rows if str(row.pk) == chosen), rows[0] if rows else None)
    context = {"lead": lead, "talks": rows, "talk": current, "can_edit": request.user.can_edit_leads}
    context["doors"] = talks.doors(lead) if context["can_edit"] else []
    if current:
        context |= dialogue.thread(current) | dialogue.composer(current)
    return render(request, "leads/talk.html" if not request.htmx else "leads/_talk.html", context)


@require_GET
@part_of("leads:talk", keys={"pk": "pk"})
def thread(request, pk, talk):
    """The messages anew, when something has come or gone."""
    lead = seen(request, pk)
    current = _one(request, lead, talk)
    return _thread(request, lead, current)


def _thread(request, lead, current, *, status=200, problem=""):
    context = {"lead": lead, "talk": current, "problem": problem, "can_edit": request.user.can_edit_leads}
    context["talks"] = list(dialogue.of_lead(lead, request.user))  # the badges of the others
    return render(request, "leads/_talk_thread.html", context | dialogue.thread(current), status=status)


@require_POST
def answer(request, pk, talk):
    """Write to the client; the message shows at once, with what becomes of it."""
    lead = worked(request, pk)
    current, problem = _one(request, lead, talk), ""
    try:
        talks.answer(
            current, text=request.POST.get("text", ""), template=request.POST.get("template", ""),
            values=request.POST.getlist("value")[:20], file=request.FILES.get("file"), by=request.user,
        )  # fmt: skip
    except ValidationError as error:
        problem = error.messages[0]
    if not request.htmx:
        return answers.away(request, f"{address(lead)}#talk", problem or _("The message is on its way."),
                            level="error" if problem else "success")  # fmt: skip
    current.refresh_from_db()
    response = _thread(request, lead, current, status=422 if problem else 200, problem=problem)
    return response if problem else answers.told(response, **{"timeline:changed": True})


@require_http_methods(["GET", "POST"])
def begin(request, pk, key):
    """Write to a client first: an SMS, or an approved template of WhatsApp."""
    lead = worked(request, pk)
    source, problem = get_object_or_404(Source, key=key, adapter__in={"whatsapp", *SMS}), ""
    text = request.POST.get("text", "")
    if request.method == "POST":
        try:
            form = {"template": request.POST.get("template", ""), "values": request.POST.getlist("value")[:20]}
            talks.begin(lead, source, text=text, **form, by=request.user)
            return answers.done(request, address(lead), _("The message is on its way."), **{"talk:started": {}})
        except ValidationError as error:
            problem = error.messages[0]
    context = dialogue.opening(source, lead, request.GET.get("ready", ""))
    context |= {"lead": lead, "source": source, "problem": problem} | ({"text": text} if problem else {})
    return answers.dialog(request, "leads/talk_new.html", context, invalid=bool(problem))


@require_POST
def read(request, pk, talk):
    """A colleague who works the lead has the messages before their eyes."""
    lead = worked(request, pk)
    talk_news.seen(_one(request, lead, talk))
    return HttpResponse(status=204)


@require_POST
def webhook(request, key):
    """Tell Telegram the address of a source, so that nobody has to type a command."""
    if not request.user.is_administrator:
        raise PermissionDenied(_("Only an administrator changes sources."))
    source, back = get_object_or_404(Source, key=key, adapter="telegram"), reverse("leads:source", args=[key])
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", source.secret):
        return answers.away(request, back, _("State a secret first: letters, digits, - and _ only."), level="error")
    problem = telegram.set_webhook(source, settings.PUBLIC_URL + reverse("leads:capture", args=[key]))
    AuditEntry.objects.create(user=request.user, action="webhook_set", subject=key, details={"said": problem[:200]})
    text = _("Telegram did not take it: %s") % problem if problem else _("Telegram knows the address now.")
    return answers.away(request, back, text, level="error" if problem else "success")


@require_GET
def file(request, pk):
    """A file that a client sent: only ever downloaded, whatever it says it is."""
    rows = ChatFile.objects.filter(line__conversation__in=Conversation.objects.visible_to(request.user))
    row = get_object_or_404(rows, pk=pk, state=ChatFile.State.KEPT)
    return answers.downloaded(row, row.name or f"{row.kind}-{row.pk}")


@require_GET
def sent_file(request, pk):
    """A file that a colleague sent."""
    rows = SentFile.objects.filter(message__conversation__in=Conversation.objects.visible_to(request.user))
    return answers.downloaded(get_object_or_404(rows, pk=pk))
