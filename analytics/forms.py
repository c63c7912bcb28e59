"""The head of every report: period, comparison, part of the company. A bad value is said, never guessed."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from analytics.scope import Scope
from crm.core.models import Organisation, Team, User
from crm.core.widgets import offer
from leads.models import Origin

LONGEST = 3660  # days
PERIODS = {
    "7": gettext_lazy("7 days"),
    "30": gettext_lazy("30 days"),
    "90": gettext_lazy("90 days"),
    "365": gettext_lazy("Year"),
    "month": gettext_lazy("This month"),
    "next": gettext_lazy("Next 90 days"),
    "custom": gettext_lazy("Chosen dates"),
}


class DateInput(forms.DateInput):
    input_type = "date"

    def __init__(self):
        super().__init__(format="%Y-%m-%d")


class ReportForm(forms.Form):
    RARE = ("start", "end", "touch", "as_of")  # folded away until one of them says something

    period = forms.ChoiceField(label=gettext_lazy("Period"), choices=list(PERIODS.items()), required=False)
    start = forms.DateField(
        label=pgettext_lazy("period", "From"), required=False, widget=DateInput(), input_formats=["%Y-%m-%d"]
    )
    end = forms.DateField(
        label=pgettext_lazy("period", "To"), required=False, widget=DateInput(), input_formats=["%Y-%m-%d"]
    )
    team = forms.ModelChoiceField(
        Team.objects.none(), label=gettext_lazy("Team"), required=False, empty_label=pgettext_lazy("filter", "all")
    )
    owner = forms.ModelChoiceField(
        User.objects.none(), label=gettext_lazy("Owner"), required=False, empty_label=pgettext_lazy("filter", "all")
    )
    origin = forms.ModelChoiceField(
        Origin.objects.none(), label=gettext_lazy("Source"), required=False, empty_label=pgettext_lazy("filter", "all")
    )
    touch = forms.ChoiceField(
        label=gettext_lazy("Attribution"),
        choices=[("first", gettext_lazy("First touch")), ("last", gettext_lazy("Last touch"))],
        required=False,
    )
    step = forms.ChoiceField(
        label=pgettext_lazy("period", "By"),
        choices=[
            ("day", pgettext_lazy("period", "day")),
            ("week", pgettext_lazy("period", "week")),
            ("month", pgettext_lazy("period", "month")),
        ],
        required=False,
    )
    as_of = forms.DateField(
        label=gettext_lazy("As of"), required=False, widget=DateInput(), input_formats=["%Y-%m-%d"],
        help_text=gettext_lazy("Moves up to the end of that day count; empty: up to now."),
    )  # fmt: skip

    def __init__(self, data, *, user, period="90"):
        self.user, self.organisation = user, Organisation.get()
        self.zone = ZoneInfo(self.organisation.time_zone)
        super().__init__({"period": "custom" if data.get("start") or data.get("end") else period, "touch": "first", "step": "day",
                          **{k: v for k, v in data.items() if v}})  # fmt: skip
        self.own = not (user.sees_all or user.is_head or user.sees_team)  # the reader sees their own leads alone
        for name in ["team", "owner"] if self.own else [] if user.sees_all or user.is_head else ["team"]:
            self.fields[name].widget = forms.HiddenInput()
        offer(self.fields["team"], Team.objects.all() if user.sees_all else Team.objects.filter(heads=user))
        owners = User.objects.owners_for(user) if not user.sees_all else User.objects.sellers()
        offer(self.fields["owner"], owners.only("username", "first_name", "last_name"))
        offer(self.fields["origin"], Origin.objects.filter(same_as=None))

    @property
    def rare_fields(self):
        return [field for field in self.visible_fields() if field.name in self.RARE]

    @property
    def rare_given(self):
        """Whether what is folded away says something that must be seen."""
        told = {name: self[name].value() for name in ("period", "touch", "as_of") if name in self.fields}
        usual = told.get("period") != "custom" and told.get("touch") != "last" and not told.get("as_of")
        return not usual or bool(self.errors.keys() & set(self.RARE))

    @property
    def wrong(self):
        """What the report is made without: what has no meaning here, and the whole period where one part of it has none."""
        dates = {NON_FIELD_ERRORS, "period", "start", "end"}
        return self.errors.keys() | (dates if self.errors.keys() & dates else set())

    @property
    def refusals(self):
        """What was wrong in the address, in words."""
        said = [*self.non_field_errors()]
        for name in self.errors.keys() - {NON_FIELD_ERRORS}:
            label = self.fields[name].label
            said.append(_("“%(field)s” has a value here that does not exist; it is left out.") % {"field": label})
        return said

    def clean(self):
        cleaned = super().clean()
        if self.errors:
            return cleaned
        start, end = self._dates(cleaned)
        if not start or not end or end < start:
            raise forms.ValidationError(_("The period must begin before it ends."))
        if not date(2000, 1, 1) <= start <= end <= date(2100, 12, 31) or (end - start).days > LONGEST:
            raise forms.ValidationError(_("The period is too long: ten years at most, between 2000 and 2100."))
        return cleaned | {"start": start, "end": end}

    def _dates(self, cleaned):
        today = timezone.localdate(timezone=self.zone)
        period = cleaned.get("period") or "90"
        if period == "custom":
            return cleaned.get("start"), cleaned.get("end") or today
        if period == "month":
            return today.replace(day=1), today
        if period == "next":
            return today, today + timedelta(days=89)
        return today - timedelta(days=int(period) - 1), today

    @property
    def scope(self):
        c = self.cleaned_data
        as_of = timezone.now()
        if c.get("as_of"):
            as_of = datetime.combine(min(c["as_of"], date(2100, 1, 1)) + timedelta(days=1), time.min, self.zone)
        return Scope(
            user=self.user, start=c["start"], end=c["end"], as_of=as_of, organisation=self.organisation,
            touch=c["touch"] or "first", owner=c["owner"], team=c["team"], origin=c["origin"], step=c["step"] or "day",
        )  # fmt: skip

    @property
    def query(self):
        """The parameters as links carry them: with fixed dates, so that a link opens the same rows tomorrow."""
        c = self.cleaned_data
        named = {name: c[name].pk for name in ("team", "owner", "origin") if c.get(name)}
        dates = {"start": c["start"].isoformat(), "end": c["end"].isoformat()}
        as_of = {"as_of": c["as_of"].isoformat()} if c.get("as_of") else {}
        return {**dates, **named, **as_of, "touch": c["touch"] or "first", "step": c["step"] or "day"}
