"""What every request passes through."""

import contextlib
import logging
from zoneinfo import ZoneInfo

import psycopg_pool
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.db import DatabaseError, DataError, InterfaceError, OperationalError
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from whitenoise.middleware import WhiteNoiseMiddleware

from crm.core.storage import is_full
from crm.core.views import bad_request
from crm.core.views.errors import unavailable

log = logging.getLogger(__name__)


class DatabaseDown:
    """No database, no room on a disk, or a lock that does not open: 503 with Retry-After, never 500, never 2xx.

    And 400 for a value that it cannot hold (a NUL, half a letter, a number beyond all measure): what a page does not
    look at itself, such as the filters of Django's own admin.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_exception(self, request, exception):
        if self.is_outage(exception):
            log.warning("database or disk unavailable: %s", exception.__class__.__name__)
            return unavailable(request)
        if isinstance(exception, DataError | OverflowError | UnicodeEncodeError):
            log.warning("a value that cannot be kept: %s %s", request.path, exception)
            return self.unfit(request, exception)
        return None

    @staticmethod
    def is_outage(exception):
        outages = (OperationalError, InterfaceError, psycopg_pool.PoolTimeout)
        return isinstance(exception, outages) or (isinstance(exception, DatabaseError | OSError) and is_full(exception))

    def unfit(self, request, exception):
        if "text/html" in request.headers.get("Accept", ""):
            return bad_request(request, exception)
        return HttpResponse(b'{"error": "invalid"}', status=400, content_type="application/json")


class UserPreferences:
    """Language and time zone of the signed-in user; the browser's language for who has none."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        user = request.user
        language = (user.is_authenticated and user.language) or translation.get_language_from_request(request)
        zone = (user.is_authenticated and user.time_zone) or settings.TIME_ZONE
        with translation.override(language), timezone.override(ZoneInfo(zone)):
            request.LANGUAGE_CODE = language
            response = self.get_response(request)
            if hasattr(response, "render") and not response.is_rendered:
                response.render()
        response.headers.setdefault("Content-Language", language)
        return response


class Refusals:
    """The page of an address that only takes what is sent to it: Django's own answer to a visit there is a blank one."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        if response.status_code == 405 and not response.content and "text/html" in request.headers.get("Accept", ""):
            page = render(request, "405.html", status=405)
            page["Allow"] = response["Allow"]
            return page
        return response


class Fragments:
    """htmx: one address serves page and fragment, so caches must tell them apart; personal pages are not stored.

    A fragment asked for without a session gets ``HX-Redirect`` to the login page instead of the page itself.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        patch_vary_headers(response, ["HX-Request"])
        if getattr(request, "user", None) is not None and request.user.is_authenticated:
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    def process_view(self, request, view, args, kwargs):
        if request.htmx and not request.user.is_authenticated and getattr(view, "login_required", True):
            back = request.htmx.current_url_abs_path or "/"
            response = HttpResponse(status=401)
            response["HX-Redirect"] = redirect_to_login(back).url
            return response
        return None


class StaticFiles(WhiteNoiseMiddleware):
    """WhiteNoise with the body read at once: the files are small, and ASGI would warn of a synchronous stream."""

    @staticmethod
    def serve(static_file, request):
        found = static_file.get_response(request.method, request.META)
        body = b""
        if found.file is not None:
            with contextlib.closing(found.file):
                body = found.file.read()
        response = HttpResponse(body, status=int(found.status))
        del response["Content-Type"]  # WhiteNoise names it where there is a body
        for name, value in found.headers:
            response[name] = value
        return response
