"""The company's own chat: the widget's page in a frame of the site, what a visitor writes, what is answered."""

from urllib.parse import urlsplit

from csp.decorators import csp
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from crm.core.models import Organisation
from leads.capture import chat, limits
from leads.capture.base import Envelope, Refused, read_json
from leads.services import chat_desk, chat_files, receipt, sources
from leads.views import answers
from leads.views.capture import ip_hash

SAYS, ASKS = 40, 240  # a minute, of one visitor
MAX_BODY = 16 * 1024
PAGE_CSP = {
    "default-src": ["'none'"], "script-src": ["'self'"], "style-src": ["'self'"], "img-src": ["'self'"],
    "connect-src": ["'self'"], "form-action": ["'none'"], "base-uri": ["'none'"],
}  # fmt: skip


def _source(key):
    source = receipt.find_source(key)
    if source is None or source.adapter != "chat" or not source.is_active:
        raise Http404
    return source


def _flooded(request, source, what, per_minute):
    """An answer where one visitor asks too often; None where not."""
    wait = limits.wait((source.pk, what, ip_hash(request)), per_minute)
    return JsonResponse({"error": "flood"}, status=429, headers={"Retry-After": str(wait)}) if wait else None


@login_not_required
@xframe_options_exempt
@csp(PAGE_CSP)
@require_GET
def page(request, key):
    """The chat itself, in a frame on the company's site."""
    source = _source(key)
    context = {
        "source": source, "company": source.settings.get("title") or Organisation.get().name,
        "greeting": source.settings.get("greeting") or "", "online": chat_desk.anybody_at_work(),
    }  # fmt: skip
    response = render(request, "leads/capture/chat.html", context)
    response["Cache-Control"] = "no-store"
    response._csp_update = {"frame-ancestors": _parents(source)}
    return response


def _parents(source):
    """Which sites may show the chat: those that are stated; any where none is."""
    hosts = [urlsplit(h).netloc if "//" in h else h for h in sources.hosts(source.settings)]
    return [h for h in hosts if h] or ["*"]


@csrf_exempt  # the frame has no session; the visitor's signed token tells who it is
@login_not_required
@require_POST
def say(request, key):
    """Take a message or a contact; the answer carries the visitor's token."""
    source = _source(key)
    if refusal := _flooded(request, source, "say", SAYS):
        return refusal
    raw = request.read(MAX_BODY + 1)
    try:
        said, _warnings = read_json(raw) if len(raw) <= MAX_BODY else ({}, [])
    except Refused as refused:
        return JsonResponse({"error": refused.reason}, status=refused.status)
    if not isinstance(said, dict) or not said:
        return JsonResponse({"error": "invalid"}, status=422)
    token = said.get("token") if isinstance(said.get("token"), str) else ""
    token = token if chat.visitor_of(token, source) else chat.issue(source)
    answer = receipt.receive(source, _envelope(request, source, said, token))
    if answer.status != 202:
        headers = {"Retry-After": str(answer.retry_after)} if answer.retry_after else {}
        return JsonResponse({"error": answer.reason}, status=answer.status, headers=headers)
    return JsonResponse({"token": token, "online": chat_desk.anybody_at_work()})


def _envelope(request, source, said, token):
    raw = chat_desk.body(chat.visitor_of(token, source), said)
    return Envelope(
        method="POST", path=reverse("leads:chat_say", args=[source.key]), content_type="application/json",
        headers={"User-Agent": request.headers.get("User-Agent", "")}, raw=raw, ip_hash=ip_hash(request),
        own_host=request.get_host(), length=len(raw),
    )  # fmt: skip


@login_not_required
@require_GET
def lines(request, key):
    """What has been said since the visitor's page last asked; only ever of the token's own conversation."""
    source = _source(key)
    if refusal := _flooded(request, source, "lines", ASKS):
        return refusal
    visitor = chat.visitor_of(request.headers.get("X-Chat-Token", "")[:300], source)
    if not visitor:
        return JsonResponse({"error": "token"}, status=401)
    told, cursor = chat_desk.lines(source, visitor, _cursor(request.GET.get("after", "")))
    body = {"lines": told, "after": f"{cursor[0]}-{cursor[1]}", "online": chat_desk.anybody_at_work()}
    return JsonResponse(body, headers={"Cache-Control": "no-store"})


@login_not_required
@require_GET
def file(request, key, token):
    """A file that a colleague sent to a visitor; whoever knows the message's token may have it."""
    source = _source(key)
    if refusal := _flooded(request, source, "file", SAYS):
        return refusal
    row = chat_files.of_visitor(source, token)
    if row is None:
        raise Http404
    return answers.downloaded(row)


def _cursor(text):
    numbers = text.split("-")
    right = len(numbers) == 2 and all(n.isascii() and n.isdigit() and len(n) < 18 for n in numbers)
    return (int(numbers[0]), int(numbers[1])) if right else (0, 0)
