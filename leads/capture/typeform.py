"""Typeform: the webhook of a response (www.typeform.com/developers/webhooks/example-payload).

``Typeform-Signature`` is ``sha256=`` and the base64 HMAC of the raw body. An answer is read by its type; its field is
named by the question's reference where that is a name of ours, else by its title. Hidden fields carry the marks.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import replace

from django.utils.translation import gettext_lazy as _

from leads import identity
from leads.capture.base import Body, Parsed, Reply, check_hmac, check_secret, clean, hmac_of
from leads.capture.canary import plain
from leads.capture.fields import canonical, extract, mapping_of
from leads.capture.names import CANONICAL, fold
from leads.identity import Known
from leads.models.intake import Channel

LABEL = _("Typeform")
NEEDS_SECRET = True
SECRET_HELP = _("Enter the same one at Typeform: Webhooks → Edit → Secret.")
CHANNEL = Channel.SITE
TAKES_ALL = True
COMMON = ("mapping",)
SETTINGS = {}
BY_TYPE = {"email": "email", "phone_number": "phone"}  # whatever the question is called
_ASKS_NAME = re.compile(r"\bname\b|имя|зовут|\bфио\b|обращаться", re.IGNORECASE)


def reply(envelope, source):
    return Reply(200, "ok")


def verify(envelope, source, body):
    if not source.secret:
        return
    signature = envelope.headers.get("Typeform-Signature", "")
    if signature:
        check_hmac(signature, source, envelope.raw, encoding="base64", prefix="sha256=")
    else:
        check_secret(envelope, source)


def canary(source, mark, url):
    sent = plain(source, mark, url)
    proof = base64.b64encode(hmac_of(source, sent.raw)).decode()
    return replace(sent, headers={"Typeform-Signature": f"sha256={proof}"} if source.secret else {})


def _mapping(value):
    return value if isinstance(value, Mapping) else {}


def _list(value):
    return [item for item in value[:500] if isinstance(item, Mapping)] if isinstance(value, list) else []


def parse(body, source, *, headers, region="RU", path="", received_at=None):
    payload = _mapping(body.payload)
    response = _mapping(payload.get("form_response"))
    if payload.get("event_type", "form_response") != "form_response" or not response:
        return Parsed(kind="not_enquiry", reason="not_enquiry")
    form = _mapping(response.get("definition"))
    fields = _fields(response, form, source)
    parsed = extract(Body(fields, warnings=list(body.warnings)), source, headers, region)
    title, token = identity.line(form.get("title"), 200), identity.line(response.get("token"), 200)
    if title:
        parsed.fields.setdefault("product", title)
    if token:  # whoever left no contact can still be found at Typeform by it
        parsed.identities.append(Known("external", token, source.key[:40]))
        parsed.own_id = parsed.own_id or token
    return parsed


def _fields(response, form, source):
    """Field → values: hidden fields and variables by their keys, answers by the names of their questions."""
    questions = {str(question.get("id")): question for question in _questions(form)}
    fields, stated = {}, mapping_of(source)
    for key, value in _mapping(response.get("hidden")).items():
        if isinstance(value, str | int | float) and str(value).strip() not in {"", "xxxxx"}:  # unset in a preview
            fields.setdefault(clean(str(key)), []).append(clean(str(value)))
    for answer in _list(response.get("answers")):
        asked = _mapping(answer.get("field"))
        name = _named(answer, asked, questions.get(str(asked.get("id"))) or {}, stated)
        if words := _words(answer):
            fields.setdefault(name, []).extend(words)
    for variable in _list(response.get("variables")):
        value = variable.get(str(variable.get("type")))
        if isinstance(value, str | int | float) and value != "":
            fields.setdefault(clean(str(variable.get("key"))), []).append(clean(str(value)))
    return fields


def _questions(form):
    """All questions, those of groups and of the contact block too."""
    found = []
    for question in _list(form.get("fields")):
        inner = _list(_mapping(question.get("properties")).get("fields")) + _list(question.get("fields"))
        found += [question, *inner]
    return found


def _named(answer, asked, question, stated):
    """The name of an answer's field: as the source maps it, by its type, by its reference, or by its title."""
    ref, title = (clean(str(word or "")) for word in (asked.get("ref"), question.get("title") or asked.get("title")))
    ours = next((word for word in (ref, title, str(asked.get("id"))) if word in stated), "")
    kind = BY_TYPE.get(str(answer.get("type"))) or BY_TYPE.get(str(asked.get("type")))
    if ours or kind:
        return ours or kind
    if fold(ref) in CANONICAL:
        return ref
    plain = " ".join(title.replace(".", " ").replace("[", "(").replace("]", ")").split()) or ref
    if canonical(plain, {}) is None and answer.get("type") == "text" and _ASKS_NAME.search(plain):
        return "name"
    return plain or "answer"


def _words(answer):
    """The texts of an answer, by its type (the value stands under the type's own key)."""
    kind = str(answer.get("type"))
    value = answer.get(kind)
    if isinstance(value, Mapping):  # choice, choices, payment
        labels = value.get("labels") if isinstance(value.get("labels"), list) else [value.get("label")]
        value = [*labels, value.get("other"), value.get("amount")]
    values = value if isinstance(value, list) else [value]
    texts = {True: "true", False: "false"}
    return [
        clean(texts[v] if isinstance(v, bool) else str(v))
        for v in values[:50]
        if isinstance(v, str | int | float) and v != ""
    ]
