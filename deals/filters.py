"""Filters of deals: of the list, its export and the board."""

from datetime import datetime, time, timedelta

import django_filters as df
from django import forms
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from crm.core.models import Stage, Team, User
from crm.core.widgets import Picker, offer
from deals.models import Deal, Status
from leads import search
from leads.filters import LeadForm, OwnerFilter
from leads.models import Lead, Origin

STATES = [*Status.choices, ("all", pgettext_lazy("deal state", "any"))]
ATTENTION = [
    ("no_step", gettext_lazy("no next step")),
    ("overdue", gettext_lazy("next step overdue")),
    ("close", gettext_lazy("expected close has passed")),
    ("stuck", gettext_lazy("too long at the stage")),
    ("amount", gettext_lazy("no amount")),
    ("unassigned", gettext_lazy("no owner")),
]
SORTS = {
    "created": ("created_at", gettext_lazy("newest first")),
    "active": ("active_at", gettext_lazy("latest activity first")),
}
BESIDE = {"sort", "after", "pipeline", "form"}  # of the address, not of the filter
PEOPLE_AT_MOST = 1000  # found by a search; who has more typed too little
ANY = pgettext_lazy("filter", "any")
LARGEST = 10**12  # more than any column of money holds


def midnight(day, days=0):
    """The instant at which a local day begins."""
    day = min(max(day, day.min + timedelta(days=2)), day.max - timedelta(days=2))  # years 1 and 9999 have no neighbours
    return datetime.combine(day + timedelta(days=days), time(), timezone.get_current_timezone())


def _date(label, method=None, **extra):
    return df.DateFilter(method=method, label=label, widget=forms.DateInput({"type": "date"}, "%Y-%m-%d"), **extra)


def _sum(label, lookup):
    widget = forms.NumberInput({"inputmode": "decimal", "min": 0})
    return df.NumberFilter(
        field_name="amount", lookup_expr=lookup, label=label, min_value=0, max_value=LARGEST, widget=widget
    )


class DealForm(LeadForm):
    """What all filters together must hold."""

    def clean(self):
        data = super().clean()
        for low, high in (("close_from", "close_to"), ("amount_from", "amount_to")):
            if data.get(low) is not None and data.get(high) is not None and data[high] < data[low]:
                self.add_error(high, _("The end is before the beginning."))
        return data


class DealFilter(df.FilterSet):
    q = df.CharFilter(
        method="by_text",
        label=gettext_lazy("Search"),
        max_length=search.LONGEST,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": gettext_lazy("Title, client, company, phone")}),
    )
    state = df.ChoiceFilter(method="by_state", label=gettext_lazy("State"), choices=STATES, empty_label=None)
    owner = OwnerFilter(method="by_owner", label=gettext_lazy("Owner"), widget=Picker(any_label=ANY))
    stage = df.ModelMultipleChoiceFilter(
        queryset=Stage.objects.none(), label=gettext_lazy("Stage"), widget=Picker(any_label=ANY)
    )
    attention = df.ChoiceFilter(
        method="by_attention", label=gettext_lazy("Needs attention"), choices=ATTENTION, empty_label=gettext_lazy("all")
    )
    origin = df.ModelMultipleChoiceFilter(
        queryset=Origin.objects.none(), method="by_origin", label=gettext_lazy("Source"), widget=Picker(any_label=ANY)
    )
    team = df.ModelChoiceFilter(queryset=Team.objects.none(), label=gettext_lazy("Team"), empty_label=ANY)
    since = _date(gettext_lazy("Opened from"), "by_since")
    until = _date(gettext_lazy("Opened to"), "by_until")
    close_from = _date(gettext_lazy("Closes from"), field_name="expected_close", lookup_expr="gte")
    close_to = _date(gettext_lazy("Closes to"), field_name="expected_close", lookup_expr="lte")
    amount_from = _sum(gettext_lazy("Amount from"), "gte")
    amount_to = _sum(gettext_lazy("Amount to"), "lte")

    class Meta:
        model = Deal
        fields = []
        form = DealForm

    def __init__(self, data, *, user, queryset=None):
        data = data.copy()
        data["state"] = data.get("state") or Status.OPEN
        self.user, self.unknown = user, sorted(set(data) - set(self.base_filters) - BESIDE)
        super().__init__(data, Deal.objects.visible_to(user) if queryset is None else queryset)

    @property
    def form(self):
        fresh = not hasattr(self, "_form")
        form = super().form
        if fresh:
            self._dress(form)
        return form

    def _dress(self, form):
        """Choices that depend on the user; a control with nothing to choose from is not shown."""
        user = self.user
        offer(form.fields["stage"], Stage.objects.filter(pipeline__kind="deal", pipeline__is_active=True))
        offer(form.fields["origin"], Origin.objects.filter(same_as=None))
        others = user.sees_all or user.is_head or user.sees_team
        people = [(str(person.pk), str(person)) for person in User.objects.owners_for(user)] if others else []
        form.fields["owner"].choices = [("me", _("me")), ("none", _("no owner")), *people]
        offer(form.fields["team"], Team.objects.all() if user.sees_all else user.headed_teams.all())
        if not people:
            form.fields["owner"].widget = forms.MultipleHiddenInput()
        if not (user.sees_all or user.is_head):
            form.fields["team"].widget = forms.HiddenInput()

    def is_valid(self):
        return not self.unknown and super().is_valid()

    @property
    def kept(self):
        """What a change of filter leaves as it is."""
        return {"sort": self.data["sort"]} if self.data.get("sort") in SORTS else {}

    @property
    def folded_in_use(self):
        """Whether one of the filters behind "more" is set."""
        return any(self.data.get(name) for name in list(self.base_filters)[5:])

    @property
    def problems(self):
        """Everything wrong with the address, in words."""
        found = [_("There is no filter “%s”.") % name[:40] for name in self.unknown]
        for name, errors in self.form.errors.items():
            label = self.form.fields[name].label if name in self.form.fields else ""
            found += [f"{label}: {error}" if label else str(error) for error in errors]
        return found

    def arms(self):
        """The filtered set as index scans for ``keyset.page``."""
        owners, team = self._owners(), self.form.cleaned_data.get("team")
        if self.form.cleaned_data.get("q"):
            arms = [(self.queryset, None)]  # the text decides, its matches are few: they are sorted
        elif owners:
            arms = [(self.queryset.filter(owner=owner), "owner") for owner in owners]
        elif team:
            arms = [(self.queryset.filter(team=team), "team")]
        else:
            arms = Deal.objects.shares(self.user)
        return [(self.filter_queryset(queryset), constant) for queryset, constant in arms]

    def _owners(self):
        """Keys of the chosen owners; None among them stands for nobody."""
        named = {"me": self.user.pk, "none": None}
        return list(
            dict.fromkeys(named[w] if w in named else int(w) for w in self.form.cleaned_data.get("owner") or [])
        )

    def by_text(self, queryset, name, value):
        try:
            where = search.condition(value)
        except search.TooShort:
            return queryset.none()
        people = list(Lead.objects.filter(where).order_by().values_list("person", flat=True)[:PEOPLE_AT_MOST])
        title = Q()
        for word in search.fold(search.tidy(value)).split()[: search.WORDS]:
            title &= Q(search__contains=word)
        return queryset.filter(title | Q(person__in=people))

    def by_state(self, queryset, name, value):
        return queryset if value == "all" else queryset.filter(status=value)

    def by_owner(self, queryset, name, value):
        owners = self._owners()
        where = Q(owner__in=[key for key in owners if key])
        return queryset.filter(where | Q(owner=None) if None in owners else where)

    def by_attention(self, queryset, name, value):
        now, queryset = timezone.now(), queryset.open()
        if value == "stuck":
            return queryset.stuck(now)
        return queryset.filter(
            **{
                "no_step": {"next_step_at": None},
                "overdue": {"next_step_at__lt": now},
                "close": {"expected_close__lt": timezone.localdate()},
                "amount": {"amount": None},
                "unassigned": {"owner": None},
            }[value]
        )

    def by_origin(self, queryset, name, value):
        if not value:
            return queryset
        same = Origin.objects.filter(Q(pk__in=[o.pk for o in value]) | Q(same_as__in=value)).values_list(
            "pk", flat=True
        )
        return queryset.filter(lead__first_origin__in=list(same))

    def by_since(self, queryset, name, value):
        return queryset.filter(created_at__gte=midnight(value))

    def by_until(self, queryset, name, value):
        return queryset.filter(created_at__lt=midnight(value, days=1))
