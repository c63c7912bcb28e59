"""What every adapter builds on: reading a body of any type into flat fields, and the shape of what is found in it.

Pure: bytes in, values out. The judge reads the stored bytes by the same functions as the receipt did.
"""

import base64
import codecs
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote_to_bytes, urlsplit

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from leads.identity import Known

MAX_FIELDS = 1000
MAX_DEPTH = 30
MAX_INTEGER = 30  # digits
MEGABYTE = 1024 * 1024

FORM, MULTIPART, JSON = "application/x-www-form-urlencoded", "multipart/form-data", "application/json"


class Refused(Exception):
    """The body is not taken. ``status``: HTTP; ``reason``: of Submission.Reason; ``detail``: words for the sender."""

    def __init__(self, status, reason, detail=""):
        super().__init__(detail)
        self.status, self.reason, self.detail = status, reason, detail


@dataclass(frozen=True)
class Body:
    """``fields``: flat path → values as text (``contact.phones.0.value``); ``payload``: the JSON value, if any."""

    fields: dict[str, list[str]]
    files: list[str] = field(default_factory=list)  # names
    warnings: list[str] = field(default_factory=list)
    payload: Any = None


@dataclass(frozen=True)
class Envelope:
    """A request as far as a receipt needs it; ``raw`` is None where the body was too large to be read.

    ``url``: the whole address as the sender called it, with its query (some providers sign it).
    """

    method: str
    path: str
    content_type: str
    headers: Mapping[str, str] = field(repr=False)
    raw: bytes | None = field(repr=False)
    ip_hash: str = ""
    own_host: str = ""
    length: int = 0
    url: str = ""


@dataclass(frozen=True)
class Reply:
    """What a provider wants to hear instead of our own 202 or 303."""

    status: int = 200
    text: str = ""
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Setting:
    """One setting of an adapter's sources; ``secret``: never shown again once it is saved.

    ``agreed``: a word that an administrator enters here and at the provider: administrators may read it.
    ``kind``: text, lines, url, number, megabytes (kept in bytes), flag, file or choice (then with ``choices``).
    """

    label: Any
    help: Any = ""
    kind: str = "text"
    secret: bool = False
    default: Any = ""
    choices: tuple = ()
    agreed: bool = False


@dataclass
class Parsed:
    """What an adapter found. ``kind``: lead, event, spam, test or not_enquiry; ``reason``: why it is no lead.

    ``events``: of kind "event": what happened (``leads.capture.events``), each taken by its handler.
    ``own_id``: the provider's own id of this enquiry: said again, it is the same enquiry and has no second effect.
    """

    identities: list[Known] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)  # normalised, by the names of Lead's fields
    marks: dict[str, str] = field(default_factory=dict)  # utm_*, click ids, referrer, landing: as received
    consent: bool = False
    kind: str = "lead"
    reason: str = ""
    visitor: str = ""
    warnings: list[str] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    own_id: str = ""

    def as_json(self):
        """What the receipts page shows and ``receipts --json`` prints."""
        signs = [{"kind": k.kind, "value": k.value, **({"scope": k.scope} if k.scope else {})} for k in self.identities]
        plain = {
            name: value if isinstance(value, list | dict | int) else str(value) for name, value in self.fields.items()
        }
        happened = {"events": [event.as_json() for event in self.events[:20]]} if self.events else {}
        return {**plain, **happened, "identities": signs, "marks": self.marks, "consent": self.consent}


# --- Text -----------------------------------------------------------------------------------------------------------


def clean(text):
    """Text that PostgreSQL can keep: no NUL, no half of a surrogate pair."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def megabytes(size):
    """A number of bytes, which may be stated as a text, in whole megabytes, at least one; None for none."""
    return -(-int(size) // MEGABYTE) if str(size or "").isdigit() else None


def charset_of(content_type):
    match = re.search(r'charset\s*=\s*"?([\w.:-]+)', content_type or "", re.IGNORECASE)
    return match[1] if match else ""


def media_type(content_type):
    return (content_type or "").partition(";")[0].strip().lower()


def decoding(chunks, declared=""):
    """(codec, warnings): the declared charset where it fits, else UTF-8, else Windows-1251 with a warning."""
    warnings = []
    for name in filter(None, (declared, "utf-8")):
        try:
            codec = codecs.lookup(name).name
            if codec in {"utf-7", "idna", "punycode"} or "escape" in codec:
                raise LookupError(name)
            for chunk in chunks:
                chunk.decode(codec)
            return codec, warnings
        except (LookupError, UnicodeError):
            warnings.append(f"charset:{name[:40]}")
    return "cp1251", [*warnings, "decoded_as:cp1251"]


# --- Body -----------------------------------------------------------------------------------------------------------


def body_kind(content_type, raw):
    """FORM, MULTIPART or JSON; raises Refused(415) for what is none of them. A body without a type is looked at."""
    kind = media_type(content_type)
    if kind == JSON or kind.endswith("+json") or kind == "text/json":
        return JSON
    if kind in {FORM, MULTIPART}:
        return kind
    if kind in {"", "text/plain"}:  # sendBeacon and simple cross-site requests cannot name JSON
        start = raw.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
        if start in (b"{", b"[") or not start:
            return JSON
        if kind == "":
            return FORM
    raise Refused(415, "unparseable", _("This type of content is not taken: %s") % (kind[:80] or "—"))


def parse_body(content_type, raw, one=None):
    """The Body of a request; raises Refused (400, 415, 422) saying what is wrong and where.

    ``one``: takes of a JSON value what is one of its several enquiries (leads.capture.several).
    """
    kind = body_kind(content_type, raw)
    if kind == JSON:
        return _json_body(content_type, raw, one)
    return _multipart_body(content_type, raw) if kind == MULTIPART else _form_body(content_type, raw)


def _too_many():
    return Refused(400, "unparseable", _("More than %d fields.") % MAX_FIELDS)


def _collect(pairs):
    fields = {}
    for name, value in pairs:
        fields.setdefault(path_of(clean(name)), []).append(clean(value))
    return fields


def path_of(name):
    """``payment[products][0][name]`` → ``payment.products.0.name``; ``phones[]`` → ``phones``."""
    return re.sub(r"\[([^\[\]]*)\]", r".\1", name).strip(". ") if "[" in name else name.strip()


def _form_body(content_type, raw):
    pairs = [pair.partition(b"=") for pair in raw.split(b"&") if pair]
    if len(pairs) > MAX_FIELDS:
        raise _too_many()
    pairs = [(unquote_to_bytes(n.replace(b"+", b" ")), unquote_to_bytes(v.replace(b"+", b" "))) for n, _eq, v in pairs]
    declared = next((v.decode("ascii", "ignore") for n, v in pairs if n == b"_charset_"), charset_of(content_type))
    codec, warnings = decoding([part for pair in pairs for part in pair], declared)
    text = ((n.decode(codec, "replace"), v.decode(codec, "replace")) for n, v in pairs if n != b"_charset_")
    return Body(_collect(text), warnings=warnings)


def _multipart_body(content_type, raw):
    found = re.search(r'boundary\s*=\s*(?:"([^"]{1,200})"|([^\s;,]{1,200}))', content_type, re.IGNORECASE)
    if not found:
        raise Refused(400, "unparseable", _("A multipart body without its boundary."))
    mark = b"--" + (found[1] or found[2]).encode("utf-8", "replace")
    parts = (b"\r\n" + raw).split(b"\r\n" + mark)
    if len(parts) < 2 or not parts[-1].startswith(b"--"):
        raise Refused(400, "unparseable", _("A multipart body that is cut off or has another boundary than it says."))
    if len(parts) > MAX_FIELDS + 2:
        raise _too_many()
    pairs, files = [], []
    for part in parts[1:-1]:
        _multipart_part(part, pairs, files)
    codec, warnings = decoding([b for pair in pairs for b in pair], charset_of(content_type))
    names = [name.decode("utf-8", "replace")[:200] for name in files]
    text = ((n.decode(codec, "replace"), v.decode(codec, "replace")) for n, v in pairs)
    return Body(_collect(text), [clean(n) for n in names], warnings + [f"file:{clean(n)}" for n in names])


def _multipart_part(part, pairs, files):
    head, blank, value = part.partition(b"\r\n\r\n")
    name = re.search(rb'(?<![\w*])name="((?:[^"\\]|\\.)*)"', head, re.IGNORECASE)
    if not blank or not name:
        raise Refused(400, "unparseable", _("A part of the multipart body has no name."))
    filename = re.search(rb'filename\*?="?([^"\r\n;]*)', head, re.IGNORECASE)
    if filename:
        if filename[1]:
            files.append(filename[1])
    else:
        pairs.append((name[1], value))


# --- JSON -----------------------------------------------------------------------------------------------------------


class _Twice(Exception):
    pass


def _once(pairs):
    found = {}
    for name, value in pairs:
        if name in found:
            raise _Twice(name)
        found[name] = value
    return found


class _NoNumber(Exception):
    pass


def _whole(text):
    if len(text) > MAX_INTEGER:
        raise _NoNumber(text[:20])
    return int(text)


def _real(text):
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise _NoNumber(text[:20])
    return number


def _constant(text):
    raise _NoNumber(text)


def read_json(raw, declared=""):
    """(value, warnings) of a JSON document; raises Refused with the position of what is wrong."""
    if not raw.strip():
        raise Refused(400, "unparseable", _("The body is empty."))
    raw = raw.removeprefix(codecs.BOM_UTF8)
    wide = json.detect_encoding(raw) if not declared else ""
    codec, warnings = decoding([raw], declared if not wide.startswith(("utf-16", "utf-32")) else wide)
    try:
        text = raw.decode(codec, "replace").removeprefix("\ufeff")
        return json.loads(
            text, object_pairs_hook=_once, parse_int=_whole, parse_float=_real, parse_constant=_constant
        ), warnings
    except json.JSONDecodeError as error:
        where = _("line %(line)d, column %(column)d") % {"line": error.lineno, "column": error.colno}
        raise Refused(
            400, "unparseable", _("Not JSON: %(where)s: %(what)s") % {"where": where, "what": error.msg}
        ) from None
    except _Twice as error:
        raise Refused(400, "unparseable", _("The key “%s” stands twice.") % clean(str(error))[:80]) from None
    except _NoNumber as error:
        raise Refused(422, "invalid", _("This is no number that can be kept: %s") % error) from None
    except RecursionError:
        raise Refused(400, "unparseable", _("Nested too deep.")) from None


def _json_body(content_type, raw, one=None):
    return tree_body(*read_json(raw, charset_of(content_type)), one)


def tree_body(payload, warnings=(), one=None):
    """The Body of objects and lists; ``one`` as of parse_body."""
    if not isinstance(payload, Mapping | list):
        raise Refused(422, "invalid", _("One enquiry is one JSON object."))
    payload = one(payload) if one else payload
    alone = isinstance(payload, list) and len(payload) == 1 and isinstance(payload[0], Mapping)
    return Body(_collect(flatten(payload[0] if alone else payload)), warnings=list(warnings), payload=payload)


def flatten(payload):
    """(path, text) of every leaf; null is no text and is left out."""
    stack, count = [("", payload, 0)], 0
    while stack:
        path, value, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise Refused(400, "unparseable", _("Nested too deep."))
        if isinstance(value, Mapping):
            inner = [(f"{path}.{name}" if path else name, item, depth + 1) for name, item in value.items()]
            stack.extend(reversed(inner))
        elif isinstance(value, list):
            plain = all(isinstance(item, str | int | float) and not isinstance(item, bool) for item in value)
            inner = [
                (path if plain else f"{path}.{index}".lstrip("."), item, depth + 1) for index, item in enumerate(value)
            ]
            stack.extend(reversed(inner))
        elif value is not None:
            count += 1
            if count > MAX_FIELDS:
                raise _too_many()
            yield path, {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


# --- Secrets --------------------------------------------------------------------------------------------------------


def same(given, expected):
    return hmac.compare_digest(str(given).encode("utf-8", "replace"), expected.encode())


def _still(until):
    """Whether a moment, written in ISO, is still to come; one that is not stated never ends."""
    try:
        return not until or parse_datetime(str(until)) > timezone.now()
    except (TypeError, ValueError):
        return False


def secrets_of(source):
    """Every secret that a sender may prove to know: the present one, and the former while it is being changed."""
    former = source.settings.get("old_secret") if _still(source.settings.get("old_secret_until")) else ""
    return [str(secret) for secret in (source.secret, former) if secret]


def check_secret(envelope, source, *, given=""):
    """Raise Refused(401) unless the request proves that it knows the source's secret.

    Any one of: ``X-Signature`` (hex HMAC-SHA256 of the raw body, ``sha256=`` allowed before it, several after commas
    while a secret is being changed), ``Authorization: Bearer SECRET``, or ``given``, where the adapter has a field.
    """
    headers = envelope.headers
    signatures = [
        s.strip().removeprefix("sha256=").lower() for s in headers.get("X-Signature", "").split(",") if s.strip()
    ]
    scheme, _space, token = headers.get("Authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    if not (signatures or bearer or given):
        raise unsigned()
    proofs = []
    for secret in secrets_of(source):
        right = hmac.new(secret.encode(), envelope.raw, hashlib.sha256).hexdigest()
        proofs += [*(same(s, right) for s in signatures[:5]), same(bearer, secret), same(given, secret)]
    if not any(proofs):
        raise wrong_proof()


def unsigned():
    return Refused(401, "unsigned", _("A signature or the secret is required."))


def wrong_proof():
    return Refused(401, "bad_signature", _("The signature or the secret is wrong."))


def check_field(given, source):
    """Raise Refused(401) unless ``given``, a field of the body or of the address, is the source's secret."""
    if not given:
        raise unsigned()
    if not any(same(given, secret) for secret in secrets_of(source)):
        raise wrong_proof()


def named(envelope, body, name):
    """A word that a sender may give in a header, in the address's query or in a field of the body; "" without one."""
    query = {key: values[0] for key, values in parse_qs(urlsplit(envelope.url).query).items()}
    fields = body.fields if body else {}
    return envelope.headers.get(name) or query.get(name) or fields.get(path_of(name), [""])[0]


def check_stamp(text, minutes):
    """Raise Refused unless the signed time ``text`` (seconds since 1970) is at most so long ago or ahead.

    Without this, whoever has once seen a delivery could send it again for ever. Asked after the signature.
    """
    if not re.fullmatch(r"[0-9]{1,11}([.][0-9]{1,9})?", text):
        raise Refused(400, "invalid", _("The signed time is no time: %s") % clean(text)[:40])
    if abs(timezone.now().timestamp() - float(text)) > minutes * 60:
        raise Refused(401, "stale", _("It was signed more than %d minutes ago, or ahead of time.") % minutes)


def hmac_of(source, message, algorithm="sha256"):
    return hmac.new(source.secret.encode(), message, algorithm).digest()


def check_hmac(given, source, message, *, algorithm="sha256", encoding="hex", prefix=""):
    """Raise Refused(401) unless ``given`` is the HMAC of ``message`` (bytes) by one of the source's secrets.

    ``encoding``: hex or base64; ``prefix``: what stands before it, such as ``sha256=``.
    """
    if not given:
        raise unsigned()
    said = [word.strip().removeprefix(prefix) for word in given.split(",")[:5]]  # several while a secret is changed
    said = [word.lower() for word in said] if encoding == "hex" else said
    right = [hmac.new(secret.encode(), message, algorithm).digest() for secret in secrets_of(source)]
    words = [d.hex() if encoding == "hex" else base64.b64encode(d).decode() for d in right]
    if not any(same(one, word) for one in said for word in words):
        raise wrong_proof()
