"""Any provider without code of its own: what its fields mean, how it proves itself and what it wants to hear are
settings of the source, picked on its page from the last real receipt.

Read beyond ``base.parse_body``: XML (``xml_body``), a field whose text is itself JSON is spread out, and a list of named values
(``[{"name": "email", "value": "a@b"}]``) gets its names as paths (``answers.email``), so that the order of the list
does not matter.
"""

import base64
import re
from dataclasses import replace
from functools import partial
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from leads.capture.answers import BESIDE, LABELS, VALUES, spread
from leads.capture.base import (
    FORM,
    MAX_FIELDS,
    Body,
    Refused,
    Reply,
    Setting,
    check_hmac,
    check_secret,
    hmac_of,
    named,
    parse_body,
    path_of,
    tree_body,
)  # fmt: skip
from leads.capture.canary import MARK, bearer, json_of
from leads.capture.fields import extract, is_test, mapping_of
from leads.capture.names import ALIASES, MARKS, TARGETS, meaning, of_path
from leads.capture.reading import FORMATS, readable
from leads.capture.several import EACH, only, tree
from leads.capture.xml_body import is_xml
from leads.models.intake import Channel

LABEL = _("Any provider, by mapping")
NEEDS_SECRET = True
SECRET_HELP = _("How the sender proves to know it is said below.")
CHANNEL = Channel.SITE
TAKES_ALL = SEVERAL = True
METHODS = ("GET",)
COMMON = ("origins",)
PROOFS = (
    ("", _("Authorization: Bearer, or X-Signature")),
    ("header", _("the secret in a header")),
    ("query", _("the secret in the address")),
    ("field", _("the secret in a field of the body")),
    ("hmac", _("a signature (HMAC of the body) in a header")),
)
ANSWERS = (("", _("202 and the enquiry's number")), ("ok", _("200 and the word ok")), ("empty", _("200, empty")))
ALGORITHMS = ("sha256", "sha1", "sha512", "md5")
SETTINGS = {
    "proof": Setting(_("How the sender proves itself"), kind="choice", choices=PROOFS),
    "proof_name": Setting(
        _("Name of the header, parameter or field"), help=_("For example: X-Api-Key, token, X-Hub-Signature-256")
    ),
    "hmac_algorithm": Setting(
        _("Algorithm of the signature"), kind="choice", default="sha256", choices=tuple((a, a) for a in ALGORITHMS)
    ),
    "hmac_encoding": Setting(
        _("Signature written as"), kind="choice", default="hex", choices=(("hex", "hex"), ("base64", "base64"))
    ),
    "hmac_prefix": Setting(_("What stands before the signature"), help=_("For example: sha256=")),
    "answer_as": Setting(_("What the provider wants to hear"), kind="choice", choices=ANSWERS),
    "challenge": Setting(
        _("Parameter to be repeated"),
        help=_("Where the provider checks the address by GET and waits for its own word: challenge, hub.challenge"),
    ),
    "take_get": Setting(_("The provider reports by GET"), kind="flag"),
    "only_when": Setting(
        _("It is an enquiry only when"), help=_("path = value, for example: event = lead.created. Empty: always.")
    ),
    "test_when": Setting(_("It is a test when"), help=_("path = value, for example: is_test = true")),
    "rest": Setting(
        _("Fields that are not mapped"), kind="choice",
        help=_("Known by name: what we know by its name is taken, the rest is kept with the card."),
        choices=(("", _("known by name, rest kept")), ("ignore", _("leave out"))),
    ),
    "each": EACH,
}  # fmt: skip
ONE = {*ALIASES} - {"phone", "email", "tags", "telegram", "whatsapp", "vk", "external_id", "need", "consent"}


# --- Settings ---------------------------------------------------------------------------------------------------------


def check_settings(settings):
    for name in ("only_when", "test_when"):
        if settings.get(name) and not _condition(settings[name]):
            raise ValidationError(_now("Write “path = value”: %s") % settings[name])
    if settings.get("proof") and not settings.get("proof_name"):
        raise ValidationError(_now("Say how the header, parameter or field with the proof is called."))
    if settings.get("hmac_algorithm", "sha256") not in ALGORITHMS:
        raise ValidationError(_now("There is no such algorithm: %s") % settings["hmac_algorithm"])
    _check_document(settings, "constants", TARGETS)
    _check_document(settings, "formats", FORMATS, by_value=True)


def _check_document(settings, name, known, *, by_value=False):
    stated = settings.get(name) or {}
    words = stated.values() if by_value and isinstance(stated, dict) else stated
    if not isinstance(stated, dict) or not all(w in known or str(w).startswith("custom.") for w in words):
        raise ValidationError(_now("“%(name)s”: there are: %(known)s") % {"name": name, "known": ", ".join(known)})


def _condition(text):
    path, equals, value = str(text).partition("=")
    return (path_of(path.strip()), value.strip().casefold()) if equals and path.strip() and value.strip() else None


def _holds(text, fields):
    path, value = _condition(text)
    return value in {found.strip().casefold() for found in fields.get(path, [])}


# --- The request ------------------------------------------------------------------------------------------------------


def handshake(envelope, source):
    """A provider that checks the address by GET hears its own word; other GETs are reports, or nothing."""
    if envelope.method != "GET":
        return None
    word = named(envelope, None, str(source.settings.get("challenge") or "challenge")) or ""
    if source.settings.get("challenge") and re.fullmatch(r"[\w.:~+/=-]{1,300}", word):
        return Reply(200, word)
    return None if source.settings.get("take_get") else Reply(405, "POST")


def reply(envelope, source):
    return {"ok": Reply(200, "ok"), "empty": Reply(200, "")}.get(source.settings.get("answer_as"))


def verify(envelope, source, body):
    if not source.secret:
        return
    settings, name = source.settings, str(source.settings.get("proof_name") or "secret")
    proof = settings.get("proof")
    if proof == "hmac":
        check_hmac(
            envelope.headers.get(name, ""), source, envelope.raw,
            algorithm=settings.get("hmac_algorithm") or "sha256", encoding=settings.get("hmac_encoding") or "hex",
            prefix=str(settings.get("hmac_prefix") or ""),
        )  # fmt: skip
    elif proof == "field" and body is None:
        return  # a body cut in half: refused as what it is
    else:
        check_secret(envelope, source, given=_given(envelope, body, proof, name))


def canary(source, mark, url):
    """By the source's own proof, whatever it is."""
    settings, said = source.settings, {"test": "test", MARK: mark}
    name, proof = str(settings.get("proof_name") or "secret"), settings.get("proof")
    if proof == "query":
        return replace(json_of(said), query=f"?{urlencode({name: source.secret})}" if source.secret else "")
    if proof == "field":
        return json_of({**said, name: source.secret})
    if proof == "header":
        return json_of(said, {name: source.secret})
    return _signed(json_of(said), source, name) if proof == "hmac" else json_of(said, bearer(source))


def _signed(sent, source, name):
    settings = source.settings
    digest = hmac_of(source, sent.raw, settings.get("hmac_algorithm") or "sha256")
    word = base64.b64encode(digest).decode() if settings.get("hmac_encoding") == "base64" else digest.hex()
    return replace(sent, headers={name: f"{settings.get('hmac_prefix') or ''}{word}"})


def _given(envelope, body, proof, name):
    if proof == "header":
        return (envelope.headers.get(name) or "").removeprefix("Bearer ").strip()
    if proof == "query":
        return named(replace(envelope, headers={}), None, name)
    return (body.fields if body else {}).get(path_of(name), [""])[0] if proof == "field" else ""


# --- The body ---------------------------------------------------------------------------------------------------------


def read(content_type, raw, part=""):
    """The Body with lists of named values and JSON within fields spread out; ``part``: of several enquiries."""
    one = partial(only, path=part) if part else None
    if is_xml(content_type, raw):
        body = tree_body(*tree(content_type, raw), one)
    else:
        body = parse_body(content_type or FORM if raw[:1] not in (b"{", b"[") else content_type, raw, one)
    fields = _by_name(spread(body.fields))
    if len(fields) > MAX_FIELDS:
        raise Refused(400, "unparseable", _now("More than %d fields.") % MAX_FIELDS)
    return Body(fields, body.files, body.warnings, body.payload)


def _by_name(fields):
    """``data.0.name = email, data.0.value = a@b`` becomes ``data.email = a@b``, where every name stands once."""
    items, order = {}, []
    for path, values in fields.items():
        prefix, number, leaf = _item(path)
        if number is None:
            continue
        if prefix not in items:
            order.append(prefix)
        items.setdefault(prefix, {}).setdefault(number, {})[leaf] = values
    found = dict(fields)
    for prefix in order:
        if pairs := _pairs(items[prefix]):
            found = {path: v for path, v in found.items() if _item(path)[0] != prefix}
            for name, values in pairs.items():
                found.setdefault(f"{prefix}.{name}".lstrip("."), []).extend(values)
    return found


def _item(path):
    """(prefix, number, leaf) of ``prefix.3.leaf``; number None where the path is not so."""
    parts = path.rsplit(".", 2)
    if len(parts) == 2 and parts[0].isdigit():
        return "", parts[0], parts[1]
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 and parts[1].isdigit() else ("", None, "")


def _pairs(numbered):
    """name → values of a list of named values, or None where the list is something else."""
    found = {}
    for leaves in numbered.values():
        if not set(leaves) <= {*LABELS, *VALUES, *BESIDE}:
            return None
        label = next((leaves[name][0] for name in LABELS if name in leaves), "")
        values = next((leaves[name] for name in VALUES if name in leaves), None)
        label = label.replace(".", " ").strip()
        if not label or label in found:
            return None
        if values is not None:
            found[label] = values
    return found or None


def parse(body, source, *, headers, region="RU", path="", received_at=None):
    settings, fields = source.settings, body.fields
    stated, formats = mapping_of(source), _formats(settings)
    fields = {name: [readable(v, formats.get(name, "")) for v in values] for name, values in fields.items()}
    fields.pop(path_of(str(settings.get("proof_name") or "secret")), None)
    gathered = _gathered(fields, stated, settings.get("constants") or {})
    rest = {} if settings.get("rest") == "ignore" else {n: v for n, v in fields.items() if n not in stated}
    ours = {name: name for name in gathered}
    parsed = extract(Body(rest | gathered, body.files, list(body.warnings)), source, headers, region, ours)
    if settings.get("only_when") and not _holds(settings["only_when"], body.fields):
        parsed.kind = parsed.reason = "not_enquiry"
    if is_test(body, parsed) or (settings.get("test_when") and _holds(settings["test_when"], body.fields)):
        parsed.kind = parsed.reason = "test"
    return parsed


def _formats(settings):
    return {path_of(str(path)): str(name) for path, name in (settings.get("formats") or {}).items()}


def _gathered(fields, stated, constants):
    """our name → values: several paths of one name are joined by a space, unless the card holds several of it."""
    found = {}
    for path, name in stated.items():
        if name != "-" and path in fields:
            found.setdefault(name, []).extend(v for v in fields[path] if v.strip())
    joined = {n: [" ".join(v)] if n in ONE or n in MARKS or n.startswith("custom.") else v for n, v in found.items()}
    fixed = {str(name): [str(value)] for name, value in constants.items() if str(value).strip()}
    tags = {"tags": [*joined.get("tags", []), *fixed["tags"]]} if "tags" in fixed else {}
    return fixed | {name: values for name, values in joined.items() if any(values)} | tags


def suggestion(path):
    """What a path is taken for where nothing is stated: a name of ours, or ""."""
    return of_path(path) or meaning(path.rpartition(".")[2]) or ""
