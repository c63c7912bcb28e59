"""Forms of the lead's card: fields, notes, calls, next steps, owner, rejection."""

from datetime import datetime, time, timedelta

from django import forms
from django.db.models import Count, Exists, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.formats import get_format
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crm.core.models import Absence, Reason, User
from leads.models import Lead, Task
from leads.services import cards
from leads.story import CALL_RESULTS, LABELS

TEXT_AT_MOST = 20_000  # characters of a note
MOMENT = "%Y-%m-%dT%H:%M"


class MomentField(forms.DateTimeField):
    """A moment in the user's time zone, picked in the browser's own control."""

    def __init__(self, **kwargs):
        widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format=MOMENT)
        super().__init__(widget=widget, input_formats=[MOMENT, "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"], **kwargs)


class SumField(forms.DecimalField):
    """A sum as people type it: "1 500 000,50"."""

    def __init__(self, **kwargs):
        super().__init__(
            widget=forms.TextInput(attrs={"inputmode": "decimal"}), max_digits=14, decimal_places=2, **kwargs
        )

    def to_python(self, value):
        if isinstance(value, str):
            value = "".join(value.replace(",", ".").split())
        return super().to_python(value)

    def prepare_value(self, value):
        """With its thousands apart: eight digits in a row cannot be read."""
        if not hasattr(value, "normalize"):
            return value
        text = f"{value:,.0f}" if value == value.to_integral_value() else f"{value:,.2f}"
        return text.replace(",", "\N{NO-BREAK SPACE}").replace(".", get_format("DECIMAL_SEPARATOR"))


def at_ten(days):
    """Ten o'clock in the user's time zone, so many days ahead."""
    day = timezone.localdate() + timedelta(days=days)
    return timezone.make_aware(datetime.combine(day, time(10)))


QUICK = {
    "hours": (gettext_lazy("In 2 hours"), lambda: timezone.now().replace(second=0, microsecond=0) + timedelta(hours=2)),
    "tomorrow": (gettext_lazy("Tomorrow, 10 AM"), lambda: at_ten(1)),
    "days": (gettext_lazy("In 3 days"), lambda: at_ten(3)),
    "monday": (gettext_lazy("On Monday"), lambda: at_ten(7 - timezone.localdate().weekday())),
}


def colleagues(user, *also):
    """Whom the user may choose as an owner or assignee, and those of the given keys."""
    allowed = User.objects.owners_for(user).values("pk")
    return User.objects.filter(Q(pk__in=allowed) | Q(pk__in=[pk for pk in also if pk]))


# --- Fields ---------------------------------------------------------------------------------------------------------
def _control(name):
    field = Lead._meta.get_field(name)
    label = capfirst(str(LABELS[name]))
    if name == "budget":
        return SumField(label=label, required=False, min_value=0)
    if name == "decision_date":
        widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
        return forms.DateField(label=label, required=False, widget=widget)
    control = field.formfield(label=label, required=False)
    control.widget.attrs.update(
        {"phone": {"type": "tel", "inputmode": "tel"}, "email": {"inputmode": "email"}}.get(name, {})
    )
    if name == "phone":
        control.max_length, control.validators = None, []  # normalisation says what is wrong with it
        control.widget.attrs.pop("maxlength", None)
    return control


class FactsForm(forms.Form):
    """Some fields of a lead, one or those that a stage asks for; saved by ``cards.edit``."""

    def __init__(self, data=None, *, lead, names, required=False):
        self.lead, self.names = lead, [name for name in names if name in cards.FIELDS]
        super().__init__(data, initial={name: getattr(lead, name) for name in self.names})
        for name in self.names:
            self.fields[name] = _control(name)
            self.fields[name].required = required
        for name in self.names[:1]:
            self.fields[name].widget.attrs["autofocus"] = True

    def changes(self):
        return {name: self.cleaned_data[name] for name in self.names}

    def refuse(self, error):
        """Show a ValidationError of the service at its field."""
        for name, errors in error.error_dict.items() if hasattr(error, "error_dict") else [(None, error.error_list)]:
            self.add_error(name if name in self.fields else None, errors)


# --- Next step ------------------------------------------------------------------------------------------------------
class NextStepForm(forms.Form):
    """The part of every touch that asks what comes next; one click plans it."""

    PICK = "pick"
    next = forms.ChoiceField(label=gettext_lazy("Next step"), required=False, widget=forms.RadioSelect)
    next_at = MomentField(label=gettext_lazy("Time"), required=False)
    next_title = forms.CharField(label=gettext_lazy("What to do"), required=False, max_length=200)
    next_kind = forms.ChoiceField(
        label=gettext_lazy("Kind"), required=False, choices=Task.Kind.choices, initial=Task.Kind.CALL
    )

    title = gettext_lazy("Call back")
    nothing = True  # whether "nothing planned" is a choice

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        none = [("", _("Nothing planned"))] if self.nothing else []
        quick = [(key, label) for key, (label, _moment) in QUICK.items()]
        self.fields["next"].choices = [*quick, (self.PICK, _("Another time")), *none]
        self.fields["next_title"].widget.attrs["placeholder"] = str(self.title)

    def clean(self):
        data = super().clean()
        choice = data.get("next") or (self.PICK if data.get("next_at") else "")
        if choice == self.PICK and not data.get("next_at") and "next_at" not in self.errors:
            self.add_error("next_at", _("Pick the time."))
        if choice and choice != self.PICK:
            data["next_at"] = QUICK[choice][1]()
        data["next"] = choice
        return data

    def step(self):
        """What set_task takes; None when nothing is planned."""
        data = self.cleaned_data
        if not data["next"]:
            return None
        kind = data.get("next_kind") or Task.Kind.CALL
        return {"due_at": data["next_at"], "title": data.get("next_title") or str(self.title), "kind": kind}


class NoteForm(NextStepForm):
    text = forms.CharField(
        label=gettext_lazy("Note"), max_length=TEXT_AT_MOST, widget=forms.Textarea(attrs={"rows": 3, "autofocus": True})
    )


class CallForm(NextStepForm):
    result = forms.ChoiceField(
        label=gettext_lazy("How did it go?"),
        widget=forms.RadioSelect,
        error_messages={"required": gettext_lazy("Choose how the call went.")},
        choices=[(key, CALL_RESULTS[key]) for key in cards.RESULTS],
    )
    text = forms.CharField(
        label=gettext_lazy("Note"), required=False, max_length=TEXT_AT_MOST, widget=forms.Textarea(attrs={"rows": 3})
    )
    closes = forms.ModelChoiceField(Task.objects.none(), required=False, label=gettext_lazy("Close the task"))

    def __init__(self, *args, planned=(), **kwargs):
        """``planned``: open call tasks of the lead; the soonest is proposed as the one that this call was."""
        super().__init__(*args, **kwargs)
        self.fields["closes"].queryset = planned
        self.fields["closes"].empty_label = _("an extra call")
        if not self.is_bound:
            self.fields["closes"].initial = planned.first()
        if not planned:
            del self.fields["closes"]


class TaskForm(NextStepForm):
    """A task of its own: what comes next is all there is to it."""

    nothing = False
    assignee = forms.ModelChoiceField(
        User.objects.none(), label=gettext_lazy("Assignee"), required=False, empty_label=None
    )

    def __init__(self, *args, user, owner=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["assignee"].queryset = colleagues(user, user.pk, owner.pk if owner else None)
        self.fields["assignee"].initial = owner or user
        self.fields["next"].required = True
        self.fields["next"].error_messages["required"] = _("Pick the time.")
        self.fields["next"].label = _("When")
        self.order_fields(["next_title", "next", "next_at", "next_kind", "assignee"])

    def step(self):
        assignee = self.cleaned_data.get("assignee")
        return super().step() | ({"assignee": assignee} if assignee else {})


class DoneForm(NextStepForm):
    """What came of a task, and what is next."""

    result = forms.CharField(
        label=gettext_lazy("Result"), required=False, max_length=TEXT_AT_MOST,
        widget=forms.Textarea(attrs={"rows": 2, "autofocus": True}),
    )  # fmt: skip


class PostponeForm(NextStepForm):
    nothing = False

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["next"].label = _("New time")
        del self.fields["next_title"], self.fields["next_kind"]

    def clean(self):
        data = super().clean()
        if not data.get("next") and not self.errors:
            self.add_error("next", _("Pick the time."))
        return data


# --- Owner, rejection, tags, reply ------------------------------------------------------------------------------------
class ColleagueField(forms.ModelChoiceField):
    """A colleague with what decides the choice: team, open leads, whether they are away."""

    def label_from_instance(self, user):
        opened = _("open leads: %s") % user.open_leads if user.open_leads else ""
        parts = [str(user), user.team.name if user.team else "", opened]
        return " · ".join(part for part in [*parts, _("away now") if user.is_away else ""] if part)


def at_hand(people):
    """Colleagues to choose among, with what decides the choice."""
    opened = Lead.objects.open().filter(owner=OuterRef("pk")).order_by().values("owner")
    away = Absence.objects.filter(user=OuterRef("pk"), starts_at__lte=timezone.now(), ends_at__gt=timezone.now())
    counted = Coalesce(Subquery(opened.annotate(n=Count("pk")).values("n")), 0)
    return people.select_related("team").annotate(open_leads=counted, is_away=Exists(away))


class OwnerForm(forms.Form):
    owner = ColleagueField(
        User.objects.none(), label=gettext_lazy("New owner"), widget=forms.RadioSelect, empty_label=None
    )

    def __init__(self, *args, user, lead, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["owner"].queryset = at_hand(User.objects.owners_for(user).exclude(pk=lead.owner_id))


class RejectForm(forms.Form):
    reason = forms.ModelChoiceField(
        Reason.objects.filter(kind="lead", is_active=True),
        label=gettext_lazy("Why?"),
        widget=forms.RadioSelect,
        empty_label=None,
        error_messages={"required": gettext_lazy("Choose why the lead is rejected.")},
    )
    note = forms.CharField(
        label=gettext_lazy("In your own words"),
        required=False,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
    )


class ReplyForm(forms.Form):
    text = forms.CharField(
        label=gettext_lazy("What did the client write?"), required=False, max_length=TEXT_AT_MOST,
        widget=forms.Textarea(attrs={"rows": 3, "autofocus": True}),
    )  # fmt: skip


class TagsForm(forms.Form):
    add = forms.CharField(required=False, max_length=400, label=gettext_lazy("Tags"))
    remove = forms.CharField(required=False, max_length=40)

    def words(self):
        """(to add, to remove)"""
        data = self.cleaned_data
        return [word for word in data["add"].split(",") if word.strip()], [data["remove"]] if data["remove"] else []
