"""Forms of a source's own pages: the questions of its form, what a provider's fields mean, who came, codes."""

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from leads import search
from leads.capture.form_items import FIELDS, MAX_ITEMS, MAX_OPTIONS, TYPES
from leads.capture.mapping import suggestion
from leads.capture.names import MARKS, TARGETS
from leads.capture.reading import FORMATS
from leads.capture.several import ONE
from leads.models import Person, ReferralCode
from leads.services import people

OURS = {
    "name": _("full name"), "first_name": pgettext_lazy("enquiry", "first name"), "last_name": _("last name"), "middle_name": _("patronymic"),
    "phone": _("phone"), "email": _("email"), "telegram": "Telegram", "whatsapp": "WhatsApp", "vk": "VK",
    "company_name": _("company"), "job_title": _("job title"), "city": _("city"), "region": _("region"),
    "country": _("country"), "language": _("language"), "industry": _("industry"), "company_size": _("company size"),
    "product": _("product"), "need": _("comment"), "budget": _("budget"), "tags": _("tags"),
    "consent": _("consent"), "external_id": _("their number of the client"), "own_id": _("their number of the enquiry"),
    "visitor": _("visitor of the site"), "referrer": _("referring page"), "landing": _("page of the enquiry"),
}  # fmt: skip
CUSTOM = "custom"
CONSTANTS = 3  # rows
FOUND = 10  # people whom a search offers


# --- The questions of a form --------------------------------------------------------------------------------------------


class QuestionForm(forms.Form):
    field = forms.ChoiceField(label=_("What it is"), choices=list(FIELDS.items()), required=False)
    label = forms.CharField(label=_("Question"), max_length=200, required=False)
    type = forms.ChoiceField(label=_("Kind of answer"), choices=list(TYPES.items()), required=False)
    required = forms.BooleanField(label=_("Required"), required=False)
    options = forms.CharField(
        label=_("Options, one a line"), required=False, widget=forms.Textarea({"rows": 2}), max_length=5000
    )

    def ordered(self):
        """The fields as the columns of the page stand."""
        self.fields["DELETE"].label = _("Remove")
        return [self[name] for name in ("ORDER", "field", "label", "type", "options", "required", "DELETE")]

    def clean_options(self):
        return [line.strip()[:200] for line in self.cleaned_data["options"].splitlines() if line.strip()][:MAX_OPTIONS]

    def clean(self):
        data = super().clean()
        if data.get("type") in {"choice", "choices"} and data.get("label") and not data.get("options"):
            self.add_error("options", _("Write the options, one a line."))
        return data


QuestionForms = forms.formset_factory(
    QuestionForm, extra=3, can_order=True, can_delete=True, max_num=MAX_ITEMS, validate_max=True
)


class TextsForm(forms.Form):
    headline = forms.CharField(
        label=_("Heading of the page"),
        max_length=200,
        required=False,
        help_text=_("Empty: what we usually write there."),
    )
    button = forms.CharField(
        label=_("Button"), max_length=60, required=False, help_text=_("Empty: what we usually write there.")
    )
    thanks = forms.CharField(
        label=_("Thank-you text"),
        max_length=2000,
        required=False,
        widget=forms.Textarea({"rows": 2}),
        help_text=_("Empty: what we usually write there."),
    )


def questions_in(formset):
    """What the settings keep of a valid formset, in the order that its numbers say."""
    rows = [row.cleaned_data for row in formset.forms if row.cleaned_data and not row.cleaned_data.get("DELETE")]
    rows = [row for row in rows if row.get("field") or row.get("label")]
    rows.sort(key=lambda row: row.get("ORDER") or float("inf"))  # one without a number is the last
    names = ("field", "label", "type", "required", "options")
    return [{name: row[name] for name in names if row.get(name)} for row in rows]


# --- What a provider's fields mean ----------------------------------------------------------------------------------------


def _targets():
    ours = [(name, label) for name, label in OURS.items() if name in TARGETS]
    marks = [(name, name) for name in sorted(MARKS)]
    return [
        ("", _("as we know it by name")), ("-", _("leave out")), (CUSTOM, _("a field of its own:")),
        (_("The card"), ours), (_("Advertising"), marks),
    ]  # fmt: skip


class MappingForm(forms.Form):
    """A row for each path of a receipt: what it is, and how it is written; values that stand for all enquiries."""

    def __init__(self, data=None, *, fields, settings, lists=()):
        super().__init__(data)
        if lists:
            self._each(lists, str(settings.get("each") or ""))
        self.paths = list(fields.items())[:200]
        stated, formats = settings.get("mapping") or {}, settings.get("formats") or {}
        for number, (path, _values) in enumerate(self.paths):
            self._row(number, path, str(stated.get(path, "")), formats.get(path, ""))
        constants = [*(settings.get("constants") or {}).items(), *[("", "")] * CONSTANTS][:CONSTANTS]
        for number, (name, value) in enumerate(constants):
            self.fields[f"k{number}"] = forms.ChoiceField(
                choices=[("", "—"), *_targets()[3:]], required=False, initial=name, label=_("Field")
            )
            self.fields[f"v{number}"] = forms.CharField(
                required=False, initial=value, max_length=500, label=_("Value"),
                widget=forms.TextInput({"placeholder": _("Value")}),
            )  # fmt: skip

    def _each(self, lists, stated):
        choices = [("", _("known by the names")), (ONE, _("no, always one")), *((path, path) for path in lists)]
        choices += [(stated, stated)] if stated not in dict(choices) else []
        self.fields["each"] = forms.ChoiceField(
            choices=choices,
            required=False,
            initial=stated,
            label=_("List of enquiries, where one delivery brings several"),
        )

    def _row(self, number, path, target, form):
        own = target.removeprefix("custom.") if target.startswith("custom.") else ""
        self.fields[f"t{number}"] = forms.ChoiceField(
            choices=_targets(), required=False, initial=CUSTOM if own else target, label=path
        )
        self.fields[f"c{number}"] = forms.CharField(
            required=False, max_length=60, initial=own, label=_("Name of the field of its own"),
            widget=forms.TextInput({"placeholder": _("name of the field of its own")}),
        )  # fmt: skip
        self.fields[f"f{number}"] = forms.ChoiceField(
            choices=list(FORMATS.items()), required=False, initial=form, label=_("How it is written")
        )

    def rows(self):
        """(path, example, what we take it for, select, own name, format) for the page."""
        return [
            (path, ", ".join(values)[:120], OURS.get(suggestion(path), suggestion(path)),
             self[f"t{number}"], self[f"c{number}"], self[f"f{number}"])
            for number, (path, values) in enumerate(self.paths)
        ]  # fmt: skip

    def constants(self):
        return [(self[f"k{number}"], self[f"v{number}"]) for number in range(CONSTANTS)]

    def stated(self, settings):
        """The settings with what the form says; paths that this receipt does not have are kept as they were."""
        data, shown = self.cleaned_data, {path for path, _values in self.paths}
        mapping = {path: name for path, name in (settings.get("mapping") or {}).items() if path not in shown}
        formats = {path: name for path, name in (settings.get("formats") or {}).items() if path not in shown}
        for number, (path, _values) in enumerate(self.paths):
            target = data[f"t{number}"]
            own = data[f"c{number}"].strip() or path.rpartition(".")[2]
            if target:
                mapping[path] = f"custom.{own[:60]}" if target == CUSTOM else target
            if data[f"f{number}"]:
                formats[path] = data[f"f{number}"]
        rows = range(CONSTANTS)
        constants = {data[f"k{n}"]: data[f"v{n}"] for n in rows if data[f"k{n}"] and data[f"v{n}"].strip()}
        stated = {"mapping": mapping, "formats": formats, "constants": constants}
        stated |= {"each": data["each"]} if "each" in data else {}
        kept = {name: value for name, value in settings.items() if name not in stated}
        return kept | {name: value for name, value in stated.items() if value}


class SampleForm(forms.Form):
    sample = forms.CharField(
        label=_("An example of a body"), max_length=100_000, widget=forms.Textarea({"rows": 6, "class": "mono"}),
        help_text=_("Where nothing has come yet: paste what the provider's documentation shows."),
    )  # fmt: skip


# --- Who came -------------------------------------------------------------------------------------------------------------


class AttendanceForm(forms.Form):
    people = forms.CharField(
        label=_("Who came"), required=False, max_length=200_000, widget=forms.Textarea({"rows": 6}),
        help_text=_("One per line: an email or a phone, a name beside it if you like."),
    )  # fmt: skip
    file = forms.FileField(label=_("or a list: CSV, XLSX"), required=False)

    def clean(self):
        data = super().clean()
        if not data.get("people") and not data.get("file"):
            raise ValidationError(_("Paste the people, or choose a file."))
        return data


# --- Codes ------------------------------------------------------------------------------------------------------------------


class ClientSearch(forms.Widget):
    """A client by name, phone or e-mail; whom the search finds stands below, one to be picked.

    The value is (key of whom was picked, what was typed). ``user`` and ``url`` are the form's to set.
    """

    template_name = "leads/widgets/client_search.html"
    user, url = None, ""

    def value_from_datadict(self, data, files, name):
        picked = data.get(name, "")
        return int(picked) if picked.isdecimal() and len(picked) < 19 else None, search.tidy(data.get(f"{name}_q"))

    def get_context(self, name, value, attrs):
        picked, text = value or (None, "")
        found = list(people.matching(self.user, text)[:FOUND]) if text else []
        return super().get_context(name, None, attrs) | {
            "found": found, "picked": picked, "text": text, "url": self.url, "name": name,
        }  # fmt: skip


class CodeForm(forms.ModelForm):
    client = forms.Field(label=_("Client"), required=False, widget=ClientSearch)

    class Meta:
        model = ReferralCode
        fields = ["code", "partner", "client", "reward"]
        help_texts = {"code": _("Small letters, digits, hyphens; empty: we make one.")}

    def __init__(self, *args, user, url="", **kwargs):
        super().__init__(*args, **kwargs)
        self.user = self.fields["client"].widget.user = user
        self.fields["client"].widget.url = url
        self.fields["code"].required = False

    def clean_code(self):
        code = self.cleaned_data["code"].lower()
        if code and ReferralCode.objects.filter(code=code).exists():
            raise ValidationError(_("This code is taken."))
        return code

    def clean_client(self):
        """The person picked, or the only one whom the typed text finds."""
        pk, text = self.cleaned_data["client"]
        if pk:
            found = list(Person.objects.visible_to(self.user).filter(pk=pk, merged_into=None))
        else:
            found = list(people.matching(self.user, text)[:2]) if text else []
        if len(found) > 1:
            raise ValidationError(_("Several people are found: choose one."))
        if (pk or text) and not found:
            raise ValidationError(_("There is no such person."))
        return found[0] if found else None

    def clean(self):
        data = super().clean()
        if not data.get("partner") and not data.get("client") and "client" not in self.errors:
            raise ValidationError(_("Say whose code it is: a partner's or a client's."))
        return data
