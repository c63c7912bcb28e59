"""Letters without a database: variables of templates, checks, text and HTML of what is sent, who opened it."""

import html
import re
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

import nh3
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

MAX_SUBJECT, MAX_TEXT, MAX_PLACEHOLDERS, MAX_LINKS = 200, 100_000, 200, 50

# What a template may say: nothing else is reachable, there is no template engine behind.
VARIABLES = {
    "name": gettext_lazy("the client's name"),
    "first_name": gettext_lazy("the client's first name"),
    "company": gettext_lazy("the client's company"),
    "job_title": gettext_lazy("the client's job title"),
    "city": gettext_lazy("the client's city"),
    "product": gettext_lazy("the product asked for"),
    "owner": gettext_lazy("the owner's name"),
    "owner_first_name": gettext_lazy("the owner's first name"),
    "owner_phone": gettext_lazy("the owner's phone"),
    "owner_email": gettext_lazy("the owner's email"),
    "owner_title": gettext_lazy("the owner's job title"),
    "introduction": gettext_lazy("who writes and what happens next, also while the lead has no owner"),
    "signature": gettext_lazy("the owner's email signature"),
    "organisation": gettext_lazy("our company"),
}
MANY_LINES = {"signature"}
OWN_WORDS = {
    "introduction",
    "owner",
    "owner_first_name",
    "owner_phone",
    "owner_email",
    "owner_title",
    "signature",
    "organisation",
}

_PLACEHOLDER = re.compile(r"""\{\{\s*([a-z_]+)\s*(?:\|\s*["'“”«„]([^"'“”«»„{}\r\n]{0,200})["'“”»]\s*)?\}\}""")
_MARKUP = re.compile(r"\{\{|\}\}|\{%|%\}|\{#|#\}")
_URL = re.compile(r"https?://[^\s<>\"'«»“”]+", re.I)
_FORBIDDEN_LINK = re.compile(r"(?:java|vb)script\s*:|\bdata:(?:[\w.+-]+/|[;,])|\bfile:/", re.I)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


# --- Templates -------------------------------------------------------------------------------------------------------
def check_template(subject, text, *, forbidden=()):
    """Raise ValidationError({"subject"|"body": …}) in the user's language where the letter cannot be sent.

    ``forbidden``: prefixes of addresses that no client may be sent to (our own back office).
    """
    errors = {}
    for field, value, limit in (("subject", subject, MAX_SUBJECT), ("body", text, MAX_TEXT)):
        found = _faults(value, limit, forbidden)
        if field == "subject" and re.search(r"[\r\n]", value):
            found.append(_("The subject must be one line."))
        if found:
            errors[field] = found
    if errors:
        raise ValidationError(errors)


def _faults(value, limit, forbidden):
    if len(value) > limit:  # before anything is searched in it
        return [_("Too long: %(have)d characters, at most %(limit)d.") % {"have": len(value), "limit": limit}]
    if value.count("{{") > MAX_PLACEHOLDERS:
        return [_("More than %d variables.") % MAX_PLACEHOLDERS]
    return [*_variable_faults(value), *link_faults(value, forbidden)]


def _variable_faults(value):
    unknown = sorted({name for name, _default in _PLACEHOLDER.findall(value)} - VARIABLES.keys())
    for name in unknown:
        yield _("Unknown variable: {{ %(name)s }}. Known are: %(known)s.") % {
            "name": name,
            "known": ", ".join(VARIABLES),
        }
    if broken := _MARKUP.search(_PLACEHOLDER.sub("", value)):
        at = max(0, broken.start() - 10)
        rest = _PLACEHOLDER.sub("", value)[at : broken.end() + 30].replace("\n", " ")
        yield _('This is not a variable: “%s”. Write {{ name }} or {{ name|"friend" }}.') % rest


def link_faults(value, forbidden=()):
    """What is wrong with the links of a text, in words."""
    if _CONTROL.search(value):
        yield _("The text holds control characters.")
    if bad := _FORBIDDEN_LINK.search(value):
        yield _("Links of this kind are not sent: %s") % bad.group()
    links = links_of(value)
    if len(links) > MAX_LINKS:
        yield _("More than %d links.") % MAX_LINKS
    for url in links:
        if not _is_sendable(url):
            yield _("This link is not a web address: %s") % url[:100]
        elif any(url.lower().startswith(prefix.lower()) for prefix in forbidden):
            yield _("A client must not be sent to our back office: %s") % url[:100]


def _is_sendable(url):
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and "@" not in parts.netloc and (parts.port or 1) > 0 and len(url) <= 2000
    except ValueError:
        return False


def render(text, values, *, one_line=False):
    """The text with the placeholders filled in; empty values take their default, else leave no hole behind."""

    def fill(match):
        name, default = match.group(1), match.group(2) or ""
        value = values.get(name) or default
        return value if name in OWN_WORDS else clean_value(value, is_name=name in {"name", "first_name"}) or default

    filled = _PLACEHOLDER.sub(fill, text)
    filled = re.sub(r"[ \t]*,[ \t]*([!.?:])", r"\1", filled)  # "Hello, !" → "Hello!"
    filled = re.sub(r"(?<=\S)[ \t]{2,}", " ", filled)
    return " ".join(filled.split())[:300] if one_line else filled.replace("\r\n", "\n").strip()


def clean_value(value, *, is_name=False):
    """A client's own words on one line, without addresses: a form must not make us mail links to strangers."""
    words = _CONTROL.sub("", str(value)).split()
    words = [w for w in words if "://" not in w and not w.lower().startswith("www.") and "{{" not in w]
    if is_name:
        words = [w for w in words if not re.search(r"[\w-]\.[a-z]{2,}(?:/|$)", w, re.I | re.A) and "/" not in w]
    return " ".join(words)[:100]


_PATRONYMIC = re.compile(r"(?:вич|вна|ична|инична|оглы|кызы)$", re.I)
_SURNAME = re.compile(r"(?:[оеё]ва?|[иы]на?|[сц]к(?:ий|ая|ой)|ых|их|енко|[юу]к|[ая]н|швили|дзе|[ое]вич)$", re.I)
_GIVEN_LIKE_SURNAME = {
    "лев", "нина", "ирина", "марина", "марьяна", "карина", "галина", "полина", "алина", "арина", "ангелина",
    "регина", "зарина", "екатерина", "кристина", "валентина", "антонина", "иван", "роман", "руслан", "степан",
    "богдан", "тигран", "арман", "мартин", "константин", "валентин", "вениамин", "эвелина", "василина", "эмин",
    "ян", "яна", "герман", "фатима", "ева", "лука", "лина", "инна", "анна", "дина", "зоя", "юлиан", "иоанн",
    "севастьян", "емельян", "дамиан",
}  # fmt: skip


def first_name(name):
    """The given name of "Иванов Пётр Сергеевич", "Пётр Иванов", "Peter Smith"."""
    words = name.replace(",", " ").split()
    for at, word in enumerate(words):
        if at and _PATRONYMIC.search(word) and at >= len(words) - 2 and words[at - 1]:
            return words[at - 1]
    if len(words) >= 2 and _is_surname(words[0]) and not _is_surname(words[1]):
        return words[1]
    return words[0] if words else ""


def _is_surname(word):
    if word.lower() in {"ким", "цой", "пак", "тен", "хан", "ли", "юн", "ван", "чен"}:
        return True
    return word.lower().replace("ё", "е") not in _GIVEN_LIKE_SURNAME and bool(_SURNAME.search(word))


# Mail programs know no style sheets but this attribute.
LOOK = "font: 15px/1.5 Arial, Helvetica, sans-serif; color: #1c1b19; max-width: 640px; overflow-wrap: anywhere"
HEAD = '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"></head>'  # else phones shrink it


# How a letter without looks of its own is shown: in the theme of the page around it, on its ground.
PLAIN_LOOK = "<style>:root{color-scheme:light dark}body{color:light-dark(#1c1b19,#e9e7e2)!important}a{color:light-dark(#4b45c6,#a9a5ff)}</style>"


def frame_length(text):
    """How high a frame the text wants: "short", "middle" or "long". Nothing may be measured within the frame."""
    lines = sum(1 + len(line) // 90 for line in text.splitlines())
    return "short" if lines <= 7 else "middle" if lines <= 16 else "long"


# --- What is sent ----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Composed:
    text: str
    html: str
    links: list[str]  # position n is links[n-1]


def links_of(text):
    """Distinct web addresses in the order of the text, without the punctuation that follows them."""
    return list(dict.fromkeys(_trim(found.group()) for found in _URL.finditer(text)))


def _trim(url):
    url = url.rstrip(".,;:!?…")
    while url.endswith(")") and url.count("(") < url.count(")"):
        url = url[:-1].rstrip(".,;:!?…")
    return url


def compose(text, *, click=None, pixel="", footer="", footer_url=""):
    """Text and HTML of a letter. ``click(n)``: the counted address of link n; without it links stay."""
    links = links_of(text)[:MAX_LINKS]
    body = _paragraphs(text, {url: click(n) if click else url for n, url in enumerate(links, 1)})
    if footer:
        body += f'<p><small><a href="{html.escape(footer_url)}">{html.escape(footer)}</a></small></p>'
        text = f"{text}\n\n-- \n{footer}: {footer_url}"
    body = nh3.clean(body, tags={"p", "br", "a", "small"}, attributes={"a": {"href"}}, link_rel="noopener")
    image = f'<img src="{html.escape(pixel)}" width="1" height="1" alt="">' if pixel else ""
    page = f'<!doctype html><html>{HEAD}<body style="{LOOK}">{body}{image}</body></html>'
    return Composed(text, page, links)


def _paragraphs(text, address):
    blocks = (block for block in re.split(r"\n\s*\n", text.strip()) if block.strip())
    return "".join(f"<p>{_linkify(block, address)}</p>" for block in blocks)


def _linkify(block, address):
    out, at = [], 0
    for found in _URL.finditer(block):
        url = _trim(found.group())
        out.append(html.escape(block[at : found.start()]))
        shown = html.escape(url)
        out.append(f'<a href="{html.escape(address[url])}">{shown}</a>' if url in address else shown)
        at = found.start() + len(url)
    out.append(html.escape(block[at:]))
    return "".join(out).replace("\n", "<br>\n")


# --- Who opened it: a human or a machine -----------------------------------------------------------------------------
WINDOW = timedelta(seconds=2)  # nobody opens a letter this soon, nor follows two of its links this fast
PROXY_WINDOW = timedelta(seconds=10)  # a mail provider's image proxy that comes sooner fetches on delivery

# Image proxies of mail providers fetch when the reader opens the letter: a human behind, unless right on delivery.
_PROXY = re.compile(
    r"GoogleImageProxy|ggpht\.com|YahooMailProxy|MailRuImageProxy|YandexImageResizer|DuckDuckGo-Email", re.I
)
# Own short patterns, by what programs call themselves; the big public list is only what tests hold them against.
_MACHINE = re.compile(
    r"bot\b|bots?[/;_\- )]|[a-z]bot|crawl|spider|slurp|scan|archiv|monitor|uptime|pingdom|probe|check|validat|verif|"
    r"audit|"
    r"preview|prefetch|prerender|snippet|embed|unfurl|fetch|feed|rss|index|search|seo|grab|harvest|scrap|extract|"
    r"httrack|wget|curl|libwww|lwp|python|urllib|requests|aiohttp|httpx|scrapy|java/|jakarta|httpclient|"
    r"http[-_ ]?client|okhttp|go-http|node-fetch|axios|got\s?\(|undici|guzzle|php/|ruby|perl|powershell|dart/|rust|"
    r"headless|phantomjs|selenium|puppeteer|playwright|lighthouse|inspect|analy[sz]|survey|research|"
    r"barracuda|proofpoint|mimecast|symantec|messagelabs|ironport|fireeye|trendmicro|sophos|kaspersky|drweb|fortinet|"
    r"safelinks|urldefense|cloudmark|zscaler|forcepoint|virustotal|netcraft|censys|shodan|nmap|nuclei|zgrab|masscan|"
    r"facebookexternalhit|whatsapp|telegram|slack|discord|skypeuripreview|linkedin|twitter|pinterest|vkshare|viber|"
    r"mediapartners|adsbot|google-|googleother|bingpreview|yahoo!|baidu|duckduck|yandex(?!search)[a-z]*/|mail\.ru|"
    r"compatible;(?!\s*(?:MSIE|Konqueror))|\bagents?\b|agent-|synthetic|favicon|resolver|watch|openvas|"
    r"(?:^|[^.])\b(?:https?://|www\.)|@[\w-]+\.\w|\[at\]|\(at\)|\w\.com\b",
    re.I,
)  # fmt: skip
_BROWSER = re.compile(
    r"^Mozilla/\d|^Opera/|Outlook|Thunderbird|Apple-?Mail|Mail/|BlackBerry|The Bat|MSOffice|Evolution|KMail|"
    r"eM ?Client|Spark|Airmail|CFNetwork",
    re.I,
)


def judge_hit(*, method, agent, since_sent):
    """(is_human, reason) of one open or click by itself; ``since_sent``: None while not known to be sent."""
    agent = agent.strip()
    if method == "HEAD":
        return False, "head"
    if since_sent is None or since_sent < WINDOW:
        return False, "too_soon"
    if not agent:
        return False, "no_agent"
    if _PROXY.search(agent):
        return (False, "prefetch") if since_sent < PROXY_WINDOW else (True, "proxy")
    if agent == "Mozilla/5.0":  # Apple Mail Privacy Protection loads everything in advance
        return False, "privacy_proxy"
    if _MACHINE.search(agent):
        return False, "robot"
    return (True, "person") if _BROWSER.search(agent) else (False, "robot")


def judge_burst(hits):
    """Which hits are of a machine that walks the whole letter. ``hits``: [(key, target, at)]; target None: pixel.

    Two different links within the window, or a link followed in the moment the letter was opened, is no reader.
    Returns the set of keys; one pass, however many hits.
    """
    hits = sorted(hits, key=lambda hit: hit[2])
    many = _crowded(hits, WINDOW, lambda targets: sum(t is not None for t in targets) > 1)
    walked = _crowded(hits, WINDOW / 2, lambda targets: None in targets and len(targets) > 1)
    return many | walked


def _crowded(hits, reach, is_crowd):
    """Keys of the hits around which, ``reach`` before and after, the set of targets is a crowd."""
    found, near, first, last = set(), Counter(), 0, 0
    for key, _target, at in hits:
        while last < len(hits) and hits[last][2] - at <= reach:
            near[hits[last][1]] += 1
            last += 1
        while at - hits[first][2] > reach:
            near[hits[first][1]] -= 1
            if not near[hits[first][1]]:
                del near[hits[first][1]]
            first += 1
        if is_crowd(near.keys()):
            found.add(key)
    return found
