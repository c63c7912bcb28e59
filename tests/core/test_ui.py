"""The interface's own words and shapes: numbers, times, badges, forms, icons, colours, navigation."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import time_machine
from django import forms
from django.conf import settings
from django.template import Context, Template
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.urls import NoReverseMatch, reverse
from django.utils import timezone, translation

from crm.core.context import NAV, navigation, shell
from crm.core.templatetags import ui

ROOT = Path(settings.BASE_DIR)
NOW = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)  # a Tuesday, noon in Moscow


@pytest.fixture(params=["ru", "en"])
def language(request):
    with translation.override(request.param):
        yield request.param


@pytest.fixture
def russian():
    with translation.override("ru"):
        yield


NB = "\N{NO-BREAK SPACE}"


def plain(text):
    """With ordinary spaces: the kinds of no-break space are Babel's affair."""
    return text.replace("\xa0", " ").replace("\u202f", " ")


def words(html):
    return plain(re.sub(r"<[^>]+>", "", html))


# --- Numbers ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("value", "currency", "ru", "en"),
    [
        (Decimal("12345678.00"), "RUB", "12 345 678 ₽", "₽12,345,678"),
        (Decimal("12.50"), "RUB", "12,50 ₽", "₽12.50"),
        (Decimal("-5000"), "EUR", "-5 000 €", "-€5,000"),
        (1234, "USD", "1 234 $", "$1,234"),
        (0, "", "0 ₽", "₽0"),
        (None, "RUB", "—", "—"),
        ("abc", "RUB", "—", "—"),
        (float("nan"), "RUB", "—", "—"),
    ],
)
def test_money_is_written_as_the_reader_writes_it(language, value, currency, ru, en):
    assert plain(ui.money(value, currency)) == (ru if language == "ru" else en)


def test_short_money_keeps_one_digit_and_only_where_it_says_something(russian):
    shown = [plain(ui.money_short(v)) for v in (12_345_678, 1_000_000, 450_000, 999, 0, None)]
    assert shown == ["12,3 млн ₽", "1 млн ₽", "450 тыс. ₽", "999 ₽", "0 ₽", "—"]


def test_shares_counts_and_attributes(russian):
    assert [plain(ui.percent(v)) for v in (0.2534, 1, 0, None)] == ["25,3 %", "100 %", "0 %", "—"]
    assert [plain(ui.num(v)) for v in (1234567, Decimal("0.5"), None)] == ["1 234 567", "0,5", "—"]
    assert [ui.attr(v) for v in (4.5, Decimal("100.00"), None, 1_000_000)] == ["4.5", "100", "0", "1000000"]


def test_phones_are_grouped_unbroken_and_anything_else_is_left_alone():
    shown = [ui.phone(v) for v in ("+79161234567", "+13105551212", "ask Ivan", "", None)]
    assert shown == [f"+7{NB}916{NB}123-45-67", f"+1{NB}310-555-1212", "ask Ivan", "", ""]


def test_durations_take_their_two_largest_units(russian):
    values = [0, 45, 65, 7500, timedelta(hours=1), 90_000, 86_400 * 3 + 30, None]
    shown = [plain(ui.duration(v)) for v in values]
    assert shown == ["0 с", "45 с", "1 мин", "2 ч 5 мин", "1 ч", "1 дн. 1 ч", "3 дн.", "—"]


# --- Time ---------------------------------------------------------------------------------------------------------
def test_past_moments_are_told_in_relative_words(russian):
    with time_machine.travel(NOW, tick=False), timezone.override("Europe/Moscow"):
        steps = [timedelta(seconds=5), timedelta(minutes=5), timedelta(days=2), timedelta(days=60), timedelta(days=400)]
        shown = [words(ui.ago(NOW - step)) for step in steps]
    assert shown == ["только что", "5 минут назад", "2 дня назад", "9 янв.", "3 февр. 2025 г."]


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("ru", ["27 апреля", "27 апр. 2025 г.", "19:34", "27 апр. 2025 г.", "10 %"]),
        ("en", ["April 27", "Apr 27, 2025", "7:34 PM", "Apr 27, 2025", "10%"]),
    ],
)
def test_days_times_and_shares_have_the_form_of_the_readers_language(language, told):
    with (
        time_machine.travel(datetime(2026, 5, 2, tzinfo=UTC), tick=False),
        timezone.override("UTC"),
        translation.override(language),
    ):
        day = datetime(2026, 4, 27, 19, 34, tzinfo=UTC)
        said = [ui.long_day(day), ui.long_day(day.replace(year=2025)), ui.clock(day)]
        said += [ui.moment(day.replace(year=2025)), ui.whole_percent(10)]
    assert [" ".join(text.split()) for text in said] == told


def test_due_times_say_how_urgent_they_are_in_the_readers_zone(russian):
    steps = [
        timedelta(days=-3),
        timedelta(minutes=20),
        timedelta(minutes=59, seconds=40),
        timedelta(hours=3),
        timedelta(hours=14),
        timedelta(days=3),
    ]
    with time_machine.travel(NOW, tick=False), timezone.override("Asia/Vladivostok"):  # 19:00 there
        shown = [ui.due(NOW + step) for step in steps]
    assert [words(html) for html in shown] == [
        "просрочка 3 дня",
        "через 20 минут",
        "через 1 час",
        "сегодня, 22:00",
        "завтра, 09:00",
        "пт, 19:00",
    ]
    states = [re.search(r'data-state="(\w+)"', html)[1] for html in shown]
    assert states == ["overdue", "soon", "soon", "today", "later", "later"]


def test_no_moment_is_a_dash():
    assert (ui.ago(None), ui.due(None)) == ("—", "—")


# --- Marks --------------------------------------------------------------------------------------------------------
def test_bands_are_named_and_an_unknown_one_is_not_drawn(russian):
    assert [words(ui.band(b)) for b in ("hot", "warm", "cold", "", None)] == ["Горячий", "Тёплый", "Холодный", "", ""]


def test_a_score_carries_its_band_in_words(russian):
    assert 'aria-label="Баллы: 82, Горячий"' in ui.score(82, "hot")
    assert ui.score(None) == ""


@pytest.mark.parametrize(
    ("value", "top", "width"), [(45, 90, "50.0"), (200, 100, "100.0"), (-3, 9, "0.0"), (1, 0, "0.0")]
)
def test_a_bar_never_leaves_its_track(value, top, width):
    assert f'class="bar-fill" width="{width}"' in ui.bar(value, top)


def test_initials_are_two_letters_at_most():
    names = ["Пётр Ильич Иванов", "ООО «Ромашка»", "anna", "«»", "", None]
    assert [ui.initials(n) for n in names] == ["ПИ", "ОР", "A", "?", "?", "?"]


def test_names_cannot_bring_markup_with_them(rep):
    rep.first_name, rep.last_name = "<b>", '"onload='
    for html in (ui.avatar(rep), ui.person(rep)):
        assert "<b>" not in html
        assert '"onload' not in html


# --- Forms and fragments ------------------------------------------------------------------------------------------
class SampleForm(forms.Form):
    phone = forms.CharField(label="Phone", help_text="With the code")
    agreed = forms.BooleanField(label="Agreed")
    result = forms.ChoiceField(label="Result", choices=[("a", "A"), ("b", "B")], widget=forms.RadioSelect)
    token = forms.CharField(widget=forms.HiddenInput, required=False)


@pytest.mark.parametrize("source", ["{{ form|crispy }}", "{% crispy form %}"])
def test_every_field_names_its_help_and_its_error(source):
    html = Template("{% load crispy_forms_tags %}" + source).render(Context({"form": SampleForm({"phone": ""})}))
    assert re.search(r'<input[^>]*name="phone"[^>]*aria-invalid="true"[^>]*', html)
    described = re.search(r'<input[^>]*name="phone"[^>]*aria-describedby="([^"]+)"', html)[1].split()
    assert described == ["id_phone_helptext", "id_phone_error"]
    assert all(f'id="{name}"' in html for name in described)
    assert html.count('class="field') == 3
    assert "<legend>Result" in html
    assert html.count('name="token"') == 1


def test_a_pager_without_a_next_page_is_an_empty_place():
    assert render_to_string("core/_pager.html", {"rows": "rows"}).split("#}")[-1].strip() == (
        '<div class="pager" id="rows-pager"></div>'
    )


# --- Icons, colours, templates ------------------------------------------------------------------------------------
def test_every_icon_that_is_used_is_drawn():
    drawn = set(re.findall(r'<symbol id="([^"]+)"', (ROOT / "static/img/icons.svg").read_text()))
    templates = "\n".join(path.read_text() for path in (ROOT / "templates").rglob("*.html"))
    used = set(re.findall(r'{% icon "([^"]+)"', templates)) | set(
        re.findall(r'_empty\.html" with icon="([^"]+)"', templates)
    )
    assert (used | {entry.icon for entry in NAV} | set(ui.BAND_ICONS.values())) - drawn == set()


def _luminance(colour):
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one, other):
    low, high = sorted([_luminance(one), _luminance(other)])
    return (high + 0.05) / (low + 0.05)


TEXT_ON = {
    **{ink: ["bg", "nav-bg", "surface", "surface-2", "surface-3"] for ink in ("ink", "ink-2", "ink-3")},
    "accent": ["bg", "surface", "surface-2", "accent-soft"],
    "on-solid": ["solid", "solid-hover", "danger-solid", "danger-solid-hover"],
    **{f"{tone}-ink": [f"{tone}-soft", "surface"] for tone in ("hot", "warm", "cold", "success", "danger")},
    "danger-ink": ["danger-soft", "surface", "bg"],
}
SHAPES_ON = {"control": ["surface", "bg"], "focus": ["surface", "bg", "nav-bg"]} | {
    f"series-{n}": ["surface"] for n in range(1, 7)
}


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_keep_the_contrast_of_wcag_aa(theme):
    css = (ROOT / "static/css/tokens.css").read_text()
    tokens = {name: (a, b) for name, a, b in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", css)}
    tokens["on-solid"] = ("#ffffff", "#ffffff")
    weak = [
        (name, ground)
        for pairs, least in ((TEXT_ON, 4.5), (SHAPES_ON, 3.0))
        for name, grounds in pairs.items()
        for ground in grounds
        if _contrast(tokens[name][theme], tokens[ground][theme]) < least
    ]
    assert weak == []


@pytest.mark.parametrize("name", ["400", "403", "404", "500", "503"])
def test_error_pages_need_neither_a_request_nor_the_database(name, language):
    html = render_to_string(f"{name}.html")
    assert f'<html lang="{language}"' in html
    assert html.count("<h1") == 1


# --- Navigation ---------------------------------------------------------------------------------------------------
WORK = ["home", "leads:list", "leads:board", "deals:list", "deals:board", "leads:people", "leads:tasks"]


@pytest.mark.parametrize(
    ("who", "more"),
    [
        ("rep", ["routing:fairness", "analytics:index"]),
        ("head", ["routing:fairness", "analytics:index", "nurturing:index", "leads:receipts"]),
        ("marketer", ["analytics:index", "nurturing:index", "leads:receipts"]),
        ("admin", ["routing:fairness", "analytics:index", "nurturing:index", "leads:receipts", "admin:index"]),
    ],
)
def test_navigation_holds_what_the_role_may_open(who, more, request):
    asked = RequestFactory().get("/")
    asked.user = request.getfixturevalue(who)
    assert [item["url"] for item in navigation(asked)] == [reverse(name) for name in [*WORK, *more]]


@pytest.mark.parametrize(
    ("who", "title"), [("rep", "My day"), ("head", "Team"), ("marketer", "Overview"), ("admin", "Today")]
)
def test_the_first_page_is_called_what_it_is(who, title, request):
    asked = RequestFactory().get("/")
    asked.user = request.getfixturevalue(who)
    with translation.override("en"):
        assert str(navigation(asked)[0]["label"]) == title


def test_pages_without_an_entry_of_their_own_light_their_neighbours(admin, rep, client):
    lit = {}
    for user, name in ((admin, "leads:mailbox"), (admin, "leads:templates"), (rep, "leads:task_feed_settings")):
        client.force_login(user)
        nav = client.get(reverse(name)).content.decode().partition('<ul class="nav-list">')[2].partition("</ul>")[0]
        lit[name] = re.findall(r'href="([^"]+)" aria-current="page"', nav)
    sequences, tasks = [reverse("nurturing:index")], [reverse("leads:tasks")]
    assert lit == {"leads:mailbox": sequences, "leads:templates": sequences, "leads:task_feed_settings": tasks}


def test_the_icon_that_browsers_ask_for_is_there(client):
    assert client.get("/favicon.ico")["Location"].endswith(".svg")


def test_settings_have_no_door_of_their_own(rep, client):
    assert client.get("/admin/login/", {"next": "/admin/core/user/"})["Location"] == "/login/?next=/admin/core/user/"
    client.force_login(rep)
    page = client.get("/admin/", follow=True, headers={"Accept-Language": "en"})
    assert (page.status_code, "Settings are open to administrators only." in page.content.decode()) == (403, True)


def test_fragments_pay_nothing_for_the_shell(rep, django_assert_num_queries):
    asked = RequestFactory().get("/")
    asked.user = rep
    with django_assert_num_queries(0):
        assert shell(asked)["theme"] == "auto"


def test_a_page_lights_its_own_entry(rep, client):
    client.force_login(rep)
    for name in ("home", "leads:board"):
        try:
            html = client.get(reverse(name)).content.decode()
        except NoReverseMatch:
            pytest.fail(f"{name} is missing")
        nav = html[html.index('<ul class="nav-list">') : html.index("</ul>")]
        assert re.findall(r'href="([^"]+)" aria-current="page"', nav) == [reverse(name)]


@pytest.mark.django_db
def test_a_visit_to_what_only_takes_forms_is_told_so_in_the_users_language(client, rep):
    rep.language = "ru"
    rep.save()
    client.force_login(rep)
    page = client.get(reverse("core:logout"), headers={"accept": "text/html"})
    assert (page.status_code, page["Allow"]) == (405, "POST, OPTIONS")
    assert "Этот адрес только принимает" in page.content.decode()
    assert client.get(reverse("core:logout"), headers={"accept": "application/json"}).content == b""


def test_from_a_day_on_an_age_counts_calendar_days():
    ages = [timedelta(hours=20), timedelta(hours=23, minutes=45), timedelta(hours=36), timedelta(hours=47)]
    with time_machine.travel(NOW, tick=False), translation.override("en"), timezone.override("Asia/Vladivostok"):
        told = [(words(ui.ago(NOW - age)), words(ui.due(NOW - age))) for age in ages]
    assert told == [  # 19:00 there: the day before yesterday begins 43 hours ago
        ("20 hours ago", "20 hours overdue"), ("1 day ago", "1 day overdue"), ("1 day ago", "1 day overdue"),
        ("2 days ago", "2 days overdue"),
    ]  # fmt: skip
