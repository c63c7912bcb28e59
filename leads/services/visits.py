"""Pages of the company's site, seen by visitors who agreed to be remembered; a visitor's id merges no people."""

import uuid
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

from django.db import transaction
from django.utils import timezone
from django.utils.datastructures import MultiValueDict

from leads import identity
from leads.capture import limits
from leads.capture.base import Refused, parse_body, read_json
from leads.capture.names import MARKS
from leads.capture.senders import host_of, origin_allowed
from leads.models import Identity, Kind, Lead, PageView, Status, Touch
from leads.services.origins import origin_of
from leads.services.timeline import record

MAX_BODY = 4096  # bytes
PER_MINUTE = 240  # page views of one address
AGAIN = timedelta(minutes=30)  # the same page counts once in so long


def flooded(source, ip_hash):
    return limits.wait(("visit", source.pk, ip_hash), int(source.settings.get("visits_per_minute") or PER_MINUTE))


def allowed(source, origin):
    return not source.settings.get("origins") or not origin or origin_allowed(source, origin)


def plain_fields(envelope):
    """The fields of a form body, for a Django form; empty where the body cannot be read."""
    try:
        body = parse_body(envelope.content_type, envelope.raw or b"")
    except Refused:
        return MultiValueDict()
    return MultiValueDict(body.fields)


def _facts(data):
    """(visitor, url, title, referrer) of a note, or None."""
    try:
        visitor = uuid.UUID(str(data["v"]))
        url = identity.line(data["u"], 500)
    except (KeyError, TypeError, ValueError):
        return None
    title, referrer = (identity.line(data.get(name), width) for name, width in (("t", 200), ("r", 500)))
    return (visitor, url.split("#")[0], title, referrer) if host_of(url) else None


def seen(source, raw):
    """Keep the page view of a beacon; returns it, or None for what is no page view."""
    try:
        return noted(source, read_json(raw)[0])
    except Refused:
        return None


@transaction.atomic
def noted(source, note):
    """Keep a page view; returns it, or None for what is no page view. Known people get it on the timeline of their
    open lead, the same page once in half an hour; the marks of an advertisement are a touch of theirs."""
    facts = _facts(note)
    if facts is None:
        return None
    visitor, url, title, referrer = facts
    person_id = (
        Identity.objects.filter(kind=Identity.Kind.VISITOR, scope="", value=str(visitor))
        .values_list("person", flat=True)
        .first()
    )
    again = person_id and _seen_lately(visitor, url)
    view = PageView.objects.create(
        visitor=visitor, person_id=person_id, source=source, url=url, title=title, referrer=referrer
    )
    if person_id and not again:
        _tell(person_id, view)
    return view


def _seen_lately(visitor, url):
    since = timezone.now() - AGAIN
    return PageView.objects.filter(visitor=visitor, url=url, at__gte=since).exists()


def _touch(lead, view):
    """Somebody who came back by an advertisement or a letter has one more touch."""
    query = dict(parse_qsl(urlsplit(view.url).query))
    marks = {name: identity.line(value, 500) for name, value in query.items() if name in MARKS and value}
    if marks:
        marks |= {"landing": view.url} | ({"referrer": view.referrer} if view.referrer else {})
        Touch.objects.create(lead=lead, person_id=lead.person_id, origin=origin_of(marks, view.source), marks=marks)


def _tell(person_id, view):
    lead = Lead.objects.filter(person_id=person_id, status=Status.OPEN).order_by("-id").first()
    if lead:
        _touch(lead, view)
        record(
            lead, Kind.PAGE_VIEW, text=view.title or view.url, url=view.url, title=view.title, referrer=view.referrer
        )
