"""What came in at every door, and what became of it."""

import re
from functools import wraps

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST, require_safe

from crm.core.models import Organisation
from crm.core.templatetags.ui import num
from leads.forms.receipts import ReceiptFilter
from leads.models import Lead, Source, Submission
from leads.services import judging, parts, retention, waits
from leads.services.ledger import by_source, daily, ledger
from leads.services.receipt_search import WINDOW, chosen
from leads.story import title, understood
from leads.views.answers import away

ROWS = 50
SHOWN = 20_000  # characters of a raw body on the page
DAYS = 14
TECHNICAL = re.compile(r"\w(Error|Exception)\b|\b(line|строка) \d+,? (column|столбец) \d+")
RESERVATIONS = {  # what a receipt was read with, by its code or by the code's first word
    "charset": gettext_lazy("The encoding “%s” is not known."),
    "decoded_as": gettext_lazy("The text was read as %s."),
    "file": gettext_lazy("A file came along: %s."),
    "shortened": gettext_lazy("Shortened: %s."),
    "cut": gettext_lazy("The email was cut short."),
    "headers:too_many": gettext_lazy("The email has too many headers."),
    "parts:too_many": gettext_lazy("The email has too many parts."),
    "parts:too_deep": gettext_lazy("The email has too many parts."),
    "attachments:too_many": gettext_lazy("The email has too many attachments."),
    "attachments:too_large": gettext_lazy("An attachment of the email is too large."),
}


def readers(view):
    """Receipts hold contacts of anyone: heads, marketers and administrators read them."""

    @wraps(view)
    def checked(request, *args, **kwargs):
        if not (request.user.sees_all or request.user.is_head):
            raise PermissionDenied(_("Enquiries as they came are for heads of sales, marketers and administrators."))
        return view(request, *args, **kwargs)

    return checked


def _may_replay(user):
    return user.is_administrator or user.is_head


@require_safe
@readers
def index(request):
    found = ReceiptFilter(request.GET)
    valid = found.is_valid()
    rows = chosen(request.user, found.cleaned_data) if valid else Submission.objects.none()
    after = request.GET.get("after", "")
    place = int(after) if after.isascii() and after.isdigit() and len(after) < 19 else None
    page = rows.filter(pk__lt=place) if place else rows
    page = list(page.select_related("source", "lead").defer("body", "headers")[: ROWS + 1])
    context = {
        "form": found,
        "rows": page[:ROWS],
        "open_leads": open_leads(request.user, page),
        "next_url": _next(request, page[ROWS - 1].pk) if len(page) > ROWS else "",
        "window": WINDOW if valid and found.cleaned_data["q"] else 0,
        "may_replay": _may_replay(request.user),
        "query": any(value for name, value in request.GET.items() if name != "after"),
    }
    return render(request, "leads/receipts.html", context, status=200 if valid else 422)


def open_leads(user, receipts):
    """The keys of those leads of the receipts whose cards are open to the user."""
    keys = {row.lead_id for row in receipts if row.lead_id}
    return set(Lead.objects.visible_to(user).filter(pk__in=keys).values_list("pk", flat=True))


def _next(request, pk):
    query = request.GET.copy()
    query["after"] = str(pk)
    return f"{request.path}?{query.urlencode()}"


@require_safe
@readers
def receipt(request, pk):
    """One receipt: the raw body escaped, what was read in it, and why it is what it is."""
    rows = Submission.objects.visible_to(request.user).select_related("source", "lead", "person")
    row = get_object_or_404(rows, pk=pk)
    lead = row.lead_id and Lead.objects.visible_to(request.user).filter(pk=row.lead_id).first()
    raw = parts.shown(row)
    context = {
        "row": row,
        "lead": lead,
        "family": parts.family(row),
        "forgotten": retention.is_forgotten(row, raw),
        "keep_days": Organisation.get().refused_days,
        "raw": raw.decode("utf-8", "backslashreplace")[:SHOWN],
        "size": len(raw),
        "cut": len(raw) > SHOWN,
        **_said(row),
        "parsed": understood(row),
        "reservations": [_reservation(code) for code in row.warnings],
        "can_replay": _may_replay(request.user) and judging.may_replay(row),
        "reads_again": row.reason in judging.READ_AGAIN,
    }
    return render(request, "leads/receipt.html", context)


def _detail(row):
    """What is kept of the reason in particular; of a field that is too long, how long it is."""
    name, _colon, size = row.detail.partition(": ")
    if row.reason == Submission.Reason.TOO_LONG and size.isdecimal():
        text = ngettext("%(field)s: %(size)s character", "%(field)s: %(size)s characters", int(size))
        return text % {"field": title(name), "size": num(size)}
    return row.detail


def _said(row):
    """The reason in particular, in people's words; what a program says of it apart, to be unfolded."""
    detail = _detail(row)
    if row.state == Submission.State.WAITING:
        return {"detail": "", "waits": waits.why(row)}
    failed = row.reason == Submission.Reason.FAILED
    is_technical = failed or (row.reason == Submission.Reason.UNPARSEABLE and TECHNICAL.search(detail))
    what = _("The enquiry is kept. Once the cause is mended, “Read again” makes a lead of it.")
    return {"technical": detail, "waits": [what] if failed else []} if is_technical else {"detail": detail}


def _reservation(code):
    """One thing that was read with reserve, in words: of the form as a whole, or the field whose value was not read."""
    name, _colon, rest = code.partition(":")
    if code in RESERVATIONS:
        return RESERVATIONS[code]
    if name in RESERVATIONS:
        return RESERVATIONS[name] % (title(rest) if name == "shortened" else rest)
    return _("%(field)s could not be read: %(value)s.") % {"field": title(name), "value": rest} if rest else code


@require_POST
@readers
def replay(request, pk):
    """Read one receipt again; ``force`` makes a lead of what a trap or a check held back."""
    if not _may_replay(request.user):
        raise PermissionDenied
    row = get_object_or_404(Submission.objects.visible_to(request.user), pk=pk)
    row = judging.replay(row, by=request.user, force=request.POST.get("force") == "1")
    if row is None:
        raise Http404
    if retention.is_forgotten(row, parts.raw_of(row)):
        text = _("The body of this enquiry has been deleted: it was refused longer ago than such bodies are kept.")
        return away(request, reverse("leads:receipt", args=[row.pk]), text, level="warning")
    made = row.state in {Submission.State.LEAD, Submission.State.MERGED}
    text = _("The enquiry has become a lead.") if made else _("Nothing has changed: %s") % row.get_reason_display()
    url = reverse("leads:receipt", args=[row.pk])
    return away(request, url, text, level="success" if made else "warning")


@require_POST
@readers
def replay_all(request):
    """Set every receipt of the filter that reading again may mend to be judged anew."""
    found = ReceiptFilter(request.POST)
    if not _may_replay(request.user) or not found.is_valid():
        raise PermissionDenied
    count = judging.replay_many(chosen(request.user, found.cleaned_data).order_by(), by=request.user)
    text = ngettext("%d enquiry is being read again.", "%d enquiries are being read again.", count) % count
    return away(request, f"{reverse('leads:receipts')}?{request.POST.urlencode()}", text)


@require_safe
@readers
def ledger_page(request):
    """The days of all sources or one: received = leads + merged + spam + rejected + errors + waiting."""
    found = ReceiptFilter(request.GET)
    if not found.is_valid():
        return render(request, "leads/receipts_ledger.html", {"form": found, "days": []}, status=422)
    rows = chosen(request.user, {name: found.cleaned_data[name] for name in ("source", "since", "until")})
    days = daily(rows)[: 366 if found.cleaned_data["since"] else DAYS]
    chosen_one = found.cleaned_data["source"]
    context = {"form": found, "days": days, "total": ledger(rows), "source": chosen_one}
    if not chosen_one:
        sums = by_source(rows)
        context["sources"] = [
            (source, sums[source.pk]) for source in Source.objects.filter(pk__in=sums).order_by("name")
        ]
    return render(request, "leads/receipts_ledger.html", context)
