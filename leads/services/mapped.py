"""What an administrator sees while saying what a provider's fields mean: a real receipt, and the card it would make."""

from dataclasses import dataclass, field
from types import SimpleNamespace

from django.utils import timezone

from leads.capture import mapping
from leads.capture.base import JSON, Refused
from leads.capture.form_items import FIELDS, items_of
from leads.capture.several import lists
from leads.models import Submission
from leads.services import parts
from leads.services.judging import phone_region

KINDS = {"{": JSON, "[": JSON, "<": "application/xml"}  # by the first letter of what was pasted
LATEST = 20  # receipts to choose from


@dataclass
class Example:
    """A body to look at: of a receipt, or pasted."""

    fields: dict = field(default_factory=dict)
    kind: str = ""
    raw: bytes = b""
    body: object = None
    receipt: Submission | None = None
    receipts: list = field(default_factory=list)
    sample: str = ""
    error: str = ""
    count: int = 0  # enquiries in the body, where they are several; the first is shown
    lists: list = field(default_factory=list)  # paths of lists that could be several enquiries


def example(source, receipt="", sample=""):
    """The chosen receipt's body, the last one's where none is chosen, or what was pasted."""
    rows = _with_body(source)
    found = Example(receipts=list(rows.only("pk", "received_at", "state", "reason")[:LATEST]), sample=sample)
    if sample:
        found.kind, found.raw = KINDS.get(sample.lstrip()[:1], ""), sample.strip().encode()
    else:
        number = int(receipt) if receipt.isascii() and receipt.isdigit() and len(receipt) < 19 else None
        found.receipt = (rows.filter(pk=number).first() if number else None) or rows.first()
        if found.receipt is None:
            return found
        found.kind, found.raw = found.receipt.content_type, bytes(found.receipt.body)
    try:
        found.body, found.count = _read(found, source.settings)
        found.fields, found.lists = found.body.fields, lists(found.body.payload)
    except Refused as refused:
        found.error = str(refused.detail)
    return found


def _read(example, settings):
    """(the body, how many enquiries it holds): of several the first."""
    places = parts.places(mapping, example.kind, example.raw, settings)
    return mapping.read(example.kind, example.raw, places[0] if places else ""), len(places)


def _with_body(source):
    return Submission.objects.filter(source=source).exclude(body=b"").order_by("-pk")


def preview(source, settings, shown, words):
    """What a card of this body would hold, named by ``words``; None where it cannot be read."""
    if shown.body is None:
        return None
    trial = SimpleNamespace(key=source.key, settings=settings, secret=source.secret)
    try:
        body, count = _read(shown, settings)
        parsed = mapping.parse(body, trial, headers={}, region=phone_region(), received_at=timezone.now())
    except Refused as refused:
        return {"error": str(refused.detail)}
    return {
        "kind": parsed.kind,
        "count": count,
        "contacts": [(words.get(known.kind, known.kind), known.value) for known in parsed.identities],
        "fields": [(words.get(name, name), value) for name, value in parsed.fields.items() if name != "custom"],
        "custom": list(parsed.fields.get("custom", {}).items()),
        "marks": list(parsed.marks.items()),
        "own_id": parsed.own_id,
        "warnings": parsed.warnings,
    }


def question_rows(source):
    """The questions of a form as the rows of its page."""
    return [
        {
            "field": item.name if item.name in FIELDS else "", "label": item.label, "type": item.type,
            "required": item.required, "options": "\n".join(item.options), "ORDER": number,
        }
        for number, item in enumerate(items_of(source), 1)
    ]  # fmt: skip
