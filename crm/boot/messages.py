"""Finds the strings to translate, merges them into each app's catalogue, and says what is wrong with a catalogue."""

import ast
import io
import re
from collections import Counter
from dataclasses import dataclass, field

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.pofile import PoFileError, read_po, write_po
from django.core.management.base import CommandError
from django.utils.translation.template import templatize

from crm.boot.translations import BASE_DIR, LOCALES

LANGUAGES = ("ru",)  # the source strings are English
KEYWORDS = {
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "_": None,
    "ngettext": (1, 2),
    "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
    "npgettext_lazy": ((1, "c"), 2, 3),
}
PLACEHOLDER = re.compile(r"%(?:\((\w+)\))?[-#0 +]*\d*(?:\.\d+)?([sdrfxi%])|\{(\w*)(?:![rsa])?(?::[^{}]*)?\}")
TEMPLATE_SUFFIXES = {".html", ".txt", ".xml"}


def sources(app):
    """The files whose strings live in the catalogue of ``app``."""
    root = BASE_DIR / app
    code = root.rglob("*.py")
    if app == "crm":  # its core has a catalogue of its own
        code = (path for path in code if path.relative_to(root).parts[0] != "core")
    return [*sorted(code), *sorted(_templates(app))]


def _templates(app):
    yield from (path for path in (BASE_DIR / app).rglob("templates/**/*") if path.suffix in TEMPLATE_SUFFIXES)
    if app == "crm":
        return
    for path in (BASE_DIR / "templates").rglob("*"):
        owner = path.relative_to(BASE_DIR / "templates").parts[0]
        if path.suffix in TEMPLATE_SUFFIXES and (owner if owner in LOCALES and owner != "crm" else "crm/core") == app:
            yield path


def found_in(path):
    """``(id or (singular, plural), context)`` for each string of a file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        keywords = _keywords(text)
    else:
        keywords = KEYWORDS
        text = "\n".join(line.lstrip() for line in templatize(text, origin=str(path)).splitlines())
    for _line, message, _comments, context in extract("python", io.BytesIO(text.encode()), keywords=keywords):
        if message and (message[0] if isinstance(message, tuple) else message):
            yield message, context


def _keywords(text):
    """The known names and whatever else this file calls them."""
    names = dict(KEYWORDS)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation":
            renamed = (alias for alias in node.names if alias.asname and alias.name in KEYWORDS)
            names |= {alias.asname: KEYWORDS[alias.name] for alias in renamed}
    return names


def catalogue_path(app, language):
    return BASE_DIR / app / "locale" / language / "LC_MESSAGES" / "django.po"


def read(app, language):
    path = catalogue_path(app, language)
    if not path.exists():
        return Catalog(locale=language)
    try:
        with path.open("rb") as source:
            return read_po(source, locale=language, ignore_obsolete=True, abort_invalid=True)
    except PoFileError as error:
        raise CommandError(f"{path.relative_to(BASE_DIR)} is not a valid catalogue: {error}") from error


def merge(app, language):
    """The catalogue as it should be: today's strings with the translations that there are."""
    old, new = read(app, language), Catalog(locale=language)
    strings = {(message, context): path for path in sources(app) for message, context in found_in(path)}
    plurals = {(ids[0], context) for ids, context in strings if isinstance(ids, tuple)}
    for ids, context in strings:
        if isinstance(ids, str) and (ids, context) in plurals:
            continue  # the plural entry answers for the lone singular too
        known = old.get(ids[0] if isinstance(ids, tuple) else ids, context)
        fits = known is not None and (known.id == ids if isinstance(ids, tuple) else isinstance(known.string, str))
        new.add(ids, known.string if fits else None, flags=known.flags & {"fuzzy"} if fits else (), context=context)
    return new


def render(catalogue):
    """Without dates and line numbers: a changed line of code leaves the file as it is."""
    body = io.BytesIO()
    write_po(body, catalogue, no_location=True, omit_header=True, sort_output=True, ignore_obsolete=True, width=110)
    head = [
        'msgid ""',
        'msgstr ""',
        '"Content-Type: text/plain; charset=UTF-8\\n"',
        '"Content-Transfer-Encoding: 8bit\\n"',
        f'"Language: {catalogue.locale}\\n"',
        f'"Plural-Forms: {catalogue.plural_forms}\\n"',
    ]
    return "\n".join(head) + "\n\n" + body.getvalue().decode().strip() + "\n"


def placeholders(text):
    found = PLACEHOLDER.finditer(text)
    return Counter(match[1] or match[3] or match[0] for match in found if match[0] != "%%")


@dataclass
class Report:
    """What is to be done about one catalogue."""

    app: str
    total: int = 0
    missing: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    stale: bool = False

    @property
    def clean(self):
        return not (self.missing or self.wrong or self.stale)


def _forms(message):
    return message.string if isinstance(message.string, tuple | list) else (message.string,)


def _faults(message: Message):
    source = message.id[-1] if isinstance(message.id, tuple | list) else message.id
    wanted = placeholders(source)
    for form in _forms(message):
        if set(placeholders(form)) != set(wanted):
            yield f"placeholders differ: {source!r} → {form!r}"
        if form.startswith("\n") != source.startswith("\n") or form.endswith("\n") != source.endswith("\n"):
            yield f"line breaks at the ends differ: {source!r} → {form!r}"


def inspect(app, language, catalogue):
    path = catalogue_path(app, language)
    report = Report(app)
    for message in catalogue:
        if not message.id:
            continue
        report.total += 1
        name = message.id[0] if isinstance(message.id, tuple | list) else message.id
        if not all(_forms(message)):
            report.missing.append(f"[{message.context}] {name}" if message.context else name)
        elif message.fuzzy:
            report.wrong.append(f"fuzzy: {name!r}")
        else:
            report.wrong += _faults(message)
    rendered = render(catalogue) if report.total else None
    report.stale = rendered != (path.read_text(encoding="utf-8") if path.exists() else None)
    return report


def write(app, language, catalogue):
    path = catalogue_path(app, language)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".po.new")
    fresh.write_text(render(catalogue), encoding="utf-8")
    fresh.replace(path)


def conflicts(catalogues):
    """Strings that two apps translate differently: at run time one of the two would be shown everywhere."""
    said = {}
    for app, catalogue in catalogues.items():
        for message in catalogue:
            if message.id and all(_forms(message)):
                name = message.id[0] if isinstance(message.id, tuple | list) else message.id
                said.setdefault((name, message.context), {}).setdefault(_forms(message)[0], []).append(app)
    return [f"{name!r}: {words}" for (name, _context), words in sorted(said.items(), key=str) if len(words) > 1]
