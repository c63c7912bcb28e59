"""Taking an enquiry in: check what can be checked at once, store the raw body with its job, answer after the commit."""

import hashlib
import uuid
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _

from crm.core.jobs import enqueue_many, save_with_job
from crm.core.models import Organisation
from crm.core.recent import recent
from leads.capture import ADAPTERS, limits, several
from leads.capture.base import JSON, Body, Refused, clean
from leads.capture.senders import origin_allowed
from leads.capture.traps import HOSTED
from leads.capture.traps import PER_MINUTE as FORM_PER_MINUTE
from leads.models import Source, Submission
from leads.services import parts, watch
from leads.services.judging import TASK, phone_region

MAX_BODY = 1024 * 1024  # bytes, where the source says nothing
PER_MINUTE = 60_000  # posts of a source with an address of its own: a limit for accidents, not for traffic
PER_MINUTE_HOSTED = 60  # posts of one visitor to a hosted page
HELD = {"state": Submission.State.SPAM, "reason": Submission.Reason.SURGE}
REMEMBER = timedelta(hours=24)  # how long an Idempotency-Key counts
KEEP_HEADERS = ("User-Agent", "Origin", "Referer", "Accept-Language", "X-Signature", "X-Request-Id", "X-Event-Id")


def kept_headers(envelope):
    return {name: clean(envelope.headers[name])[:500] for name in KEEP_HEADERS if envelope.headers.get(name)}


@dataclass(frozen=True)
class Checked:
    """A body that may be taken; ``parts``: where its several enquiries stand → why one is refused, or None.

    ``held``: fields of a receipt that waits for nobody's judgement but a person's.
    """

    body: Body
    parts: dict[str, Refused | None]
    held: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """``submission`` is None where nothing was stored; ``status`` 202 means taken."""

    status: int
    submission: Submission | None = None
    reason: str = ""
    detail: str = ""
    replayed: bool = False
    retry_after: int = 0


def find_source(key):
    """The source of an address, or None; those without an address have no adapter. Only to be read."""
    return _recent_sources().get(key) or _sources().filter(key=key).first()  # a new one is known at once


def _sources():
    return Source.objects.select_related("consent").filter(adapter__in=ADAPTERS)


@recent
def _recent_sources():
    return {source.key: source for source in _sources()}


def receive(source, envelope, *, key=None, key_optional=False):
    """Take one enquiry in; returns the Answer. ``key``: the sender's Idempotency-Key.

    ``key_optional``: another body under the same key is another enquiry (a form sent again after an edit).
    """
    hosted = envelope.path.startswith(HOSTED)
    if seconds := _flooded(source, envelope, hosted):
        return Answer(
            429, reason="flood", detail=_("Too many messages at once; try again in a minute."), retry_after=seconds
        )
    try:
        checked = _checked(source, envelope)
    except Refused as refused:
        return _refuse(source, envelope, refused)
    if hosted and _surged(source):
        checked = replace(checked, held=HELD)
        watch.tell_surge(source)
    own = getattr(ADAPTERS[source.adapter], "once", None)
    if key is None and own and (delivery := own(envelope, checked.body)):
        digest = hashlib.sha256(delivery.encode()).hexdigest()
        return _once(source, envelope, checked, f"delivery:{digest}", key_optional=True)
    if key is None:
        return _taken(source, envelope, checked)
    return _once(source, envelope, checked, key, key_optional)


def _checked(source, envelope):
    """``check``; why some of several enquiries are refused is kept, so it is said in the company's language."""
    checked = check(source, envelope)
    if not any(checked.parts.values()) or get_language() == (ours := Organisation.get().language):
        return checked
    with override(ours):
        return check(source, envelope)


def _flooded(source, envelope, hosted):
    """Seconds to wait, where the source's limit is reached."""
    limit = source.settings.get("per_minute")
    if hosted:
        return limits.wait((source.pk, envelope.ip_hash), int(limit or PER_MINUTE_HOSTED))
    return limits.wait(source.pk, int(limit or PER_MINUTE))


def _surged(source):
    """Whether the form has got more posts of this minute, from everywhere, than it takes by itself."""
    return limits.wait(("form", source.pk), int(source.settings.get("form_per_minute") or FORM_PER_MINUTE))


# --- Checks ---------------------------------------------------------------------------------------------------------


def check(source, envelope):
    """Checked; raises Refused where the request cannot become an enquiry; no query, no write."""
    if not source.is_active:
        raise Refused(410, "source_off", _("This address takes no enquiries any more."))
    limit = body_limit(source)
    if envelope.raw is None or len(envelope.raw) > limit:
        raise Refused(413, "too_large", _("At most %s are taken.") % filesizeformat(limit))
    if envelope.headers.get("Content-Encoding", "identity").lower() not in {"identity", ""}:
        raise Refused(415, "unparseable", _("Compressed bodies are not taken."))
    _check_origin(source, envelope)
    body, found = _read(source, envelope)
    region = phone_region()
    if not found:
        _check_enquiry(source, envelope, region, body)
    pieces = several.pieces(envelope.content_type, envelope.raw, found) if found else []
    wrong = {part: _wrong(source, envelope, region, *piece) for part, *piece in pieces}
    if found and all(wrong.values()):
        raise wrong[found[0]]
    return Checked(body, wrong)


def _check_enquiry(source, envelope, region, body):
    adapter = ADAPTERS[source.adapter]
    parsed = adapter.parse(
        body, source, headers=envelope.headers, region=region, path=envelope.path, received_at=timezone.now()
    )
    if parsed.kind == "lead" and not parsed.identities and not getattr(adapter, "TAKES_ALL", False):
        raise Refused(422, "no_contact", _("A phone, an email or a messenger to answer to is needed."))


def _wrong(source, envelope, region, piece, part):
    """Why one of several enquiries is refused, or None."""
    try:
        body = parts.body(ADAPTERS[source.adapter], JSON, piece, part)
        _check_enquiry(source, envelope, region, body)
    except Refused as refused:
        return refused
    return None


def body_limit(source):
    """Bytes that one delivery to this source may have."""
    adapter = ADAPTERS.get(source.adapter)
    usual = several.MAX_BODY if getattr(adapter, "SEVERAL", False) else MAX_BODY
    return int(source.settings.get("max_body") or getattr(adapter, "MAX_BODY", usual))


def _check_origin(source, envelope):
    allowed, origin = source.settings.get("origins") or [], envelope.headers.get("Origin", "")
    if allowed and origin and not origin_allowed(source, origin) and origin.partition("//")[2] != envelope.own_host:
        raise Refused(403, "origin", _("Posts from this site are not allowed: %s") % clean(origin)[:100])


def _read(source, envelope):
    """(the body, where its several enquiries stand) of a sender who proved to be who they should; of several the first.

    A wrong proof weighs more than a broken body.
    """
    adapter, body, found, broken = ADAPTERS[source.adapter], None, [], None
    try:
        found = parts.places(adapter, envelope.content_type, envelope.raw, source.settings)
        body = parts.body(adapter, envelope.content_type, envelope.raw, found[0] if found else "")
    except Refused as refused:
        broken = refused
    if not source.secret and adapter.NEEDS_SECRET and not settings.LOCAL:
        raise Refused(401, "unsigned", _("This source has no secret yet; it takes nothing until it has one."))
    adapter.verify(envelope, source, body)
    if broken:
        raise broken
    return body, found


# --- Storing --------------------------------------------------------------------------------------------------------


def _row(source, envelope, **more):
    raw = envelope.raw or b""
    return Submission(
        receipt=uuid.uuid4(), source=source, method=envelope.method, path=clean(envelope.path)[:500],
        content_type=clean(envelope.content_type)[:200], headers=kept_headers(envelope), body=raw,
        sha256=hashlib.sha256(raw).hexdigest(), ip_hash=envelope.ip_hash, **more,
    )  # fmt: skip


def _told_to_us(source, envelope, refused):
    """The refusal as the company's language has it: colleagues read it for long, whatever the sender's language was."""
    language = Organisation.get().language
    if get_language() == language:
        return _values(refused)
    with override(language):
        try:
            check(source, envelope)
        except Refused as said:
            return _values(said)
        return _values(refused)


def _values(refused):
    detail = clean(str(refused.detail))[:500]
    return {"state": Submission.State.REJECTED, "reason": refused.reason, "detail": detail}


def _refuse(source, envelope, refused):
    """Keep what was refused too: every receipt counts and says why."""
    row = _row(source, envelope, **_told_to_us(source, envelope, refused))
    row.save(force_insert=True)
    return Answer(refused.status, row, refused.reason, str(refused.detail))


def _taken(source, envelope, checked):
    try:
        return Answer(202, _store(source, envelope, checked))
    except IntegrityError:  # the source was deleted a moment ago
        return Answer(410, reason="source_off", detail=_("This address takes no enquiries any more."))


def _store(source, envelope, checked, key=None):
    """The receipt with its job; of several enquiries the first, which holds the body, and the others beside it."""
    if checked.parts:
        return _store_several(source, envelope, checked, key)
    row = _row(source, envelope, idempotency_key=key, **checked.held)
    with transaction.atomic() if connection.in_atomic_block else nullcontext():  # a refused key undoes this alone
        row.save(force_insert=True) if checked.held else save_with_job(row, TASK)
    return row


@transaction.atomic
def _store_several(source, envelope, checked, key):
    first, *rest = checked.parts
    refused = {part: _values(why) for part, why in checked.parts.items() if why}
    row = _row(source, envelope, idempotency_key=key, part=first, **refused.get(first, {}))
    row.save(force_insert=True)
    rows = [row, *parts.divide(row, rest, refused)]
    enqueue_many(TASK, [each.pk for each in rows if each.state == Submission.State.WAITING])
    return row


def _once(source, envelope, checked, key, key_optional):
    """Store under the key, or answer as the first time; twenty at once make one receipt."""
    for _attempt in range(3):
        try:
            return Answer(202, _store(source, envelope, checked, key))
        except IntegrityError:
            former = Submission.objects.filter(source=source, idempotency_key=key).defer("body").first()
        if former is None:
            continue
        if former.received_at < timezone.now() - REMEMBER:
            Submission.objects.filter(pk=former.pk).update(idempotency_key=None)
        elif former.sha256 == hashlib.sha256(envelope.raw).hexdigest():
            return Answer(202, former, replayed=True)
        elif key_optional:
            return Answer(202, _store(source, envelope, checked))
        else:
            break
    return _refuse(source, envelope, Refused(422, "invalid", _("This Idempotency-Key was used with another body.")))
