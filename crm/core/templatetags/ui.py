"""Template tags of the interface: icons, money, phones, times, badges. Builtins of every template (settings)."""

import functools
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation

import phonenumbers
from babel.core import Locale, UnknownLocaleError
from babel.dates import format_date, format_skeleton, format_time, format_timedelta
from babel.numbers import format_compact_currency, format_currency, format_decimal, format_percent
from babel.units import format_unit
from django import template
from django.template.loader import get_template
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import escape, format_html, mark_safe
from django.utils.text import capfirst
from django.utils.translation import get_language, ngettext, pgettext
from django.utils.translation import gettext as _

from crm.core.naming import numbered

register = template.Library()

NOTHING = "—"
# Babel knows no narrow symbols; outside their own country these come out as letters ("RUB 12").
SYMBOLS = {"RUB": "₽", "KZT": "₸", "UAH": "₴", "USD": "$", "EUR": "€", "GBP": "£", "CNY": "¥"}
AVATAR_HUES = 8


def kept(make):
    """Keep what was made for each language: a page asks for the same icons, dates and figures hundreds of times."""
    cached = functools.lru_cache(maxsize=8192, typed=True)(lambda _language, *args: make(*args))

    @functools.wraps(make)
    def found(*args):
        return cached(get_language(), *args)

    return found


@kept
def _locale():
    try:
        return Locale.parse((get_language() or "en").replace("-", "_"))
    except UnknownLocaleError:
        return Locale("en")


def _number(value):
    """``value`` as a Decimal, or None for what is no number (a template never fails on data)."""
    if type(value) is int:
        return Decimal(value)
    if value is None or value == "":
        return None
    try:
        number = value if type(value) is Decimal else Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


# --- Icons --------------------------------------------------------------------------------------------------------
@register.simple_tag
def icon(name, label="", css=""):
    """``{% icon "phone" %}`` decorative, ``{% icon "phone" label=_("Call") %}`` with a name of its own."""
    return _icon(str(name), str(label), str(css))


@kept
def _icon(name, label, css):
    aria = format_html('role="img" aria-label="{}"', label) if label else mark_safe('aria-hidden="true"')  # noqa: S308
    return format_html(
        '<svg class="icon{}" {} focusable="false"><use href="{}#{}"></use></svg>',
        f" {css}" if css else "",
        aria,
        static("img/icons.svg"),
        name,
    )


@register.simple_tag
def fixed(name):
    """A part of the page that says the same to everybody (it gets no context): drawn once a language."""
    return _fixed(name)


@kept
def _fixed(name):
    return get_template(name).render()


# --- Numbers ------------------------------------------------------------------------------------------------------
def _with_symbol(text, currency):
    return text.replace(currency, SYMBOLS.get(currency, currency))


@register.filter
def money(value, currency="RUB"):
    """A sum with its currency in the reader's language; kopecks only where there are any."""
    number, currency = _number(value), currency or "RUB"
    if number is None:
        return NOTHING
    return _money(number, str(currency), number == number.to_integral_value())


@register.filter
def money_exact(value, currency="RUB"):
    """A sum of a column of which some have kopecks: all of them show theirs, so that the digits stand under each other."""
    number = _number(value)
    return NOTHING if number is None else _money(number, str(currency or "RUB"), False)


@kept
def _money(number, currency, whole):
    locale = _locale()
    pattern = locale.currency_formats["standard"].pattern
    text = format_currency(
        number, currency, locale=locale, format=pattern.replace(".00", "") if whole else None, currency_digits=not whole
    )
    return _with_symbol(text, currency)


@register.filter
def money_short(value, currency="RUB"):
    """A rounded sum for boards and tiles: "12,3 млн ₽"."""
    number, currency = _number(value), currency or "RUB"
    if number is None:
        return NOTHING
    if abs(number) < 1000:
        return money(number.quantize(Decimal(1)), currency)
    return _money_short(number, str(currency))


@kept
def _money_short(number, currency):
    return _with_symbol(
        format_compact_currency(number, currency, locale=_locale(), fraction_digits=1).replace(",0\xa0", "\xa0"),
        currency,
    )


@register.filter
def num(value):
    """A number with grouped thousands."""
    number = _number(value)
    return NOTHING if number is None else _num(number)


def tenths(value):
    """A number with one digit behind the point, whether it is nought or not."""
    return _tenths(round(Decimal(value), 1))


@kept
def _tenths(number):
    return _signed(format_decimal(number, "#,##0.0", locale=_locale()))


def _signed(text):
    """A minus as wide as the digits, not a hyphen."""
    return text.replace("-", "\N{MINUS SIGN}")


@kept
def _num(number):
    return _signed(format_decimal(number, locale=_locale()))


@register.filter
def whole_percent(value):
    """A whole number of hundredths (10) as "10 %"."""
    return percent(Decimal(value) / 100)


@register.filter
def percent(value):
    """A share (0.253) as "25.3 %"."""
    number = _number(value)
    return NOTHING if number is None else _percent(number)


@register.filter
def percent_exact(value):
    """A share of a column of which some have tenths: "25.0 %"."""
    number = _number(value)
    return NOTHING if number is None else _percent(number, "0")


@kept
def _percent(number, tenths="#"):
    pattern = _locale().percent_formats[None].pattern.replace("#,##0", f"#,##0.{tenths}")
    return _signed(format_percent(number, locale=_locale(), format=pattern))


register.filter("numbered", numbered)


@register.filter
def attr(value):
    """A number for an HTML or SVG attribute: a dot, no grouping, whatever the language."""
    if type(value) is int:
        return str(value)
    number = _number(value)
    return "0" if number is None else f"{number.normalize():f}"


@register.filter("phone")
@kept
def shown_phone(value):
    """A phone on a page: never broken at the end of a line."""
    return format_html('<span class="nowrap">{}</span>', phone(value)) if value else ""


def phone(value):
    """E.164 as people of its country write it; anything else unchanged."""
    return _phone(str(value or ""))


@kept
def _phone(text):
    try:
        parsed = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        return text
    written = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
    return written.replace(" ", "\N{NO-BREAK SPACE}")


# --- Time ---------------------------------------------------------------------------------------------------------
NEARLY_A_DAY = timedelta(hours=23, minutes=30)  # would be told as 24 hours
UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


@register.filter
def duration(value):
    """Seconds or a timedelta in its two largest units: "2 h 5 min"."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    number = _number(value)
    if number is None:
        return NOTHING
    return _duration(abs(int(number)))


@kept
def _duration(left):
    parts = []
    for unit, size in UNITS:
        count, rest = divmod(left, size)
        if count or (unit == "second" and not parts):
            parts.append(format_unit(count, unit, length="short", locale=_locale()))
            left = rest
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts[:1] if unit == "second" and len(parts) == 2 else parts)


def _time_tag(moment, text, *, state="", css=""):
    local = timezone.localtime(moment)
    return _time(local.isoformat("T", "seconds"), str(text), state, css)


@kept
def _time(written, text, state, css):
    """``written`` says the moment as its reader's clock shows it: equal moments of two zones are not the same text."""
    local = datetime.fromisoformat(written)
    title = f"{full_date(local.date())}, {_clock(local.hour, local.minute)}"
    extra = format_html(' data-state="{}"', state) if state else ""
    return format_html('<time class="{}" datetime="{}" title="{}"{}>{}</time>', css, written, title, extra, text)


def _day(local, now):
    """A date as short as it stays clear: "12 Nov", with the year only when it is another one."""
    return _date("MMMd" if local.year == now.year else "yMMMd", local.date())


@kept
def _date(skeleton, day):
    return format_skeleton(skeleton, day, locale=_locale())


def short_date(day):
    """A date as short as it stays clear, for cards and dense tables."""
    return _date("MMMd" if day.year == timezone.localdate().year else "yMMMd", day)


@kept
def _weekday(day):
    return format_date(day, "EEE", locale=_locale())


@kept
def full_date(day):
    return format_date(day, "full", locale=_locale())


@kept
def _clock(hour, minute):
    return format_time(time(hour, minute), "short", locale=_locale())


@kept
def _passed(seconds, add_direction=False):
    return format_timedelta(timedelta(seconds=seconds), add_direction=add_direction, threshold=1, locale=_locale())


@register.filter
def clock(value):
    """The time of day as the reader's language has it: "19:34", "7:34 PM"."""
    local = timezone.localtime(value)
    return _clock(local.hour, local.minute)


@register.filter
def long_day(value):
    """A day with its month in full: "19 ноября", "November 19"; of another year as short as it stays clear."""
    local = timezone.localtime(value)
    return _date("MMMMd" if local.year == timezone.localdate().year else "yMMMd", local.date())


@register.filter
def day(value):
    """A date, the same on every page: "19 нояб.", "Nov 19"; of another year with that year. For a moment, its local day."""
    if not value:
        return NOTHING
    if not isinstance(value, date):  # the word of a report's last line
        return str(value)
    return short_date(timezone.localtime(value).date() if isinstance(value, datetime) else value)


@register.filter
def day_clock(value):
    """A moment with its day and its time: "19 нояб., 14:05"."""
    return f"{day(value)}, {clock(value)}" if value else NOTHING


@register.filter
def month(day):
    """The month of a day: "November 2026"."""
    return capfirst(_date("yMMMM", day)) if isinstance(day, date) else str(day)


@register.filter
def moment(value):
    """A moment as short as it stays clear, for dense tables: "14:05" today, "12 Nov", "12 Mar 2025" of another year."""
    if not value:
        return NOTHING
    now, local = timezone.localtime(), timezone.localtime(value)
    if local.date() == now.date():
        return _clock(local.hour, local.minute)
    return _day(local, now)


def _rounded(delta):
    """Seconds, in whole minutes from an hour on: nobody is told more, and the words are kept the longer."""
    seconds = int(delta.total_seconds())
    if 3570 <= abs(seconds) < 3600:  # would be told as 60 minutes
        return 3600 if seconds > 0 else -3600
    return seconds if abs(seconds) < 3600 else int(seconds / 60) * 60


def _since(passed, local, now):
    """Seconds to tell of what is past: from a day on whole days, counted as the headings over a list count them."""
    days = (now.date() - local.date()).days
    return days * 86400 if passed >= NEARLY_A_DAY and days else abs(_rounded(passed))


@register.simple_tag
def ago(moment, under_day=False):
    """A past moment in relative words; after a month, the date, or the hour where the day stands above."""
    if not moment:
        return NOTHING
    now, local = timezone.localtime(), timezone.localtime(moment)
    passed = now - moment
    if timedelta(0) <= passed < timedelta(minutes=1):
        text = _("just now")
    elif abs(passed) < timedelta(days=30):
        text = _passed(-_since(passed, local, now) if passed > timedelta(0) else -_rounded(passed), True)
    else:
        text = _clock(local.hour, local.minute) if under_day else _day(local, now)
    return _time_tag(moment, text, css="ago")


@register.simple_tag
def due(moment):
    """When something is to be done, with ``data-state`` overdue, soon (an hour), today or later."""
    if not moment:
        return NOTHING
    text, state = _due(moment, timezone.localtime())
    return _time_tag(moment, text, state=state, css="due")


def due_words(moment, now):
    """What ``due`` says, without its tag: for rows that are told in words; a number stays with its unit."""
    return re.sub(r"(?<=\d) ", "\N{NO-BREAK SPACE}", _due(moment, timezone.localtime(now))[0])


def _due(moment, now):
    local, left = timezone.localtime(moment), moment - now
    if left < timedelta(0):
        return _("%(time)s overdue") % {"time": _passed(_since(-left, local, now))}, "overdue"
    if left < timedelta(hours=1):
        return _passed(_rounded(left), True), "soon"
    clock, days = _clock(local.hour, local.minute), (local.date() - now.date()).days
    if days == 0:
        return _("today, %(time)s") % {"time": clock}, "today"
    if days == 1:
        return _("tomorrow, %(time)s") % {"time": clock}, "later"
    day = _weekday(local.date()) if days < 6 else _day(local, now)
    return f"{day}, {clock}", "later"


@register.simple_tag
def next_step(moment):
    """The next step of a card on a board: when it is due, or that there is none."""
    name, css = (due(moment), "") if moment else (_("no next step"), " muted")
    return format_html('<span class="board-step{}">{}{}</span>', css, icon("calendar"), name)


@register.filter
@kept
def days(count):
    """A number of days for dense places: "12 d"."""
    return _("%(days)s d") % {"days": num(count)}


@register.filter
@kept
def norm(count):
    """How many days a card may stay at a stage: "norm: 3 days"."""
    return ngettext("norm: %(counter)s day", "norm: %(counter)s days", count) % {"counter": count}


@register.simple_tag
def age(count, norm=0, tone=""):
    """Days at a stage, held against its norm; nothing on the first day."""
    return _age(count, norm or 0, tone) if count else ""


@kept
def _age(count, norm, tone):
    title, text = _("Days at this stage"), days(count)
    if norm:
        title = ngettext("The norm of this stage is %(norm)s day", "The norm of this stage is %(norm)s days", norm)
        title %= {"norm": norm}
    if tone:
        text = ngettext("%(days)s day here", "%(days)s days here", count) % {"days": count}
    return format_html('<span class="board-card-age nowrap" title="{}">{}</span>', title, text)


# --- Badges -------------------------------------------------------------------------------------------------------
BAND_ICONS = {"hot": "flame", "warm": "sun", "cold": "snow"}


def _band_name(band):
    names = {"hot": pgettext("band", "Hot"), "warm": pgettext("band", "Warm"), "cold": pgettext("band", "Cold")}
    return names.get(band)


@kept
def _score(value, band):
    title = _("Score %(score)s") % {"score": value}
    if name := _band_name(band):
        title = f"{title}, {name}"
    return format_html(
        '<span class="score" data-band="{}" title="{}" role="img" aria-label="{}">{}</span>', band, title, title, value
    )


@register.simple_tag
def band(value):
    """The temperature of a lead as a badge; nothing for a lead without one."""
    if not (name := _band_name(value)):
        return ""
    return format_html('<span class="badge" data-band="{}">{}{}</span>', value, icon(BAND_ICONS[value]), name)


@register.simple_tag
def score(value, band=""):
    """The score as a number on the colour of its band; the band is in the name for those who cannot see it."""
    return "" if value is None else _score(value, str(band))


@register.simple_tag
def bar(value, maximum=100, tone="accent", label=""):
    """A small horizontal bar; SVG, because a width cannot be a style under the content security policy."""
    top, number = _number(maximum) or 0, _number(value) or 0
    width = max(Decimal(0), min(Decimal(100), number * 100 / top)) if top else Decimal(0)
    aria = format_html('role="img" aria-label="{}"', label) if label else mark_safe('aria-hidden="true"')  # noqa: S308
    return format_html(
        '<svg class="bar" data-tone="{}" viewBox="0 0 100 6" preserveAspectRatio="none" {}>'
        '<rect class="bar-track" width="100" height="6"></rect>'
        '<rect class="bar-fill" width="{}" height="6"></rect></svg>',
        tone,
        aria,
        f"{width:.1f}",
    )


# --- People -------------------------------------------------------------------------------------------------------
@register.filter
def breakable(address):
    """An e-mail address that breaks, where it must, behind its dots and its @ and not within a word."""
    return mark_safe(re.sub(r"([@._-])", r"\1<wbr>", escape(address)))  # noqa: S308 - escaped here


@register.filter
def initials(name):
    """At most two letters: the first of the first and of the last word."""
    words = [w for w in str(name or "").replace("«", "").replace("»", "").split() if w[0].isalnum()]
    return "".join(w[0] for w in (words[:1] + words[1:][-1:])).upper() or "?"


@register.simple_tag
def avatar(user, size=""):
    """A circle with initials, in a colour that stays with the person; no user → nobody yet."""
    css = f"avatar avatar-{size}" if size else "avatar"
    if user is None or not getattr(user, "pk", None):
        name = _("No owner")
        return format_html(
            '<span class="{} avatar-none" title="{}" role="img" aria-label="{}">?</span>', css, name, name
        )
    return _avatar(user.pk % AVATAR_HUES, str(user), css)


@kept
def _avatar(hue, name, css):
    return format_html(
        '<span class="{}" data-hue="{}" title="{}" role="img" aria-label="{}">{}</span>',
        css,
        hue,
        name,
        name,
        initials(name),
    )


@register.simple_tag
def person(user, size="sm"):
    """Avatar and name; the circle is decorative here, the name stands beside it."""
    if user is None or not getattr(user, "pk", None):
        return format_html(
            '<span class="person"><span class="avatar avatar-{} avatar-none" aria-hidden="true">?</span>'
            '<span class="muted">{}</span></span>',
            size,
            _("No owner"),
        )
    return format_html(
        '<span class="person"><span class="avatar avatar-{}" data-hue="{}" aria-hidden="true">{}</span>'
        '<span class="person-name">{}</span></span>',
        size,
        user.pk % AVATAR_HUES,
        initials(user),
        user,
    )
