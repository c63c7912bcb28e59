"""Doors that are open to all: posts of enquiries, hosted form pages, page views of the company's site."""

import hashlib
import hmac
import re

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, JsonResponse
from django.http.request import UnreadablePostError
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from crm.core.models import Organisation
from crm.core.proxies import client_address
from leads.capture import ADAPTERS, traps
from leads.capture.base import FORM, Envelope
from leads.capture.opt_in import wants_confirmation
from leads.capture.senders import origin_allowed
from leads.forms.capture import HostedForm
from leads.models import Submission
from leads.services import parts, receipt, site, sources, visits

JSON_TYPES = ("application/json", "+json", "text/plain", "/xml", "+xml", "/octet-stream")  # programs, not people
UNREAD = re.compile(r"(do-?not|no)[-._]?reply", re.IGNORECASE)  # addresses that nobody reads


# --- The request ----------------------------------------------------------------------------------------------------


def ip_hash(request):
    """Tells senders apart without keeping their addresses."""
    return hmac.new(settings.SECRET_KEY.encode(), client_address(request).encode(), hashlib.sha256).hexdigest()[:32]


def _raw(request, limit):
    """(body or None where it is larger than ``limit``, declared length)."""
    try:
        length = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = 0
    if length > limit:
        return None, length
    raw = request.read(limit + 1)  # not request.body: a chunked body declares no length
    return (raw if len(raw) <= limit else None), length or len(raw)


def _envelope(request, source):
    if request.method == "GET":  # a provider that reports in the address: its query is what others post
        raw, length, kind = request.META.get("QUERY_STRING", "").encode(), 0, FORM
    else:
        raw, length = _raw(request, receipt.body_limit(source))
        kind = request.META.get("CONTENT_TYPE", "")
    return Envelope(
        method=request.method, path=request.path, content_type=kind, headers=request.headers, raw=raw,
        ip_hash=ip_hash(request), own_host=request.get_host(), length=length, url=request.build_absolute_uri(),
    )  # fmt: skip


def _wants_json(request):
    accept = request.headers.get("Accept", "")
    kind = request.META.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    return kind.endswith(JSON_TYPES) or ("application/json" in accept and "text/html" not in accept)


# --- Posts of enquiries ---------------------------------------------------------------------------------------------


@csrf_exempt  # senders are other sites and programs; what they may do is to leave an enquiry
@login_not_required
@require_http_methods(["GET", "HEAD", "POST", "OPTIONS"])
def capture(request, key, rest=""):
    """Take what a provider or a form sends to the source's address or anywhere below it."""
    source = receipt.find_source(key)
    if source is None:
        return JsonResponse({"error": "unknown", "detail": ""}, status=404)
    if request.method == "OPTIONS":
        return _cors(HttpResponse(status=204), request, source)
    try:
        envelope = _envelope(request, source)
    except UnreadablePostError:  # the sender hung up in the middle: there is nobody to answer and nothing to keep
        return HttpResponse(status=400)
    adapter = ADAPTERS[source.adapter]
    if hasattr(adapter, "handshake") and (said := adapter.handshake(envelope, source)):
        return HttpResponse(said.text, status=said.status, content_type=said.content_type)
    if request.method not in {"POST", *getattr(adapter, "METHODS", ())}:
        return HttpResponseNotAllowed(["POST", "OPTIONS"])
    return _cors(_taken(request, source, envelope), request, source)


def _taken(request, source, envelope):
    once = request.headers.get("Idempotency-Key")
    if once is not None and not (0 < len(once) <= 128 and once.isascii() and once.isprintable()):
        detail = _("An Idempotency-Key is 1–%d printable ASCII characters.") % 128
        return JsonResponse({"error": "idempotency_key", "detail": detail}, status=400)
    answer = receipt.receive(source, envelope, key=once)
    if answer.status != 202:
        return _refused(request, source, answer)
    reply = getattr(ADAPTERS[source.adapter], "reply", None)
    if reply and (said := reply(envelope, source)):
        return HttpResponse(said.text, status=said.status, content_type=said.content_type)
    if _wants_json(request) or source.settings.get("answer") == "json":
        response = JsonResponse(_receipt(answer.submission), status=202)
    else:
        response = HttpResponse(status=303, headers={"Location": thanks_url(source, answer.submission)})
    if answer.replayed:
        response["Idempotent-Replayed"] = "true"
    return response


def _receipt(submission):
    """What a program is told of its receipt; of several enquiries in one body, of each."""
    said = [
        {"receipt": str(row.receipt), "state": row.state}
        | ({"error": row.reason, "detail": row.detail} if row.state == Submission.State.REJECTED else {})
        for row in parts.family(submission)
    ]
    several = {"receipts": said} if said else {}
    return {"receipt": str(submission.receipt), "state": "waiting", **several}


def _refused(request, source, answer):
    if "text/html" in request.headers.get("Accept", "") and not _wants_json(request):
        context = {"source": source, "answer": answer, "company": company()}
        response = render(request, "leads/capture/refused.html", context, status=answer.status)
    else:
        receipt_id = {"receipt": str(answer.submission.receipt)} if answer.submission else {}
        body = {"error": answer.reason, "detail": str(answer.detail), **receipt_id}
        response = JsonResponse(body, status=answer.status)
    if answer.retry_after:
        response["Retry-After"] = str(answer.retry_after)
    if answer.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    return response


def _cors(response, request, source):
    """Pages of the source's own sites may post by script; nobody else is told anything."""
    origin = request.headers.get("Origin", "")
    if origin and origin_allowed(source, origin):
        response["Access-Control-Allow-Origin"] = origin
        response["Access-Control-Allow-Methods"] = "POST"
        response["Access-Control-Allow-Headers"] = "Content-Type, Idempotency-Key"
    response["Vary"] = "Origin, Accept"
    return response


def thanks_url(source, submission=None):
    """Where a person goes after the form: the source's own page, or ours; ours shows a material that was asked for."""
    if own := source.settings.get("redirect"):
        return own
    address = reverse("leads:form_thanks", args=[source.key])
    shows = source.adapter == "download" and source.settings.get("file") and not source.settings.get("by_letter")
    return f"{address}?m={site.material_token(submission)}" if shows and submission else address


# --- Hosted form page -----------------------------------------------------------------------------------------------


def _hosted(key):
    source = receipt.find_source(key)
    if source is None or not getattr(ADAPTERS[source.adapter], "HOSTED", False):
        raise Http404
    return source


@csrf_exempt  # no session takes part, and a form that was open for a day must still be taken
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def form(request, key):
    """The page of a source's form: errors before thanks, then the same receipt as for any post."""
    source = _hosted(key)
    if not source.is_active:
        context = {"source": source, "company": company(), "ways": ways_to_us(source)}
        return render(request, "leads/capture/closed.html", context, status=410)
    if request.method != "POST":
        blank = HostedForm(source=source, token=traps.issue(source, timezone.now()), marks=request.GET)
        return _form_page(request, source, blank)
    return _form_sent(request, source, _envelope(request, source))


def _form_sent(request, source, envelope):
    fields = visits.plain_fields(envelope)
    filled = HostedForm(fields, source=source)
    caught = bool(fields.get(traps.HONEYPOT))
    if not caught and envelope.raw is not None and not filled.is_valid():
        return _form_page(request, source, filled, status=422)
    token = fields.get(traps.TOKEN)
    key = f"form:{hashlib.sha256(token.encode()).hexdigest()}" if token else None
    answer = receipt.receive(source, envelope, key=key, key_optional=True)
    if answer.status == 202 or (caught and answer.reason in {"no_contact", "too_long"}):
        return HttpResponseRedirect(thanks_url(source, answer.submission), status=303)
    filled.add_error(None, str(answer.detail))
    response = _form_page(request, source, filled, status=answer.status)
    if answer.retry_after:
        response["Retry-After"] = str(answer.retry_after)
    return response


def company():
    """Whose page it is, for a visitor; "" where nobody has said."""
    name = Organisation.get().name
    return "" if name == Organisation._meta.get_field("name").default else name


def ways_to_us(source=None):
    """Where else a visitor may turn: the site that the form stands on and the company's address; only what is stated."""
    hosts = [host.rstrip("/") for host in sources.hosts(source.settings) if "*" not in host] if source else []
    site_url = hosts and (hosts[0] if "//" in hosts[0] else f"https://{hosts[0]}")
    email = Organisation.get().from_email
    return {"site": site_url or "", "email": "" if UNREAD.match(email) else email}


def _form_page(request, source, filled, status=200):
    context = {"source": source, "form": filled, "company": company()}
    response = render(request, "leads/capture/form.html", context, status=status)
    response["Cache-Control"] = "no-store"
    if source.settings.get("redirect"):  # Chromium holds a form's redirects to form-action as well
        response._csp_update = {"form-action": [source.settings["redirect"].split("?")[0]]}
    return response


@login_not_required
@require_safe
def thanks(request, key):
    source = _hosted_or_any(key)
    wanted = site.material(request.GET.get("m", "")) if source.adapter == "download" else None
    confirms = wants_confirmation(source, getattr(ADAPTERS[source.adapter], "CONFIRMS", False))
    material = site.material_link(wanted) if wanted and not confirms else ""
    context = {"source": source, "material": material, "confirms": confirms, "company": company()}
    return render(request, "leads/capture/thanks.html", context)


def _hosted_or_any(key):
    source = receipt.find_source(key)
    if source is None:
        raise Http404
    return source


# --- Page views -----------------------------------------------------------------------------------------------------


@csrf_exempt  # a beacon from the company's own site: no cookie, no session
@login_not_required
@require_http_methods(["POST"])
def visit(request, key):
    """One page seen by a visitor who agreed to be remembered; 204 whatever it led to."""
    source = receipt.find_source(key)
    if source is None or not source.is_active:
        return HttpResponse(status=404 if source is None else 410)
    raw, _length = _raw(request, visits.MAX_BODY)
    if raw is None:
        return HttpResponse(status=413)
    if seconds := visits.flooded(source, ip_hash(request)):
        return HttpResponse(status=429, headers={"Retry-After": str(seconds)})
    if not visits.allowed(source, request.headers.get("Origin", "")):
        return HttpResponse(status=403)
    seen = visits.seen(source, raw)
    return HttpResponse(status=204 if seen else 400)
