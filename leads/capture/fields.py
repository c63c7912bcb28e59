"""From flat fields, named as any site builder likes, to a lead's fields, signs of identity and marks. Pure."""

# ruff: noqa: SIM905 - lists of words read best as words

import re
from decimal import Decimal, InvalidOperation

from django.utils.translation import gettext as _

from leads import identity
from leads.capture.base import Parsed, Refused, path_of
from leads.identity import Known

MAX_FIELD = 2000  # characters
MAX_TEXT = 20_000  # characters of a message, and of what we do not know
MAX_CUSTOM = 50
MAX_CUSTOM_VALUE = 500

ALIASES = {
    "name": "name fullname full_name fio фио имя your_name yourname contact_name client_name customer_name имя_клиента "
    "ваше_имя как_к_вам_обращаться contact_person username",
    "first_name": "first_name firstname fname given_name имя_без_фамилии",
    "last_name": "last_name lastname lname surname family_name фамилия",
    "middle_name": "middle_name patronymic отчество",
    "phone": "phone phones tel telephone mobile mobile_phone phone_number phonenumber телефон телефоны тел "
    "номер_телефона ваш_телефон моб_телефон мобильный whatsapp_phone contact_phone client_phone",
    "email": "email emails e_mail mail email_address почта эл_почта электронная_почта "
    "ваш_email contact_email client_email",
    "company_name": "company company_name organization organisation org компания организация фирма название_компании",
    "job_title": "job_title position должность role_title",
    "city": "city town город населенный_пункт",
    "region": "region область регион",
    "country": "country страна",
    "language": "language lang язык locale",
    "industry": "industry отрасль",
    "company_size": "company_size employees сотрудников количество_сотрудников",
    "product": "product product_name service услуга товар продукт interest интересует course курс",
    "need": "comment comments message msg text textarea question body note комментарий сообщение вопрос текст need "
    "потребность ваше_сообщение your_message description описание",
    "budget": "budget бюджет",
    "tags": "tags tag теги тег",
    "external_id": "external_id externalid lead_id leadid request_id submission_id tranid",
    "telegram": "telegram tg telegram_username телеграм телеграмм",
    "whatsapp": "whatsapp wa ватсап вотсап",
    "vk": "vk vk_id vkontakte вк",
    "consent": "consent agree agreement privacy policy согласие personal_data pdn gdpr terms",
    "visitor": "visitor_id visitor crm_visitor",
    "referrer": "referrer referer http_referer",
    "landing": "landing page page_url url landing_page landing_url location href страница",
    "secret": "secret",
    "own_id": "",  # by a mapping alone: the sender's number of this enquiry, which has its effect once
}  # fmt: skip
MARKS = {
    "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "utm_id",
    "gclid", "yclid", "fbclid", "ymclid", "vk_click_id", "gbraid", "wbraid", "roistat", "client_id",
    "ym_uid", "ga_client_id",
}  # fmt: skip
CANONICAL = {alias: name for name, words in ALIASES.items() for alias in words.split()} | {mark: mark for mark in MARKS}
# Names that a sender may not set, whoever it is: they are the product's own facts.
PROTECTED = frozenset(
    "id pk uuid owner owner_id manager responsible user user_id team team_id status state stage stage_id pipeline "
    "version score band fit engagement qualification created_at created updated_at assigned_at closed_at deleted "
    "is_deleted is_staff is_imported consent_ip consent_text person person_id source source_id first_origin "
    "last_origin waiting_since csrfmiddlewaretoken form_token website_url secret token answered_at".split()
)
CONTAINERS = frozenset(
    "contact contacts lead client customer data fields field form person answers answers_map payload body request "
    "user values properties attributes leads enquiries inquiries submissions applications records rows results entries "
    "requests лиды заявки обращения".split()
)
TARGETS = sorted({*ALIASES, *MARKS})  # what a mapping may point at, besides custom.<name> and "-" (ignored)
WIDTHS = {
    "name": 200, "company_name": 200, "job_title": 200, "city": 120, "region": 120, "country": 60, "language": 5,
    "industry": 120, "product": 200, "need": MAX_TEXT,
}  # fmt: skip
_LONG = {"need"}
_YES = frozenset("on yes y true 1 да согласен согласна agree agreed checked принимаю".split())


def fold(name):
    return re.sub(r"[\s\-:*?!]+", "_", name.strip().casefold().replace("ё", "е")).strip("_")


def canonical(path, mapping):
    """The field that a path means: by the source's mapping, by its whole name, or by its last part."""
    if path in mapping:
        return mapping[path]
    if name := CANONICAL.get(fold(path)):
        return name
    *parents, last = path.split(".")
    bare = [fold(p) for p in parents if not p.isdigit()]
    return CANONICAL.get(fold(last)) if bare and all(p in CONTAINERS for p in bare) else None


def mapping_of(source):
    """The source's own names: ``settings["mapping"] = {"payment[orderid]": "external_id"}``."""
    stated = source.settings.get("mapping") or {}
    return {path_of(str(path)): str(target) for path, target in stated.items()}


def sort_fields(body, source, mapping=None):
    """(canonical name → values, unknown path → values); raises Refused(422) for a field that is too long."""
    mapping, named, unknown = mapping_of(source) if mapping is None else mapping, {}, {}
    limit = int(source.settings.get("max_field") or MAX_FIELD)
    for path, values in body.fields.items():
        name = canonical(path, mapping)
        _check_length(path, values, MAX_TEXT if name is None or name in _LONG else limit)
        if name is None:
            unknown[path] = values
        elif name != "-":
            named.setdefault(name, []).extend(v for v in values if v.strip())
    return {name: values for name, values in named.items() if values}, unknown


def _check_length(path, values, limit):
    for value in values:
        if len(value) > limit:
            raise Refused(
                422,
                "too_long",
                _("“%(field)s” has %(length)d characters; %(limit)d are allowed.")
                % {"field": path[:80], "length": len(value), "limit": limit},
            )


# --- Identity -------------------------------------------------------------------------------------------------------


def signs(named, source, warnings, region="RU"):
    """Signs of identity in the order of trust; a contact that could not be read becomes a warning."""
    found = []
    for raw in named.get("phone", []):
        numbers = identity.phones(raw, region)
        found += [Known("phone", n.e164, raw=identity.line(raw, 254), extension=n.extension[:10]) for n in numbers]
        if not numbers:
            warnings.append(f"phone:{identity.line(raw, 200)}")
    for raw in named.get("email", []):
        addresses = identity.emails(raw)
        found += [Known("email", address, raw=identity.line(raw, 254)) for address in addresses]
        if not addresses:
            warnings.append(f"email:{identity.line(raw, 200)}")
    found += [Known("external", identity.line(v, 254), source.key[:40]) for v in named.get("external_id", [])[:3]]
    for kind in ("telegram", "whatsapp", "vk"):
        found += [known for raw in named.get(kind, [])[:3] if (known := _messenger(kind, raw, region))]
    once = {}
    for known in found:
        once.setdefault((known.kind, known.scope, known.value), known)
    return list(once.values())[: identity.MAX_SEVERAL * 2]


def _messenger(kind, raw, region):
    if kind == "whatsapp":
        number = identity.phone(raw, region)
        return Known("whatsapp", number.e164, raw=identity.line(raw, 254)) if number else None
    handle = re.sub(
        r"^(?:https?://)?(?:www\.)?(?:t\.me|telegram\.me|vk\.com|vk\.ru)/", "", raw.strip(), flags=re.IGNORECASE
    )
    handle = handle.split("?")[0].strip("@/ ").lower()
    return Known(kind, handle, raw=identity.line(raw, 254)) if re.fullmatch(r"[a-z0-9_.]{2,64}", handle) else None


# --- Fields ---------------------------------------------------------------------------------------------------------


def _name(named):
    whole = " ".join(named.get("name", [])[:1])
    parts = [named[part][0] for part in ("last_name", "first_name", "middle_name") if part in named]
    if "last_name" in named and whole and "first_name" not in named:
        return f"{named['last_name'][0]} {whole}"
    return whole or " ".join(parts)


def _budget(raw):
    """A sum of money written by hand: «до 1,5 млн», "100 000 ₽"; None where it says nothing."""
    text = identity.line(raw).casefold().replace("\u2009", " ")
    found = re.search(r"\d[\d\s'’]*(?:[.,]\d+)?", text)
    if not found:
        return None
    digits = re.sub(r"[\s'’]", "", found[0])
    if re.search(r"[.,]\d{3}$", digits):
        digits = re.sub(r"[.,]", "", digits)
    rest = text[found.end() :].strip()
    factor = (
        10**6
        if rest.startswith(("млн", "mln", "миллион", "million"))
        else 1000
        if re.match(r"тыс|т\.|k\b|к\b", rest)
        else 1
    )
    try:
        amount = Decimal(digits.replace(",", ".")) * factor
    except InvalidOperation:
        return None
    return amount.quantize(Decimal("0.01")) if amount < 10**12 else None


def _whole_number(raw):
    digits = re.sub(r"[\s\xa0]", "", raw)
    return int(digits) if re.fullmatch(r"\d{1,9}", digits) and int(digits) < 2**31 else None


_READ = {
    "name": identity.person_name,
    "city": identity.city,
    "need": lambda raw: re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", raw.replace("\r\n", "\n").replace("\r", "\n")).strip(),
    "budget": _budget,
    "company_size": _whole_number,
    "language": lambda raw: raw.strip()[:2].lower() if re.fullmatch(r"[A-Za-z]{2}([-_].*)?", raw.strip()) else None,
}
_LEAD_FIELDS = (
    "company_name", "job_title", "city", "region", "country", "language", "industry", "company_size", "product", "need",
    "budget",
)  # fmt: skip


def lead_fields(named, warnings):
    """A lead's fields, normalised; what cannot be read or does not fit goes to ``warnings`` with its raw value."""
    raw = {name: "\n".join(named[name]) if name == "need" else named[name][0] for name in _LEAD_FIELDS if name in named}
    if name := _name(named):
        raw["name"] = name
        if re.search(r"[\r\n]", name):
            warnings.append(f"name:{identity.line(name, 200)}")
    fields = {}
    for name, value in raw.items():
        read = _READ.get(name, identity.line)(value)
        if read in (None, ""):
            warnings.append(f"{name}:{identity.line(value, 200)}")
            continue
        if name in WIDTHS and len(value.strip()) > WIDTHS[name]:
            warnings.append(f"shortened:{name}")
        fields[name] = read[: WIDTHS[name]] if name in WIDTHS else read
    if tags := _tags(named):
        fields["tags"] = tags
    return fields


def _tags(named):
    words = (identity.line(word, 40) for value in named.get("tags", []) for word in re.split(r"[,;|\n]", value))
    return list(dict.fromkeys(word for word in words if word))[:20]


def custom(unknown, mapping_custom):
    """Short plain fields that we have no name for; the product's own names and machinery are left out."""
    kept = {}
    for path, values in unknown.items():
        value = identity.line(", ".join(values), MAX_CUSTOM_VALUE + 1)
        name = identity.line(path, 60)
        last = fold(path.rsplit(".", 1)[-1])
        if not name or not value or last in PROTECTED or fold(path) in PROTECTED or path.startswith("_"):
            continue
        if len(value) <= MAX_CUSTOM_VALUE and len(kept) < MAX_CUSTOM:
            kept[name] = value
    return kept | mapping_custom


def marks(named, headers):
    """Marketing's marks as received; the referrer is what the page said, the landing what the visitor saw."""
    found = {name: named[name][0][:500] for name in (*sorted(MARKS), "referrer", "landing") if name in named}
    if "landing" not in found and headers.get("Referer"):
        found["landing"] = identity.line(headers["Referer"], 500)
    return found


def agreed(named):
    return any(value.strip().casefold() in _YES for value in named.get("consent", []))


def extract(body, source, headers, region="RU", mapping=None):
    """Parsed of flat fields: what web forms, JSON and site builders have in common.

    ``mapping``: path → our name, instead of the source's own.
    """
    named, unknown = sort_fields(body, source, mapping)
    warnings = list(body.warnings)
    stated = {name.removeprefix("custom."): ", ".join(v) for name, v in named.items() if name.startswith("custom.")}
    parsed = Parsed(identities=signs(named, source, warnings, region), warnings=warnings)
    parsed.fields = lead_fields(named, warnings)
    if kept := custom(unknown, stated):
        parsed.fields["custom"] = kept
    parsed.marks, parsed.consent = marks(named, headers), agreed(named)
    parsed.visitor = visitor(named)
    parsed.own_id = identity.line("".join(named.get("own_id", [])[:1]), 200)
    return parsed


def is_test(body, parsed):
    """What a program sends to try an address: ``test`` and nobody to answer to."""
    return str(body.fields.get("test", [""])[0]).lower() in {"true", "test"} and not parsed.identities


def visitor(named):
    text = named.get("visitor", [""])[0].strip().lower()
    return text if re.fullmatch(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) else ""
