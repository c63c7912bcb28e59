"""Which column means what: the mapping of an import, checked against the file before anything is written."""

import re
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.capture.names import PROTECTED, TARGETS, fold, meaning
from leads.importing import vcard
from leads.importing.errors import MappingError

ALSO = {  # spellings of a field, besides those of capture
    "phone2": "phone", "phone3": "phone", "email2": "email", "email3": "email", "company": "company_name",
    "comment": "need", "note": "need", "campaign": "utm_campaign", "title": "job_title",
}  # fmt: skip
OWN = {"origin", "authority", "decision_date"}
NOT_FROM_LISTS = {"consent", "visitor", "secret"}  # a list agrees to nothing in anybody's name
FIELDS = sorted({*TARGETS, *OWN} - NOT_FROM_LISTS)
LABELS = {
    "name": gettext_lazy("Full name"), "first_name": gettext_lazy("First name"), "last_name": gettext_lazy("Last name"),
    "middle_name": gettext_lazy("Middle name"), "phone": gettext_lazy("Phone"), "email": gettext_lazy("Email"),
    "company_name": gettext_lazy("Company"), "job_title": gettext_lazy("Job title"), "city": gettext_lazy("City"),
    "region": gettext_lazy("Region"), "country": gettext_lazy("Country"), "language": gettext_lazy("Language"),
    "industry": gettext_lazy("Industry"), "company_size": gettext_lazy("Employees"),
    "product": gettext_lazy("Product"), "need": gettext_lazy("Need"), "budget": gettext_lazy("Budget"),
    "authority": gettext_lazy("Who decides"), "decision_date": gettext_lazy("Decision date"),
    "tags": gettext_lazy("Tags"), "origin": gettext_lazy("Lead source"), "external_id": gettext_lazy("External id"),
    "telegram": "Telegram", "whatsapp": "WhatsApp", "vk": "VK", "referrer": gettext_lazy("Referrer"),
    "landing": gettext_lazy("Landing page"),
}  # fmt: skip
KEYS = {
    "columns", "external_id", "outcome", "known_after_contact", "date", "missing", "encoding", "delimiter", "header",
}  # fmt: skip
CUSTOM = re.compile(r"custom\.(.{1,60})")


@dataclass(frozen=True)
class Rule:
    """One column: where it stands, what it means, which texts mean nothing."""

    place: int
    column: str
    field: str
    missing: frozenset = frozenset()
    format: str = ""


@dataclass(frozen=True)
class Outcome:
    place: int
    won: frozenset
    lost: frozenset
    date: Rule | None = None
    amount: Rule | None = None


@dataclass(frozen=True)
class Mapping:
    rules: tuple
    after: tuple = ()  # Rules of what became known only after contact
    external: Rule | None = None
    outcome: Outcome | None = None
    date: Rule | None = None
    width: int = 0

    @property
    def says_origin(self):
        return any(rule.field in {"origin", "utm_source"} for rule in self.rules)


def read(stated, columns, *, kind="text"):
    """The Mapping that a document states for these columns; raises MappingError with everything that is wrong."""
    if not isinstance(stated, dict):
        raise MappingError([_("The mapping must be an object.")])
    reader = _Reader(stated, columns, kind)
    mapping = reader.mapping()
    if reader.problems:
        raise MappingError(dict.fromkeys(reader.problems))
    return mapping


class _Reader:
    def __init__(self, stated, columns, kind):
        self.stated, self.kind, self.problems = stated, kind, []
        self.places = {name: place for place, name in enumerate(columns)}
        self.always = self._texts(stated.get("missing"), "missing")

    def mapping(self):
        for key in sorted(set(self.stated) - KEYS):
            self.problems.append(_("The mapping knows no “%(key)s”; there are: %(keys)s") % {
                "key": key, "keys": ", ".join(sorted(KEYS))})  # fmt: skip
        later = self._list("known_after_contact")
        columns = self._columns()
        rules = [rule for name, spec in columns.items() if (rule := self._rule(name, spec, later))]
        after = [self._after(name, columns.get(name)) for name in later]
        external = self._plain("external_id", "external_id")
        outcome = self._outcome()
        if not rules and not external and not self.problems:
            self.problems.append(_("The mapping names no column."))
        return Mapping(
            tuple(rules), tuple(filter(None, after)), external, outcome, self._plain("date", "date"), len(self.places)
        )

    def _columns(self):
        columns = self.stated.get("columns") or {}
        if not isinstance(columns, dict):
            self.problems.append(_("“columns” must be an object: the file's column and our field."))
            return {}
        if not columns and self.kind == "vcard":
            return vcard.MEANING
        return columns

    def _place(self, name):
        if not isinstance(name, str) or name not in self.places:
            self.problems.append(
                _("The file has no column “%(name)s”; it has: %(names)s")
                % {"name": name, "names": ", ".join(list(self.places)[:60])}
            )
            return None
        return self.places[name]

    def _rule(self, name, spec, later):
        spec = spec if isinstance(spec, dict) else {"field": spec}
        stated = spec.get("field")
        if stated in (None, "", "-") or name in later:
            return None
        place, target = self._place(name), self._field(name, stated)
        if extra := set(spec) - {"field", "missing", "format"}:
            words = {"name": name, "extra": ", ".join(sorted(extra))}
            self.problems.append(_("“%(name)s”: unknown setting %(extra)s.") % words)
        if place is None or target is None:
            return None
        return Rule(place, name, target, self._missing(spec), str(spec.get("format") or ""))

    def _field(self, name, stated):
        text = str(stated).strip()
        bare = fold(text)
        target = ALSO.get(bare, bare)
        if CUSTOM.fullmatch(text) and fold(text[7:]) != "after_contact":
            return text
        if target in FIELDS:
            return target
        if bare in PROTECTED:
            self.problems.append(
                _("“%(name)s”: the field “%(field)s” is kept by the system and cannot be imported.")
                % {"name": name, "field": text}
            )
        else:
            self.problems.append(
                _("“%(name)s”: there is no field “%(field)s”. There are: %(fields)s, custom.<name>")
                % {"name": name, "field": text, "fields": ", ".join(FIELDS)}
            )
        return None

    def _missing(self, spec):
        return self.always | self._texts(spec.get("missing"), "missing")

    def _texts(self, value, key):
        if value is None:
            return frozenset()
        if isinstance(value, str | int | float):
            value = [value]
        if not isinstance(value, list):
            self.problems.append(_("“%s” must be a list of texts.") % key)
            return frozenset()
        return frozenset(str(item).strip() for item in value)

    def _list(self, key):
        value = self.stated.get(key) or []
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list):
            self.problems.append(_("“%s” must be a list of texts.") % key)
            return []
        return value

    def _after(self, name, spec):
        place = self._place(name)
        missing = self._missing(spec) if isinstance(spec, dict) else self.always
        return None if place is None else Rule(place, name, "after_contact", missing)

    def _plain(self, key, target, stated=None):
        """A Rule of ``"<column>"`` or ``{"column": …, "format": …}``; None where nothing is said."""
        spec = self.stated.get(key) if stated is None else stated
        if not spec:
            return None
        spec = spec if isinstance(spec, dict) else {"column": spec}
        place = self._place(spec.get("column"))
        if place is None:
            return None
        return Rule(place, spec["column"], target, self._missing(spec), str(spec.get("format") or ""))

    def _outcome(self):
        spec = self.stated.get("outcome")
        if not spec:
            return None
        if not isinstance(spec, dict):
            self.problems.append(_("“outcome” must be an object with column, won and lost."))
            return None
        place = self._place(spec.get("column"))
        won, lost = self._texts(spec.get("won"), "won"), self._texts(spec.get("lost"), "lost")
        if won & lost:
            self.problems.append(_("An outcome cannot be won and lost at once: %s") % ", ".join(sorted(won & lost)))
        date = self._plain("outcome.date", "closed_at", spec.get("date") or {})
        amount = self._plain("outcome.amount", "amount", spec.get("amount") or {})
        return None if place is None else Outcome(place, won, lost, date, amount)


def suggest(columns, *, kind="text"):
    """{column: field} that the names of the columns speak for; what says nothing is left out."""
    if kind == "vcard":
        return dict(vcard.MEANING)
    found = {}
    for column in columns:
        bare = re.sub(r"[\W_]+\d*$", "", fold(re.sub(r"[.()]", " ", column)))
        target = COMMON.get(fold(column)) or meaning(column) or COMMON.get(bare) or meaning(bare)
        if target in FIELDS:
            found[column] = target
    return found


COMMON = {  # columns of what people export from
    "given_name": "first_name", "family_name": "last_name", "additional_name": "middle_name",
    "display_name": "name", "e_mail_1_value": "email", "e_mail_2_value": "email", "phone_1_value": "phone",
    "phone_2_value": "phone", "primary_email": "email", "secondary_email": "email", "mobile_number": "phone",
    "work_phone": "phone", "home_phone": "phone", "e_mail_address": "email", "mobile_phone": "phone",
    "business_phone": "phone", "lead_source": "origin", "источник": "origin", "откуда": "origin", "source": "origin",
    "organization_1_name": "company_name", "organization_1_title": "job_title", "home_city": "city",
    "work_city": "city", "notes": "need", "фио_клиента": "name", "контактное_лицо": "name", "клиент": "name",
    "контакт": "name", "мобильный_телефон": "phone", "рабочий_телефон": "phone", "эл_адрес": "email",
    "примечание": "need", "примечания": "need", "заметка": "need", "заметки": "need", "комментарии": "need",
    "телефон_мобильный": "phone", "телефон_рабочий": "phone", "адрес_электронной_почты": "email", "наименование": "name",
    "название_компании": "company_name", "ответственное_лицо": "name", "регион": "region", "канал": "origin",
    "кампания": "utm_campaign", "prospect_id": "external_id", "бюджет": "budget", "сумма": "budget",
}  # fmt: skip
