"""Several enquiries of one body, each a receipt with a fate of its own; the body is stored once, with the first."""

import functools
import json
import uuid
from dataclasses import replace

from leads.capture import ADAPTERS, several
from leads.capture.base import JSON, Refused, parse_body
from leads.models import Submission


def places(adapter, content_type, raw, settings):
    """Where the enquiries of a body stand; [] where it is one."""
    if not getattr(adapter, "SEVERAL", False):
        return []
    return several.places_in(content_type, raw, str(settings.get("each") or ""))


def body(adapter, content_type, raw, part=""):
    """The Body of a receipt, or of its part; raises Refused."""
    read = getattr(adapter, "read", parse_body)
    return read(content_type, raw, part) if part else read(content_type, raw)


def raw_of(receipt):
    """The stored bytes in which a receipt stands."""
    if receipt.whole_id is None:
        return bytes(receipt.body)
    return bytes(Submission.objects.values_list("body", flat=True).get(pk=receipt.whole_id))


def body_of(receipt, *, fresh=False):
    """The Body that a receipt is judged by; of a part without the others. ``fresh``: as it is stored now."""
    adapter = ADAPTERS[receipt.source.adapter]
    if receipt.whole_id is None:
        return body(adapter, receipt.content_type, bytes(receipt.body), receipt.part)
    value, warnings = (_whole.__wrapped__ if fresh else _whole)(receipt.whole_id, receipt.sha256)
    found = _alone(adapter, value, receipt.part)
    return replace(found, warnings=[*warnings, *found.warnings])


@functools.lru_cache(2)
def _whole(pk, _sha256):
    """(value, warnings) of a body that several receipts share: its parts are judged one after another."""
    kind, raw = Submission.objects.values_list("content_type", "body").get(pk=pk)
    return several.tree(kind, bytes(raw))


def _alone(adapter, value, path):
    first = f"{path.rpartition('.')[0]}.0".lstrip(".")
    return body(adapter, JSON, json.dumps(several.only(value, path)).encode(), first)


def divide(first, rest, values=None):
    """Receipts for the other parts of a body; ``values``: part → fields of a receipt that is refused at once."""
    values = values or {}
    rows = [
        Submission(
            receipt=uuid.uuid4(), source_id=first.source_id, whole=first, part=part, method=first.method, path=first.path,
            content_type=first.content_type, headers=first.headers, body=b"", sha256=first.sha256,
            ip_hash=first.ip_hash, **values.get(part, {}),
        )
        for part in rest
    ]  # fmt: skip
    Submission.objects.bulk_create(rows)
    return rows


def found_later(receipt):
    """Divide a receipt that turns out to hold several enquiries, since a setting says so now; returns the others."""
    if receipt.part:
        return []
    adapter = ADAPTERS[receipt.source.adapter]
    parts = places(adapter, receipt.content_type, bytes(receipt.body), receipt.source.settings)
    if not parts:
        return []
    Submission.objects.filter(pk=receipt.pk).update(part=parts[0])
    receipt.part = parts[0]
    return divide(receipt, parts[1:])


def family(receipt):
    """Every receipt of the same body in its order, the one that holds it first; [] where it brought one enquiry."""
    if not receipt.part:
        return []
    whole = receipt.whole_id or receipt.pk
    rows = Submission.objects.filter(whole=whole) | Submission.objects.filter(pk=whole)
    return list(rows.defer("body", "headers", "parsed").order_by("pk"))


def shown(receipt):
    """The bytes that tell of a receipt: of several enquiries its own alone."""
    raw = raw_of(receipt)
    if not receipt.part:
        return raw
    try:
        value, _warnings = several.tree(receipt.content_type, raw)
        return json.dumps(several.only(value, receipt.part), ensure_ascii=False, indent=1).encode()
    except Refused:
        return raw


def forget(receipts):
    """Take single enquiries out of the bodies that they share with others, which keep theirs."""
    for receipt in receipts.exclude(part="").order_by("pk").defer("parsed"):
        whole = Submission.objects.select_for_update(no_key=True).get(pk=receipt.whole_id or receipt.pk)
        try:
            value, _warnings = several.tree(whole.content_type, bytes(whole.body))
            left = json.dumps(several.without(value, receipt.part), ensure_ascii=False).encode()
        except Refused:
            left = b""  # gone already
        Submission.objects.filter(pk=whole.pk).update(body=left, content_type=JSON)
