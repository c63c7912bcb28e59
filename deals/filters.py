"""Filters of deals: of the list, its export and the board."""

import django_filters as df
from django import forms
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from crm.core.filtering import ListFilter, OwnerFilter
from crm.core.models import Stage, Team, User
from crm.core.widgets import Picker, offer
from deals.models import Deal, Status
from leads import search
from leads.filters import LeadForm
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
BESIDE = {"sort", "after", "view", "pipeline", "form"}  # of the address, not of the filter
PEOPLE_AT_MOST = 1000  # found by a search; who has more typed too little
ANY = pgettext_lazy("filter", "any")
LARGEST = 10**12  # more than any column of money holds


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


class DealFilter(ListFilter):
    SORTS, BESIDE = SORTS, BESIDE

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

    def dress(self, form):
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
