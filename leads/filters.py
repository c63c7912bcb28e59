"""Filters of the lead list; the export and "all that match" use the same ones."""

import django_filters as df
from django import forms
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from crm.core.filtering import ListFilter, OwnerFilter
from crm.core.models import Stage, Team, User
from crm.core.widgets import Picker, offer
from leads import search
from leads.models import Band, Lead, Origin, Qualification, Source, Status
from leads.services.twins import surviving

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
BESIDE = {"sort", "after", "view"}  # of the address, not of the filter


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


class LeadFilter(ListFilter):
    SORTS, BESIDE = SORTS, BESIDE

    q = df.CharFilter(
        method="by_text",
        label=gettext_lazy("Search"),
        max_length=search.LONGEST,
        widget=forms.TextInput(attrs={"type": "search", "placeholder": gettext_lazy("Name, phone, email, company")}),
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

    def dress(self, form):
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

    def by_text(self, queryset, name, value):
        try:
            where = search.condition(value)
        except search.TooShort:
            return queryset.none()
        return queryset.filter(surviving(where))

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
