"""Sources: the list, the page of one with its address and snippet, making and editing."""

import json
from datetime import timedelta

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from crm.core.models import AuditEntry
from leads.capture import ADAPTERS, PSEUDO
from leads.capture.base import Envelope
from leads.forms.capture import SourceForm
from leads.models import Source, Submission
from leads.services import receipt, sources
from leads.services.ledger import by_source, daily, ledger
from leads.views.answers import away
from leads.views.receipts import readers

LAST = 10
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
    rows = Submission.objects.filter(source=found)
    static = f"{settings.PUBLIC_URL}/{settings.STATIC_URL.strip('/')}/js/capture/visits.js"
    context = {
        "source": found,
        "has_address": found.adapter in ADAPTERS,
        "is_form": found.adapter == "web-form",
        "address": _address("leads:capture", found),
        "page_address": _address("leads:form", found),
        "visit_address": _address("leads:visit", found),
        "script": static,
        "open_to_all": not found.secret and found.adapter in ADAPTERS and ADAPTERS[found.adapter].NEEDS_SECRET,
        "last": rows.select_related("lead").defer("body", "headers").order_by("-id")[:LAST],
        "total": ledger(rows),
        "days": daily(rows.filter(received_at__gte=timezone.now() - timedelta(days=7))),
        "settings": json.dumps(found.settings, ensure_ascii=False, indent=2) if found.settings else "",
    }
    return render(request, "leads/source.html", context)


def _administrators(request):
    if not request.user.is_administrator:
        raise PermissionDenied(_("Only an administrator changes sources."))


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request, key=None):
    """A new source, or one that is there."""
    _administrators(request)
    found = get_object_or_404(Source.objects.filter(~Q(adapter__in=PSEUDO)), key=key) if key else None
    form = SourceForm(request.POST or None, instance=found)
    if request.method != "POST" or not form.is_valid():
        status = 422 if request.method == "POST" else 200
        return render(request, "leads/source_form.html", {"form": form, "source": found}, status=status)
    saved = sources.saved(form.save(commit=False))
    AuditEntry.objects.create(user=request.user, action="source_changed" if key else "source_added", subject=saved.key)
    return away(request, reverse("leads:source", args=[saved.key]), _("The source is saved."))


@require_POST
def test(request, key):
    """Send what a provider's test looks like through the same door; it is stored as rejected(test)."""
    _administrators(request)
    found = get_object_or_404(Source, key=key, adapter__in=ADAPTERS)
    envelope = Envelope(
        method="POST", path=reverse("leads:capture", args=[key]), content_type="application/x-www-form-urlencoded",
        headers={"Authorization": f"Bearer {found.secret}"}, raw=b"test=test",
    )  # fmt: skip
    answer = receipt.receive(found, envelope)
    taken = answer.status == 202
    text = _("The address works: the test has been received.") if taken else str(answer.detail)
    return away(request, reverse("leads:source", args=[key]), text, level="success" if taken else "error")
