"""A marked test as each provider would send it: proves that a door is open, and makes no lead. Pure."""

import base64
import hashlib
import hmac
import json

from leads.capture.base import FORM, JSON, Envelope

MARK = "canary"


def _form(source, mark):
    return FORM, b"test=test", {}


def _json(source, mark):
    return JSON, _dump({"test": True, MARK: mark}), {}


def _vk(source, mark):
    return JSON, _dump({"type": MARK, "event_id": mark, "group_id": 0, "secret": source.secret}), {}


def _google(source, mark):
    column = {"column_id": "EMAIL", "string_value": "test@example.com"}
    body = {"lead_id": mark, "google_key": source.secret, "is_test": True, "user_column_data": [column]}
    return JSON, _dump(body), {}


def _mail(source, mark):
    raw = f"From: {MARK}@localhost\r\nSubject: test\r\nAuto-Submitted: auto-generated\r\nMessage-ID: <{mark}@{MARK}>\r\n\r\ntest\r\n"
    return "message/rfc822", raw.encode(), {}


def _mapping(source, mark):
    """By the source's own proof, whatever it is."""
    settings, raw = source.settings, _dump({"test": "test", MARK: mark})
    name, proof = str(settings.get("proof_name") or "secret"), settings.get("proof")
    if proof == "field":
        raw = _dump({"test": "test", MARK: mark, name: source.secret})
    headers = {name: source.secret} if proof == "header" else {}
    if proof == "hmac":
        digest = hmac.new(source.secret.encode(), raw, settings.get("hmac_algorithm") or "sha256").digest()
        word = base64.b64encode(digest).decode() if settings.get("hmac_encoding") == "base64" else digest.hex()
        headers = {name: f"{settings.get('hmac_prefix') or ''}{word}"}
    return JSON, raw, headers


def _dump(value):
    return json.dumps(value).encode()


BODIES = {
    "web-form": _form, "tilda": _form, "newsletter": _form, "event": _form, "download": _form, "referral": _form,
    "vk": _vk, "google-ads": _google, "mapping": _mapping, "imap": _mail, "inbound-mail": _mail,
}  # fmt: skip


def letter(source, mark=MARK):
    """(content type, body, headers) of a test; signed in every way that the adapters know."""
    kind, raw, headers = BODIES.get(source.adapter, _json)(source, mark)
    hexed = hmac.new(source.secret.encode(), raw, hashlib.sha256)
    signed = {
        "Authorization": f"Bearer {source.secret}",
        "X-Hub-Signature-256": f"sha256={hexed.hexdigest()}",
        "Typeform-Signature": f"sha256={base64.b64encode(hexed.digest()).decode()}",
        "X-Telegram-Bot-Api-Secret-Token": source.secret,
    }
    return kind, raw, {"X-Request-Id": mark, **(signed if source.secret else {}), **headers}


def query(source):
    """What must stand in the address, where the proof does."""
    by_address = source.adapter == "mapping" and source.settings.get("proof") == "query" and source.secret
    return f"?{source.settings.get('proof_name') or 'secret'}={source.secret}" if by_address else ""


def envelope(source, path):
    """The test as if it had come by HTTP."""
    kind, raw, headers = letter(source)
    return Envelope(
        method="POST", path=path, content_type=kind, headers=headers, raw=raw, url=f"http://localhost{path}{query(source)}"
    )  # fmt: skip
