"""Meta Lead Ads: the webhook ``leadgen`` of a page (developers.facebook.com/docs/marketing-api/guides/lead-ads).

Meta first asks with ``hub.challenge`` and the verify token; then it posts changes, several in one body, signed by
``X-Hub-Signature-256`` over the raw bytes with the app's secret. A change only names the enquiry (``leadgen_id``, a
number or a text): what was filled in is fetched from the Graph API, see leads/services/fetching.py.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from django.utils.translation import gettext_lazy as _

from leads import identity
from leads.capture.base import Body, Parsed, Reply, Setting, check_hmac, clean, hmac_of, named, same, unsigned
from leads.capture.canary import plain
from leads.capture.fields import extract
from leads.models.intake import Channel

LABEL = _("Meta Lead Ads (Facebook, Instagram)")
NEEDS_SECRET, GIVEN_SECRET = True, True
SECRET_HELP = _("The App Secret of the app: App settings → Basic.")
CHANNEL = Channel.ADS
TAKES_ALL = True
COMMON = ("mapping",)
BASE_URL, VERSION = "https://graph.facebook.com", "v24.0"
SETTINGS = {
    "verify_token": Setting(_("Verify token"), help=_("Any word; enter the same one at Meta."), agreed=True),
    "access_token": Setting(
        _("Page access token"), help=_("A long-lived token of the page, with the right leads_retrieval."), secret=True
    ),
    "base_url": Setting(_("Address of the Graph API"), kind="url", default=BASE_URL),
    "version": Setting(_("Version of the Graph API"), default=VERSION),
}
IDS = ("page_id", "form_id", "ad_id", "adgroup_id", "created_time")
PLATFORMS = {"fb": "facebook", "ig": "instagram", "msg": "messenger", "wa": "whatsapp"}
QUESTIONS = {
    "street_address": "custom.street_address", "work_phone_number": "phone", "work_email": "email", "zip_code": "custom.zip_code",
    "post_code": "custom.zip_code", "state": "region", "province": "region", "date_of_birth": "custom.date_of_birth",
}  # fmt: skip


@dataclass(frozen=True)
class Announced:
    """An enquiry that Meta has announced."""

    leadgen_id: str
    facts: dict = field(default_factory=dict)

    def as_json(self):
        return asdict(self)


def handshake(envelope, source):
    """Meta asks for its own word back, by the verify token that was entered on both sides."""
    if envelope.method != "GET":
        return None
    token, word = (named(envelope, None, name) or "" for name in ("hub.verify_token", "hub.challenge"))
    expected = [str(word) for word in (source.settings.get("verify_token"), source.secret) if word]
    right = any(same(token, one) for one in expected)
    if named(envelope, None, "hub.mode") != "subscribe" or not right or not re.fullmatch(r"[\w.:~-]{1,200}", word):
        return Reply(403, "")
    return Reply(200, word)


def reply(envelope, source):
    return Reply(200, "ok")


def verify(envelope, source, body):
    if not source.secret:
        return
    signature = envelope.headers.get("X-Hub-Signature-256") or ""
    old = envelope.headers.get("X-Hub-Signature") or ""
    if not (signature or old):
        raise unsigned()
    if signature:
        check_hmac(signature, source, envelope.raw, prefix="sha256=")
    else:  # apps from before 2021 sign with SHA-1 alone
        check_hmac(old, source, envelope.raw, algorithm="sha1", prefix="sha1=")


def canary(source, mark, url):
    sent = plain(source, mark, url)
    return replace(
        sent, headers={"X-Hub-Signature-256": f"sha256={hmac_of(source, sent.raw).hex()}"} if source.secret else {}
    )


def _list(value):
    return [item for item in value[:1000] if isinstance(item, Mapping)] if isinstance(value, list) else []


def _id(value):
    """An id, which Meta writes as a number or as a text; "" for none, and for the 0 of what no advertisement brought."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if re.fullmatch(r"[\w-]{1,64}", text) and text != "0" else ""


def parse(body, source, *, headers, region="RU", path="", received_at=None):
    payload = body.payload if isinstance(body.payload, Mapping) else {}
    found = {}
    for entry in _list(payload.get("entry")):
        for change in _list(entry.get("changes")):
            value = change.get("value")
            if change.get("field") == "leadgen" and isinstance(value, Mapping) and _id(value.get("leadgen_id")):
                facts = {name: _id(value.get(name)) for name in IDS}
                number = _id(value["leadgen_id"])
                found.setdefault(number, Announced(number, {name: v for name, v in facts.items() if v}))
    if not found:
        return Parsed(kind="not_enquiry", reason="not_enquiry")
    return Parsed(kind="event", events=list(found.values()))


# --- What was fetched ---------------------------------------------------------------------------------------------------


def parse_lead(answer, facts, source, region="RU"):
    """Parsed of a lead as the Graph API gives it; ``facts``: what was announced, with the form's name if it is known."""
    fields, is_test = {}, False
    for item in _list(answer.get("field_data")):
        name = clean(str(item.get("name") or "")).strip()
        values = item.get("values") if isinstance(item.get("values"), list) else [item.get("value")]
        texts = [clean(str(v)) for v in values[:50] if isinstance(v, str | int | float) and str(v).strip()]
        is_test = is_test or any(text.startswith("<test lead:") for text in texts)
        if name and texts:
            fields.setdefault(QUESTIONS.get(name.lower(), name.replace(".", " ")), []).extend(texts)
    mapping = {name: name for name in QUESTIONS.values()} | _stated(source)
    parsed = extract(Body(fields), source, {}, region, mapping)
    parsed.marks = _marks(answer, facts) | parsed.marks
    if facts.get("form_name"):
        parsed.fields.setdefault("product", facts["form_name"])
    if is_test:
        parsed.kind = parsed.reason = "test"
    return parsed


def _stated(source):
    stated = source.settings.get("mapping") or {}
    return {str(name).replace(".", " "): str(target) for name, target in stated.items()}


def _marks(answer, facts):
    """Where the enquiry came from: names where the token may read them, else ids."""
    known = {name: identity.line(answer.get(name) or facts.get(name), 500) for name in (
        "platform", "campaign_name", "campaign_id", "adset_name", "adset_id", "ad_name", "ad_id", "form_id", "page_id",
    )}  # fmt: skip
    marks = {
        "utm_source": PLATFORMS.get(known["platform"], known["platform"]) or "facebook",
        "utm_medium": "lead_form",
        "utm_campaign": known["campaign_name"] or known["campaign_id"],
        "utm_term": known["adset_name"] or known["adset_id"],
        "utm_content": known["ad_name"] or known["ad_id"],
        "form": facts.get("form_name") or known["form_id"],
        "page": known["page_id"],
    }
    return {name: value for name, value in marks.items() if value not in {"", "0"}}
