"""The catalogue of translations: what is found, what is kept, what is complained of."""

from io import StringIO

import pytest
from babel.messages.pofile import read_po
from django.core.management import CommandError, call_command

from crm.boot import messages, translations

CODE = """
from django.utils.translation import gettext as _
from django.utils.translation import ngettext as several, pgettext_lazy
from other import gettext_lazy as not_ours

A = _("Hello %(name)s")
B = several("%(n)d lead", "%(n)d leads", 3)
C = pgettext_lazy("lead state", "open")
D = not_ours("never")
"""
PAGE = """{% load i18n %}
<h1>It's a "page" {</h1>
  {% translate "Title" %} {% translate "open" context "door" as x %}
      {% blocktranslate trimmed with name=lead.name %}
        Dear {{ name }},
        good day
      {% endblocktranslate %}
 {% blocktranslate count n=leads|length %}{{ n }} lead{% plural %}{{ n }} leads{% endblocktranslate %}
<p>{{ _("Inline") }}</p>
"""


@pytest.fixture
def tree(tmp_path, monkeypatch):
    (tmp_path / "leads").mkdir()
    (tmp_path / "leads" / "models.py").write_text(CODE)
    (tmp_path / "templates" / "leads").mkdir(parents=True)
    (tmp_path / "templates" / "leads" / "page.html").write_text(PAGE)
    (tmp_path / "templates" / "base.html").write_text("{% load i18n %}{% translate 'Shared' %}")
    monkeypatch.setattr(messages, "BASE_DIR", tmp_path)
    return tmp_path


def strings(app):
    return {(message.id, message.context) for message in messages.merge(app, "ru") if message.id}


def fill(tree, words):
    """Write translations into the catalogue of leads, as a translator would."""
    catalogue = messages.merge("leads", "ru")
    for message in catalogue:
        if message.id:
            message.string = words[message.id[0] if isinstance(message.id, tuple) else message.id]
    messages.write("leads", "ru", catalogue)
    return messages.inspect("leads", "ru", messages.merge("leads", "ru"))


RUSSIAN = {
    "Hello %(name)s": "Здравствуйте, %(name)s",
    "%(n)d lead": ("%(n)d лид", "%(n)d лида", "%(n)d лидов"),
    "%(n)s lead": ("%(n)s лид", "%(n)s лида", "%(n)s лидов"),
    "open": "открыт",
    "Title": "Заголовок",
    "Dear %(name)s, good day": "%(name)s, добрый день",
    "Inline": "В строке",
}


def test_strings_of_code_and_templates_are_found(tree):
    assert strings("leads") == {
        ("Hello %(name)s", None),
        (("%(n)d lead", "%(n)d leads"), None),
        ("open", "lead state"),
        ("Title", None),
        ("open", "door"),
        ("Dear %(name)s, good day", None),
        (("%(n)s lead", "%(n)s leads"), None),
        ("Inline", None),
    }
    assert strings("crm/core") == {("Shared", None)}
    assert strings("crm") == set()


def test_a_full_catalogue_is_content_and_stable(tree):
    report = fill(tree, RUSSIAN)
    assert (report.total, report.missing, report.wrong, report.stale) == (8, [], [], False)
    text = messages.catalogue_path("leads", "ru").read_text()
    assert "leads/models.py" not in text and "Date" not in text  # a moved line changes nothing
    assert 'msgctxt "lead state"\nmsgid "open"\nmsgstr "открыт"' in text


def test_a_gone_string_leaves_and_a_new_one_is_missing(tree):
    fill(tree, RUSSIAN)
    (tree / "leads" / "models.py").write_text(CODE.replace("Hello", "Hi"))
    merged = messages.merge("leads", "ru")
    report = messages.inspect("leads", "ru", merged)
    assert (report.missing, report.stale) == (["Hi %(name)s"], True)
    assert merged.get("Hello %(name)s") is None  # and not taken for a likeness of it
    assert merged.get("Title").string == "Заголовок"


@pytest.mark.parametrize(
    ("source", "translation", "complaint"),
    [
        ("Hello %(name)s", "Здравствуйте, %(имя)s", "placeholders differ"),
        ("Hello %(name)s", "Здравствуйте", "placeholders differ"),
        ("%(n)d lead", ("один лид", "%(n)d лида", "%(n)d лидов"), "placeholders differ"),  # 21 is this form too
        ("Title", "Заголовок\n", "line breaks"),
        ("Title", "100 {процентов}", "placeholders differ"),
    ],
)
def test_a_wrong_translation_is_named(tree, source, translation, complaint):
    report = fill(tree, {**RUSSIAN, source: translation})
    assert len(report.wrong) == 1
    assert complaint in report.wrong[0]


def test_one_empty_plural_form_is_missing(tree):
    report = fill(tree, {**RUSSIAN, "%(n)d lead": ("%(n)d лид", "", "%(n)d лидов")})
    assert report.missing == ["%(n)d lead"]


def test_a_fuzzy_message_is_named(tree):
    fill(tree, RUSSIAN)
    path = messages.catalogue_path("leads", "ru")
    path.write_text(path.read_text().replace('msgid "Title"', '#, fuzzy\nmsgid "Title"'))
    assert messages.inspect("leads", "ru", messages.merge("leads", "ru")).wrong == ["fuzzy: 'Title'"]


def test_two_apps_may_not_say_one_string_differently(tree):
    (tree / "deals").mkdir()
    (tree / "deals" / "models.py").write_text("from django.utils.translation import gettext as _\nA = _('Title')\n")
    fill(tree, RUSSIAN)
    other = messages.merge("deals", "ru")
    other.get("Title").string = "Название"
    assert messages.conflicts({"leads": messages.merge("leads", "ru"), "deals": other}) == [
        "'Title': {'Заголовок': ['leads'], 'Название': ['deals']}"
    ]


def test_the_command_checks_without_writing(tree):
    with pytest.raises(CommandError, match="not in order"):
        call_command("messages", "leads", "--check", stdout=StringIO())
    assert not messages.catalogue_path("leads", "ru").exists()
    said = StringIO()
    call_command("messages", "leads", stdout=said)
    assert "leads: 8 messages, 8 missing" in said.getvalue()
    with messages.catalogue_path("leads", "ru").open("rb") as source:
        assert len(list(read_po(source))) == 9  # and the header


def test_an_unknown_app_is_refused():
    with pytest.raises(CommandError, match="No such app: nowhere"):
        call_command("messages", "nowhere")


def test_compiled_when_the_text_is_newer(tmp_path, monkeypatch):
    po = tmp_path / "leads" / "locale" / "ru" / "LC_MESSAGES" / "django.po"
    po.parent.mkdir(parents=True)
    po.write_text('msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\nmsgid "yes"\nmsgstr "да"\n')
    monkeypatch.setattr(translations, "BASE_DIR", tmp_path)
    assert translations.compile_all() == 1
    assert translations.compile_all() == 0
    assert po.with_suffix(".mo").stat().st_size > 0


def test_every_string_of_the_product_has_a_russian_translation():
    said = StringIO()
    try:
        call_command("messages", "--check", stdout=said)
    except CommandError:
        pytest.fail(said.getvalue(), pytrace=False)
