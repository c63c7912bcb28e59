"""The questions of an import: which file, which column means what."""

from datetime import date

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from leads.capture import PSEUDO
from leads.capture.names import MARKS
from leads.importing import mapping as mappings
from leads.importing.errors import MappingError
from leads.models import Source

MAX_FILE = 300 * 1024 * 1024  # bytes
ENCODINGS = [
    ("", gettext_lazy("found out")), ("utf-8", "UTF-8"), ("cp1251", "Windows-1251"), ("utf-16", "UTF-16"),
    ("koi8_r", "KOI8-R"), ("cp866", "CP866 (DOS)"), ("cp1252", "Windows-1252"), ("mac_cyrillic", "Mac Cyrillic"),
]  # fmt: skip
DELIMITERS = [
    ("", gettext_lazy("found out")), (",", pgettext_lazy("delimiter", "comma")),
    (";", pgettext_lazy("delimiter", "semicolon")), ("tab", pgettext_lazy("delimiter", "tab")), ("|", "|"),
]  # fmt: skip
DATES = {  # how a date may be written → the same day, so written
    form: date(2026, 12, 31).strftime(form.replace("%H:%M:%S", "23:59:00").replace("%H:%M", "23:59"))
    for form in (
        "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S", "%d.%m.%y", "%d/%m/%Y", "%d/%m/%Y %H:%M", "%m/%d/%Y",
        "%m/%d/%Y %H:%M", "%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S",
    )
}  # fmt: skip
OWN, AFTER, OUTCOME, DATE = "+own", "+after", "+outcome", "+date"


def _choices():
    marks = [(name, name) for name in sorted(MARKS)]
    fields = [(name, mappings.LABELS[name]) for name in mappings.LABELS]
    own = [
        (OWN, gettext_lazy("Own field of that name")), (DATE, gettext_lazy("Date of the enquiry")),
        (OUTCOME, gettext_lazy("Outcome: won or lost")), (AFTER, gettext_lazy("Known only after contact")),
    ]  # fmt: skip
    groups = [(_("Lead"), fields), (_("Marketing marks"), marks), (_("Other"), own)]
    return [("", gettext_lazy("— leave out —")), *groups]


class UploadForm(forms.Form):
    file = forms.FileField(label=gettext_lazy("File"), help_text=gettext_lazy("CSV, TSV, XLSX or vCard, up to 300 MB"))
    source = forms.ModelChoiceField(
        Source.objects.none(), label=gettext_lazy("Source"), required=False, empty_label=gettext_lazy("Uploaded list"),
        help_text=gettext_lazy("Reports count these leads under this source"),
    )  # fmt: skip

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["source"].queryset = Source.objects.filter(is_active=True).exclude(key__in=PSEUDO)

    def clean_file(self):
        file = self.cleaned_data["file"]
        if file.size > MAX_FILE:
            raise ValidationError(_("The file is larger than 300 MB; cut it into parts."))
        return file


class ReadingForm(forms.Form):
    """How the file is to be read, where the guess was wrong."""

    encoding = forms.ChoiceField(label=gettext_lazy("Encoding"), choices=ENCODINGS, required=False)
    delimiter = forms.ChoiceField(label=gettext_lazy("Delimiter"), choices=DELIMITERS, required=False)
    header = forms.BooleanField(
        label=gettext_lazy("The first line names the columns"), required=False,
        widget=forms.CheckboxInput(attrs={"class": "switch"}),
    )  # fmt: skip

    def said(self):
        data = self.cleaned_data
        delimiter = "\t" if data["delimiter"] == "tab" else data["delimiter"]
        return {"encoding": data["encoding"] or None, "delimiter": delimiter or None, "header": data["header"]}


class StartForm(forms.Form):
    """What a list may set going; by itself it sets nothing."""

    sets_going = forms.BooleanField(
        label=gettext_lazy("Greet the new people, enrol them in sequences and tell their owners"), required=False,
        help_text=gettext_lazy("Otherwise nobody is written to. Only for people who have agreed to be written to."),
        widget=forms.CheckboxInput(attrs={"class": "switch"}),
    )  # fmt: skip


class MappingForm(forms.Form):
    """A field for each column of the file; ``document`` is the mapping they make."""

    missing = forms.CharField(
        label=gettext_lazy("Texts that mean nothing"), required=False, max_length=500,
        help_text=gettext_lazy("Comma-separated: Select, n/a, —"),
    )  # fmt: skip
    date_format = forms.ChoiceField(label=gettext_lazy("Format of the date"), required=False)
    won = forms.CharField(label=gettext_lazy("Means won"), required=False, max_length=300)
    lost = forms.CharField(label=gettext_lazy("Means lost"), required=False, max_length=300)

    def __init__(self, data=None, *, job):
        self.job, self.columns = job, job.options.get("columns", [])
        super().__init__(data, initial=self._initial(job.mapping))
        stated = (data or {}).get("date_format") or self.initial["date_format"]
        others = [(stated, stated)] if stated not in DATES and 0 < len(stated) <= 40 else []
        self.fields["date_format"].choices = [("", _("found out")), *DATES.items(), *others]
        choices = _choices()
        for place, column in enumerate(self.columns):
            self.fields[f"column{place}"] = forms.ChoiceField(
                label=column, choices=choices, required=False, initial=self.initial.get(f"column{place}", "")
            )

    def _initial(self, stated):
        """The form's values of a mapping document."""
        outcome, date = stated.get("outcome") or {}, stated.get("date") or {}
        date = date if isinstance(date, dict) else {"column": date}
        found = {"missing": _joined(stated.get("missing")), "date_format": date.get("format", "")}
        found |= {"won": _joined(outcome.get("won")), "lost": _joined(outcome.get("lost"))}
        special = {outcome.get("column"): OUTCOME, date.get("column"): DATE, stated.get("external_id"): "external_id"}
        special |= dict.fromkeys(stated.get("known_after_contact") or [], AFTER)
        for place, column in enumerate(self.columns):
            spec = stated.get("columns", {}).get(column, "")
            field = str(spec.get("field", "") if isinstance(spec, dict) else spec)
            bare = mappings.ALSO.get(field, field)
            found[f"column{place}"] = special.get(column) or (OWN if field.startswith("custom.") else bare)
        return found

    def rows(self):
        """(bound field, samples of its column) in the file's order."""
        preview = self.job.options.get("preview", [])
        for place in range(len(self.columns)):
            samples = [row[place] for row in preview if place < len(row) and row[place]]
            yield self[f"column{place}"], samples

    def clean(self):
        data = super().clean()
        try:
            document = self._document(data)
            mappings.read(document, self.columns, kind=self.job.options.get("kind", "text"))
        except MappingError as error:
            raise ValidationError(error.messages) from error
        self.document = document
        return data

    def _document(self, data):
        chosen = {column: data.get(f"column{place}", "") for place, column in enumerate(self.columns)}
        for mark, label in ((OUTCOME, _("Outcome: won or lost")), (DATE, _("Date of the enquiry"))):
            if list(chosen.values()).count(mark) > 1:
                raise MappingError([_("Choose “%s” for one column only.") % label])
        column_of = {mark: column for column, mark in chosen.items()}
        fields = {column: field for column, field in chosen.items() if field and field not in {AFTER, OUTCOME, DATE}}
        plain = {column: f"custom.{column[:60]}" if field == OWN else field for column, field in fields.items()}
        document = {"columns": plain, "known_after_contact": [c for c, f in chosen.items() if f == AFTER]}
        if missing := _words(data.get("missing")):
            document["missing"] = missing
        if OUTCOME in column_of:
            won, lost = _words(data.get("won")), _words(data.get("lost"))
            if not won and not lost:
                raise MappingError([_("Say which texts of the outcome mean won and which mean lost.")])
            document["outcome"] = {"column": column_of[OUTCOME], "won": won, "lost": lost}
        if DATE in column_of:
            document["date"] = {"column": column_of[DATE], "format": (data.get("date_format") or "").strip()}
        return document


def _joined(values):
    return ", ".join(map(str, [values] if isinstance(values, str) else values or []))


def _words(text):
    return [word.strip() for word in (text or "").split(",") if word.strip()]
