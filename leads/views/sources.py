"""Sources: the list, the page of one with its address and snippet, making and editing."""

from datetime import timedelta

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.shortcuts import get_object_or_404, render
from django.template import TemplateDoesNotExist
from django.template.loader import get_template
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _l
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from crm.core.models import AuditEntry
from crm.core.versions import locked, refusal
from leads.capture import ADAPTERS, PSEUDO, adapter_choices, canary, label_of
from leads.capture.base import secrets_of
from leads.capture.form_items import items_of
from leads.forms.doors import OURS
from leads.forms.sources import SourceForm
from leads.models import Source, Submission
from leads.services import receipt, sources
from leads.services.ledger import by_source, daily, ledger
from leads.views.answers import away
from leads.views.receipts import open_leads, readers

LAST = 10
KINDS = [  # (title, icon, [(adapter, what it is for, where its name does not tell)])
    (_l("Site"), "globe", [
        ("web-form", _l("A page of ours, a form for your page, or your own HTML")),
        ("chat", _l("A window in which visitors write to you")),
        ("tilda", ""), ("typeform", ""),
        ("json", _l("Any program that can send JSON to an address")),
        ("mapping", _l("Any other service: you say which of its fields is what")),
        ("visits", _l("Which pages a client looked at; makes no leads")),
    ]),
    (_l("Advertising"), "target", [("meta", ""), ("google-ads", ""), ("vk", _l("Lead forms and messages of a community"))]),
    (_l("Messengers"), "message", [("telegram", ""), ("whatsapp", ""), ("jivo", _l("Chats that are answered in Jivo"))]),
    (_l("Telephony"), "phone", [
        ("mango", ""), ("zadarma", ""), ("uis", ""), ("twilio", _l("Calls")), ("asterisk", _l("An exchange of your own")),
    ]),
    (_l("SMS"), "phone-in", [("sms-ru", ""), ("twilio-sms", ""), ("sms-trial", _l("To try it out without paying"))]),
    (_l("Email"), "mail", [("imap", _l("A mailbox that is read every minute")), ("inbound-mail", "")]),
    (_l("Marketing"), "star", [
        ("newsletter", _l("Addresses for emails, confirmed by a letter")),
        ("event", _l("Registration and who came")),
        ("download", _l("A file that is given for a contact")),
        ("referral", _l("Clients and partners who recommend you")),
    ]),
]  # fmt: skip
DAYS = 30


def _address(name, source):
    return settings.PUBLIC_URL + reverse(name, args=[source.key])


def _recent():
    return Submission.objects.filter(received_at__gte=timezone.now() - timedelta(days=DAYS))


@require_safe
@readers
def index(request):
    totals = by_source(_recent())
    rows = [(source, totals.get(source.pk)) for source in Source.objects.select_related("origin").order_by("name")]
    labels = {name: adapter.LABEL for name, adapter in ADAPTERS.items()} | PSEUDO
    context = {"rows": [(s, t, labels.get(s.adapter, s.adapter)) for s, t in rows], "days": DAYS}
    return render(request, "leads/sources.html", context)


@require_safe
@readers
def source(request, key):
    found = get_object_or_404(Source.objects.select_related("origin", "consent"), key=key)
    rows, adapter = Submission.objects.filter(source=found), ADAPTERS.get(found.adapter)
    last = _last(rows)
    context = {
        "source": found,
        "adapter": adapter,
        "kind": label_of(found.adapter),
        "has_address": adapter is not None,
        "address": _address("leads:capture", found),
        "open_to_all": adapter is not None and adapter.NEEDS_SECRET and not found.secret,
        "former_until": _former_until(found),
        "guide": _guide(found),
        "last": last,
        "open_leads": open_leads(request.user, last),
        "total": ledger(rows),
        "days": daily(rows.filter(received_at__gte=timezone.now() - timedelta(days=7))),
        "facts": sources.facts_of(found),
    }
    return render(request, "leads/source.html", context | _hosted(found, adapter))


def _last(rows):
    """The latest by number, as they came: several may be written down in another order than they were received."""
    found = rows.select_related("lead").defer("body", "headers").order_by("-id")[:LAST]
    return sorted(found, key=lambda row: row.received_at, reverse=True)


def _hosted(source, adapter):
    """What the page shows of a form or a chat of ours."""
    if source.adapter == "chat":
        script = f"{settings.PUBLIC_URL}/{settings.STATIC_URL.strip('/')}/js/capture/chat.js"
        return {"chat_address": _address("leads:chat", source), "chat_script": script}
    if not getattr(adapter, "HOSTED", False) and source.adapter != "visits":
        return {}
    static = f"{settings.PUBLIC_URL}/{settings.STATIC_URL.strip('/')}/js/capture/visits.js"
    return {
        "is_form": source.adapter != "visits",
        "items": items_of(source),
        "page_address": _address("leads:form", source),
        "visit_address": _address("leads:visit", source),
        "script": static,
    }


def _former_until(source):
    """Until when the former secret is accepted; None where there is none."""
    return parse_datetime(source.settings.get("old_secret_until") or "") if len(secrets_of(source)) > 1 else None


def _kinds():
    """(title, icon, [(adapter, name, what it is for)]); those that no group has stand at the end."""
    names = dict(adapter_choices())
    groups = [(title, sign, [(key, names.pop(key), hint) for key, hint in rows]) for title, sign, rows in KINDS]
    rest = [(key, name, "") for key, name in names.items()]
    return [*groups, (_("Others"), "bolt", rest)] if rest else groups


def _guide(source):
    """The template that says what to paste where; "" where there is none of its own."""
    name = f"leads/capture/guides/{source.adapter}.html"
    try:
        get_template(name)
    except TemplateDoesNotExist:
        return ""
    return name


def _administrators(request):
    if not request.user.is_administrator:
        raise PermissionDenied(_("Only an administrator changes sources."))


@require_http_methods(["GET", "HEAD", "POST"])
@transaction.atomic
def edit(request, key=None):
    """A new source, first its kind; or one that is there."""
    _administrators(request)
    rows = locked(Source.objects.filter(~Q(adapter__in=PSEUDO)), request)
    found = get_object_or_404(rows, key=key) if key else None
    adapter = request.GET.get("adapter", "")
    if request.method != "POST" and not found and adapter not in ADAPTERS:
        return render(request, "leads/source_kinds.html", {"kinds": _kinds()})
    form = SourceForm(request.POST or None, request.FILES or None, instance=found, adapter=adapter)
    if request.method != "POST" or not form.is_valid():
        status = refusal(form) if request.method == "POST" else 200
        kind = label_of(found.adapter if found else adapter)
        context = {"form": form, "source": found, "kind": kind, "ours": OURS}
        return render(request, "leads/source_form.html", context, status=status)
    saved = sources.saved(form.save(commit=False))
    AuditEntry.objects.create(user=request.user, action="source_changed" if key else "source_added", subject=saved.key)
    return away(request, reverse("leads:source", args=[saved.key]), _("The source is saved."))


@require_POST
def rotate(request, key):
    """A new secret, the former one accepted for a week."""
    _administrators(request)
    found = get_object_or_404(Source, key=key, adapter__in=ADAPTERS)
    sources.rotate(found, by=request.user)
    text = _("There is a new secret; the former one is accepted for seven days.")
    return away(request, reverse("leads:source", args=[key]), text)


@require_POST
def test(request, key):
    """Send what a provider's test looks like through the same door; it is no enquiry."""
    _administrators(request)
    found = get_object_or_404(Source, key=key, adapter__in=ADAPTERS)
    path, adapter = reverse("leads:capture", args=[key]), ADAPTERS[found.adapter]
    answer = receipt.receive(found, canary.envelope(adapter, found, path, settings.PUBLIC_URL))
    taken = answer.status == 202
    text = _("The address works: the test has been received.") if taken else str(answer.detail)
    return away(request, reverse("leads:source", args=[key]), text, level="success" if taken else "error")
