"""Where an enquiry came from, in marketing's words: the dictionary of lead sources grows by what is seen."""

import re

from leads import identity
from leads.models import Origin
from leads.models.intake import Channel

CLICKS = {"gclid": "google", "gbraid": "google", "wbraid": "google", "yclid": "yandex", "ymclid": "yandex",
          "fbclid": "facebook", "vk_click_id": "vk"}  # fmt: skip
SEARCH = {
    "google": r"(^|\.)google\.[a-z.]{2,6}$", "yandex": r"(^|\.)(yandex\.[a-z.]{2,6}|ya\.ru)$",
    "bing": r"(^|\.)bing\.com$",
    "duckduckgo": r"(^|\.)duckduckgo\.com$", "mail.ru": r"^go\.mail\.ru$", "rambler": r"(^|\.)rambler\.ru$",
}  # fmt: skip
PAID = re.compile(r"cpc|ppc|cpm|paid|ads?$|banner|retarget", re.IGNORECASE)


def _host(url):
    found = re.match(r"(?:[a-z]+:)?//([^/?#:@\s]+)", (url or "").strip().lower())
    return found[1] if found else ""


def name_of(marks):
    """(name, channel) that the marks speak of: utm_source as written, else a click id, else a search engine."""
    if source := identity.line(marks.get("utm_source"), 120):
        channel = Channel.ADS if PAID.search(marks.get("utm_medium", "")) or set(CLICKS) & set(marks) else Channel.SITE
        return source, channel
    for click, name in CLICKS.items():
        if marks.get(click):
            return name, Channel.ADS
    host = _host(marks.get("referrer"))
    found = next((name for name, pattern in SEARCH.items() if host and re.search(pattern, host)), "")
    return found, Channel.SITE


def origin_of(marks, source):
    """The Origin of an enquiry: found by its exact name, made at first sight; else the source's own."""
    name, channel = name_of(marks)
    if not name:
        return source.origin
    return (
        Origin.objects.filter(name=name).first()
        or Origin.objects.get_or_create(name=name, defaults={"channel": channel})[0]
    )


def campaign_of(marks):
    return identity.line((marks or {}).get("utm_campaign"), 120)
