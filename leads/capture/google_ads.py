"""Google Ads: the webhook of lead forms (developers.google.com/google-ads/webhook/docs/implementation).

``google_key`` in the body is the key that was entered beside the address. A column has an id (FULL_NAME, …) and not
always a name; a question of one's own has its text as the name. ``lead_id`` is one enquiry, whatever is sent twice.
"""

from collections.abc import Mapping

from django.utils.translation import gettext_lazy as _

from leads import identity
from leads.capture.base import Body, Parsed, Reply, check_field, clean
from leads.capture.canary import json_of
from leads.capture.fields import extract
from leads.identity import Known
from leads.models.intake import Channel

LABEL = _("Google Ads lead forms")
NEEDS_SECRET = True
SECRET_HELP = _("Enter the same one in Google Ads as the key of the webhook.")
CHANNEL = Channel.ADS
TAKES_ALL = True
COMMON = ("mapping",)
SETTINGS = {}
COLUMNS = {
    "FULL_NAME": "name", "FIRST_NAME": "first_name", "LAST_NAME": "last_name", "EMAIL": "email",
    "WORK_EMAIL": "email", "PHONE_NUMBER": "phone", "WORK_PHONE": "phone", "CITY": "city", "REGION": "region",
    "COUNTRY": "country", "COMPANY_NAME": "company_name", "JOB_TITLE": "job_title",
}  # fmt: skip
IDS = {"campaign_id": "utm_campaign", "adgroup_id": "utm_term", "creative_id": "utm_content", "gcl_id": "gclid"}


def reply(envelope, source):
    return Reply(200, "{}", "application/json")


def payload_of(body):
    return body.payload if body and isinstance(body.payload, Mapping) else {}


def verify(envelope, source, body):
    if source.secret and body is not None:
        check_field(str(payload_of(body).get("google_key") or ""), source)


def canary(source, mark, url):
    column = {"column_id": "EMAIL", "string_value": "test@example.com"}
    return json_of({"lead_id": mark, "google_key": source.secret, "is_test": True, "user_column_data": [column]})


def parse(body, source, *, headers, region="RU", path="", received_at=None):
    lead = payload_of(body)
    columns = lead.get("user_column_data")
    if not isinstance(columns, list):
        return Parsed(kind="not_enquiry", reason="not_enquiry")
    parsed = extract(Body(_fields(columns, region), warnings=list(body.warnings)), source, headers, region)
    facts = {name: identity.line(lead.get(name), 500) for name in (*IDS, "lead_id", "form_id")}
    marks = {mark: facts[name] for name, mark in IDS.items() if facts[name] not in {"", "0"}}
    parsed.marks = {"utm_source": "google", "utm_medium": "lead_form", **marks, **parsed.marks}
    if facts["lead_id"]:
        parsed.own_id = facts["lead_id"]
        parsed.identities.append(Known("external", facts["lead_id"][:254], source.key[:40]))
    if facts["form_id"]:
        parsed.fields["custom"] = {**parsed.fields.get("custom", {}), "form_id": facts["form_id"]}
    if lead.get("is_test") is True or str(lead.get("is_test")).lower() == "true":
        parsed.kind, parsed.reason = "test", "test"
    return parsed


def _fields(columns, region):
    fields = {}
    for column in columns[:300]:
        if not isinstance(column, Mapping):
            continue
        key, asked = (clean(str(column.get(n) or "")).strip() for n in ("column_id", "column_name"))
        name = COLUMNS.get(key.upper()) or " ".join(asked.replace(".", " ").split()) or key
        value = column.get("string_value")
        if name and isinstance(value, str | int | float) and str(value).strip():
            fields.setdefault(name, []).append(clean(str(value)))
    fields["phone"] = [_international(raw, region) for raw in fields.get("phone", [])]
    return fields


def _international(raw, region):
    """Google writes numbers with their country's code, and not always with the plus before it."""
    digits = "".join(c for c in raw if c.isdigit())
    if raw.strip().startswith("+") or identity.phones(raw, region) or len(digits) < 11:
        return raw
    return f"+{digits}"
