"""What every part of the API shares: bearer keys, the answer contract, keyset pages."""

from datetime import timedelta
from http import HTTPStatus

from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Q
from django.db.models.functions import Now
from django.http import Http404
from django.utils import timezone
from django.utils.translation import gettext as _
from django_fsm import TransitionNotAllowed
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, HttpError
from ninja.errors import ValidationError as SchemaError
from ninja.security import HttpBearer

from crm.core.funnel import GateRefused, StaleCard
from crm.core.models import ApiKey

USED_STEP = timedelta(minutes=1)  # a key's "used" is not written at every request
PAGE_MAX = 100


class Bearer(HttpBearer):
    """``Authorization: Bearer TOKEN``; the request then acts with the rights of the key's user."""

    def authenticate(self, request, token):
        key = (
            ApiKey.objects.select_related("user", "user__team")
            .filter(digest=ApiKey.digest_of(token), is_active=True, user__is_active=True)
            .first()
        )
        if key is None:
            return None
        stale = Q(used_at=None) | Q(used_at__lt=timezone.now() - USED_STEP)
        ApiKey.objects.filter(stale, pk=key.pk).update(used_at=Now())
        request.user = key.user
        return key.user


def forbid_unknown(request, known):
    """Raise 400 for a query parameter that the endpoint does not have: a misspelt filter must not show everything.

    And for a NUL, which no text of the database holds: asked for without it, the filter would show more.
    """
    if unknown := sorted(set(request.GET) - set(known)):
        raise HttpError(400, _("Unknown parameter: %s") % ", ".join(unknown)[:200])
    if any("\0" in value for value in request.GET.values()):
        raise HttpError(400, _("The request does not fit."))


def page(queryset, *, after, limit, show):
    """A keyset page, newest first: ``{"items": […], "next": cursor or None}``; ``after`` is the last key seen."""
    if after is not None:
        queryset = queryset.filter(pk__lt=after)
    rows = list(queryset.order_by("-pk")[: limit + 1])
    more = len(rows) > limit
    return {"items": [show(row) for row in rows[:limit]], "next": rows[limit - 1].pk if more else None}


def known(queryset, name, values):
    """The row that a request names by key; raises ValidationError for the field ``name``."""
    row = queryset.filter(pk=values[name]).first()
    if row is None:
        raise ValidationError({name: _("There is no such record.")})
    return row


def _answer(api, request, status, code, detail, **extra):
    return api.create_response(request, {"error": code, "detail": str(detail), **extra}, status=status)


def _field_errors(error):
    if hasattr(error, "message_dict"):
        return error.message_dict
    return {"": error.messages}


def _schema(error):
    """Where the request does not fit the document, without echoing the input."""
    return [{"where": ".".join(map(str, e["loc"])), "what": e["msg"]} for e in error.errors[:20]]


def install_errors(api: NinjaAPI):
    """Map what services raise to the answer contract."""

    def on(exception, status, code):
        @api.exception_handler(exception)
        def handle(request, error):
            return _answer(api, request, status, code, error)

    on(PermissionDenied, HTTPStatus.FORBIDDEN, "forbidden")
    on(StaleCard, HTTPStatus.CONFLICT, "stale")
    on(TransitionNotAllowed, HTTPStatus.UNPROCESSABLE_ENTITY, "move_not_allowed")

    @api.exception_handler(AuthenticationError)
    def no_key(request, error):
        response = _answer(api, request, 401, "unauthorized", _("A valid API key is needed."))
        response["WWW-Authenticate"] = "Bearer"
        return response

    @api.exception_handler(Http404)
    def missing(request, error):
        return _answer(api, request, 404, "not_found", _("There is no such record, or you may not see it."))

    @api.exception_handler(HttpError)
    def http(request, error):
        return _answer(api, request, error.status_code, "bad_request", getattr(request, "refused", error))

    @api.exception_handler(GateRefused)
    def gate(request, error):
        return _answer(api, request, 422, "fields_missing", error, missing=error.missing)

    @api.exception_handler(ValidationError)
    def invalid(request, error):
        return _answer(api, request, 422, "invalid", _("Some values are not right."), fields=_field_errors(error))

    @api.exception_handler(SchemaError)
    def unfit(request, error):
        in_query = any("query" in map(str, e["loc"]) or "path" in map(str, e["loc"]) for e in error.errors)
        status, words = 400 if in_query or not request.body else 422, _("The request does not fit.")
        return _answer(api, request, status, "invalid", words, errors=_schema(error))
