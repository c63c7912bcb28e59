"""What clients' mail programs ask for: pixel, links, the way out. Open to all; known by an unguessable token alone."""

import base64
import hashlib

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import translation
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from crm.core.proxies import client_address
from leads.models import Message, MessageLink
from leads.services import optouts, tracking
from leads.services.letters import language_of
from leads.views.capture import company

GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


def _about(request):
    """Who asks, as far as it is kept: the program's name and a keyed digest of the address."""
    digest = hashlib.blake2b(
        client_address(request).encode(), key=settings.SECRET_KEY.encode()[:64], digest_size=16
    ).hexdigest()
    return {"method": request.method, "agent": request.headers.get("User-Agent", "")[:300], "ip_hash": digest}


@csrf_exempt  # any other method is answered by 405, not by the CSRF page
@login_not_required
@require_safe
def pixel(request, token):
    """An unknown token gets the same picture: the answer tells nothing."""
    message = tracking.sent_message(token)
    if message is not None and message.tracked:
        tracking.hit(message, "open", **_about(request))
    return HttpResponse(GIF, content_type="image/gif", headers={"Cache-Control": "no-store, private, max-age=0"})


@csrf_exempt
@login_not_required
@require_safe
def click(request, token, position):
    """To the address that was stored with the letter; nothing of the query takes part."""
    link = MessageLink.objects.select_related("message").filter(message__token=token, position=position).first()
    if link is None:
        raise Http404
    tracking.hit(link.message, "click", link=link, **_about(request))
    response = HttpResponseRedirect(link.url)
    response["Cache-Control"] = "no-store, private"
    response["Referrer-Policy"] = "no-referrer"
    return response


@csrf_exempt  # RFC 8058: mail providers post without cookies; the token is the right to do it
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request, token):
    """GET shows, POST acts."""
    message = Message.objects.select_related("lead").filter(token=token).exclude(kind=Message.Kind.NOTICE).first()
    if message is None:
        return render(request, "leads/unsubscribe.html", {"unknown": True, "company": company()}, status=404)
    if request.method == "POST":
        _act(request, message)
        if request.POST.get("List-Unsubscribe") == "One-Click":
            return HttpResponse("OK\n", content_type="text/plain")
    else:
        tracking.hit(message, "click", way_out=True, **_about(request))
    with translation.override(_language(request, message)):
        context = {"message": message, "out": optouts.is_opted_out(message.to), "acted": request.method == "POST"}
        context["company"] = company()
        response = render(request, "leads/unsubscribe.html", context)
    response["Cache-Control"] = "no-store, private"
    return response


def _act(request, message):
    if request.POST.get("again") == "1":
        optouts.opt_in(message.to, lead=message.lead)
    else:
        optouts.opt_out(message.to, lead=message.lead, message=message)


def _language(request, message):
    lead = message.lead
    return language_of(lead) if lead is not None and lead.language else translation.get_language_from_request(request)
