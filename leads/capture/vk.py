"""VK communities: the Callback API (dev.vk.com/api/callback/getting-started), for lead forms and messages.

VK first asks for the confirmation string of the community, then posts events with the secret key in the body; every
event is answered "ok", or VK sends it again and in the end stops. ``lead_forms_new`` is as in leadForms.getLeads: an
answer is a text, an object ``{key, value}`` or, for several choices, a list of those.
"""

from collections.abc import Mapping

from django.utils.translation import gettext_lazy as _

from leads import identity
from leads.capture import talk, vk_messages
from leads.capture.base import Body, Refused, Reply, Setting, check_field, clean, parse_body
from leads.capture.canary import MARK, json_of
from leads.capture.fields import extract
from leads.identity import Known
from leads.models.intake import Channel

LABEL = _("VK community")
NEEDS_SECRET = True
SECRET_HELP = _("Enter the same one at VK as the secret key of the server.")
CHANNEL = Channel.MESSENGER
COMMON = ("mapping",)
SETTINGS = {
    "confirmation": Setting(
        _("Confirmation string"), help=_("VK shows it where the server's address is entered: the answer it expects.")
    ),
    "token": Setting(_("Access key of the community"), _("With the right to messages; needed to answer."), secret=True),
    "base_url": Setting(_("Address of VK's API"), _("Empty: VK's own."), kind="url"),
}
# Standard questions of VK's forms that are named otherwise than our fields.
QUESTIONS = {"patronymic_name": "middle_name", "phone_number": "phone", "location": "city"}


def read(content_type, raw):
    return talk.read(content_type, raw)


def payload_of(body):
    return body.payload if body and isinstance(body.payload, Mapping) else {}


def _parsed(envelope):
    """The body of a request that may be anything, or None."""
    try:
        return parse_body(envelope.content_type, envelope.raw or b"")
    except Refused:
        return None


def handshake(envelope, source):
    """VK asks whether the server is the community's: the answer is the string that it showed there."""
    if b"confirmation" not in (envelope.raw or b"")[:500]:
        return None
    event, said = payload_of(_parsed(envelope)), str(source.settings.get("confirmation") or "")
    if event.get("type") != "confirmation" or not said:
        return None
    if source.secret and event.get("secret"):
        try:
            check_field(str(event["secret"]), source)
        except Refused:
            return Reply(403, "wrong secret")
    return Reply(200, said)


def reply(envelope, source):
    return Reply(200, "ok")


def verify(envelope, source, body):
    if source.secret and body is not None:  # a body cut in half holds no secret: it is refused as what it is
        check_field(str(payload_of(body).get("secret") or ""), source)


def canary(source, mark, url):
    return json_of({"type": MARK, "event_id": mark, "group_id": 0, "secret": source.secret})


def parse(body, source, *, headers, region="RU", path="", received_at=None):
    event = payload_of(body)
    if event.get("type") == "lead_forms_new" and isinstance(event.get("object"), Mapping):
        return _lead(event["object"], source, headers, region)
    return talk.found(vk_messages.events(event), body.warnings)


# --- Lead forms -----------------------------------------------------------------------------------------------------


def _words(answer):
    """The texts of an answer, which is a text, ``{key, value}``, or a list of those."""
    if isinstance(answer, list):
        return [word for item in answer[:50] for word in _words(item)]
    if isinstance(answer, Mapping):
        answer = answer.get("value") or answer.get("key")
    return [clean(str(answer))] if answer not in (None, "") and not isinstance(answer, Mapping | list) else []


def _answers(form):
    """Field → values: standard questions by our names, the form's own by what they ask."""
    fields, answers = {}, form.get("answers")
    for answer in answers[:200] if isinstance(answers, list) else []:
        if not isinstance(answer, Mapping):
            continue
        key = clean(str(answer.get("key") or ""))
        asked = clean(str(answer.get("question") or "")) if key.startswith("custom_") or not key else ""
        name = asked.replace(".", " ").strip() or QUESTIONS.get(key, key)
        if name and (words := _words(answer.get("answer"))):
            fields.setdefault(name, []).extend(words)
    return fields


def _lead(form, source, headers, region):
    parsed = extract(Body(_answers(form)), source, headers, region)
    ids = {name: identity.line(form.get(name), 60) for name in ("lead_id", "user_id", "form_id", "form_name", "ad_id")}
    if ids["user_id"].isdigit() and ids["user_id"] != "0":
        parsed.identities.append(Known("vk", ids["user_id"]))
    if ids["lead_id"]:  # unique within the community
        group = identity.line(form.get("group_id"), 20)
        parsed.own_id = f"{group}:{ids['lead_id']}"
    marks = {
        "utm_source": "vk",
        "utm_medium": "lead_form",
        "utm_campaign": ids["form_name"],
        "utm_content": ids["ad_id"],
    }
    parsed.marks = {name: value for name, value in marks.items() if value} | parsed.marks
    if ids["form_name"]:
        parsed.fields.setdefault("product", ids["form_name"])
    return parsed
