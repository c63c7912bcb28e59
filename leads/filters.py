"""Filters of the lead list; the export and "all that match" use the same ones."""

import django_filters as df
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from crm.core.models import Stage, Team, User
from crm.core.widgets import Picker, offer
from leads import search
from leads.models import Band, Lead, Origin, Qualification, Source, Status
from leads.services.twins import surviving

OWNERS_AT_MOST = 50  # each is an index scan of its own
STATES = [*Status.choices, ("all", pgettext_lazy("lead state", "any"))]
ATTENTION = [
    ("waiting", gettext_lazy("waiting for an answer")),
    ("overdue", gettext_lazy("next step overdue")),
    ("no_step", gettext_lazy("no next step")),
    ("unassigned", gettext_lazy("no owner")),
    ("stuck", gettext_lazy("too long at the stage")),
]
SORTS = {
    "created": ("created_at", gettext_lazy("newest first")),
    "active": ("active_at", gettext_lazy("latest activity first")),
    "score": ("score", gettext_lazy("highest score first")),
}
BESIDE = {"sort", "after"}  # of the address, not of the filter


def _people(user):
    """The colleagues whose leads the user sees."""
    if user is None or not (user.sees_all or user.is_head or user.sees_team):
        return User.objects.none()
    people = User.objects.filter(is_active=True, role__in=["manager", "head"])
    if user.sees_all:
        return people
    return people.filter(
        Q(team__heads=user) | Q(pk=user.pk) | (Q(team=user.team_id) if user.sees_team else Q())
    ).distinct()


class OwnerField(forms.MultipleChoiceField):
    """``me``, ``none`` and keys of colleagues."""

    def clean(self, value):
        if value and len(value) > OWNERS_AT_MOST:
            raise ValidationError(_("Choose at most %s people.") % OWNERS_AT_MOST)
        return super().clean(value)


class OwnerFilter(df.MultipleChoiceFilter):
    field_class = OwnerField


class LeadForm(forms.Form):
    """What all filters together must hold."""

    def clean(self):
        data = super().clean()
        since, until = data.get("since"), data.get("until")
        if since and until and until < since:
            self.add_error("until", _("The end is before the beginning."))
        return data


def _many(queryset, label, any_label, **extra):
    return df.ModelMultipleChoiceFilter(
        queryset=queryset, label=label, widget=Picker(any_label=any_label), distinct=False, **extra
    )


ANY = pgettext_lazy("filter", "any")


class LeadFilter(df.FilterSet):
    q = df.CharFilter(
        method="by_text",
        label=gettext_lazy("Search"),
        max_length=search.LONGEST,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": gettext_lazy("Name, phone, e-mail, company")}),
    )
    state = df.ChoiceFilter(method="by_state", label=gettext_lazy("State"), choices=STATES, empty_label=None)
    owner = OwnerFilter(distinct=False, method="by_owner", label=gettext_lazy("Owner"), widget=Picker(any_label=ANY))
    stage = _many(Stage.objects.none(), gettext_lazy("Stage"), ANY)
    attention = df.ChoiceFilter(
        method="by_attention", label=gettext_lazy("Needs attention"), choices=ATTENTION, empty_label=gettext_lazy("all")
    )
    band = df.MultipleChoiceFilter(
        distinct=False, label=gettext_lazy("Readiness"), choices=Band.choices, widget=Picker(any_label=ANY)
    )
    qualification = df.ChoiceFilter(label=gettext_lazy("Qualification"), choices=Qualification.choices, empty_label=ANY)
    origin = _many(Origin.objects.none(), gettext_lazy("Source"), ANY, method="by_origin")
    source = _many(Source.objects.none(), gettext_lazy("Came in by"), ANY)
    team = df.ModelChoiceFilter(queryset=Team.objects.none(), label=gettext_lazy("Team"), empty_label=ANY)
    tag = df.CharFilter(method="by_tag", label=gettext_lazy("Tag"), max_length=40)
    since = df.DateFilter(
        method="by_since", label=gettext_lazy("Created from"), widget=forms.DateInput({"type": "date"}, "%Y-%m-%d")
    )
    until = df.DateFilter(
        method="by_until", label=gettext_lazy("Created to"), widget=forms.DateInput({"type": "date"}, "%Y-%m-%d")
    )

    class Meta:
        model = Lead
        fields = []
        form = LeadForm

    def __init__(self, data, *, user, queryset=None):
        data = data.copy()
        data["state"] = data.get("state") or Status.OPEN
        self.user, self.unknown = user, sorted(set(data) - set(self.base_filters) - BESIDE)
        super().__init__(data, Lead.objects.visible_to(user) if queryset is None else queryset)

    @property
    def form(self):
        fresh = not hasattr(self, "_form")
        form = super().form
        if fresh:
            self._dress(form)
        return form

    def _dress(self, form):
        """Choices that depend on the user; a control with nothing to choose from is not shown."""
        offer(form.fields["stage"], Stage.objects.filter(pipeline__kind="lead", pipeline__is_active=True))
        offer(form.fields["source"], Source.objects.all())
        offer(form.fields["origin"], Origin.objects.filter(same_as=None))
        people = [(str(person.pk), str(person)) for person in _people(self.user)]
        form.fields["owner"].choices = [("me", _("me")), ("none", _("no owner")), *people]
        offer(form.fields["team"], Team.objects.all() if self.user.sees_all else self.user.headed_teams.all())
        if not people:
            form.fields["owner"].widget = forms.MultipleHiddenInput()
        if not (self.user.sees_all or self.user.is_head):
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
            arms = Lead.objects.shares(self.user)
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
        return queryset.filter(surviving(where))

    def by_state(self, queryset, name, value):
        return queryset if value == "all" else queryset.filter(status=value)

    def by_owner(self, queryset, name, value):
        owners = self._owners()
        where = Q(owner__in=[key for key in owners if key])
        return queryset.filter(where | Q(owner=None) if None in owners else where)

    def by_attention(self, queryset, name, value):
        now = timezone.now()
        if value == "waiting":
            return queryset.untouched()
        if value == "overdue":
            return queryset.open().filter(next_step_at__lt=now)
        if value == "no_step":
            return queryset.open().filter(next_step_at=None)
        if value == "unassigned":
            return queryset.open().unassigned()
        return queryset.open().stuck(now)

    def by_origin(self, queryset, name, value):
        if not value:
            return queryset
        same = Origin.objects.filter(Q(pk__in=[o.pk for o in value]) | Q(same_as__in=value)).values_list(
            "pk", flat=True
        )
        return queryset.filter(first_origin__in=list(same))

    def by_tag(self, queryset, name, value):
        return queryset.filter(tags__contains=[value])

    def by_since(self, queryset, name, value):
        return queryset.filter(created_at__gte=_midnight(value))

    def by_until(self, queryset, name, value):
        return queryset.filter(created_at__lt=_midnight(value, days=1))


def _midnight(day, days=0):
    """The instant at which a local day begins."""
    zone = timezone.get_current_timezone()
    ordinal = min(max(day.toordinal() + days, 2), day.max.toordinal() - 1)  # years 1 and 9999 have no neighbours
    day = day.fromordinal(ordinal)
    return timezone.datetime(day.year, day.month, day.day, tzinfo=zone)
