"""What the filters of big lists share: an address that is taken at its word, problems in words, owners, index scans."""

from datetime import datetime, time, timedelta

import django_filters as df
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

OWNERS_AT_MOST = 50  # each is an index scan of its own
SHOWN = 5  # filters that stand open; the others are behind "more"


class OwnerField(forms.MultipleChoiceField):
    """``me``, ``none`` and keys of colleagues."""

    def clean(self, value):
        if value and len(value) > OWNERS_AT_MOST:
            raise ValidationError(_("Choose at most %s people.") % OWNERS_AT_MOST)
        return super().clean(value)


class OwnerFilter(df.MultipleChoiceFilter):
    field_class = OwnerField


def midnight(day, days=0):
    """The instant at which a local day begins."""
    day = min(max(day, day.min + timedelta(days=2)), day.max - timedelta(days=2))  # years 1 and 9999 have no neighbours
    return datetime.combine(day + timedelta(days=days), time(), timezone.get_current_timezone())


class ListFilter(df.FilterSet):
    """A filter of rows that have an owner, a team, a status and ``visible_to``, as one user sees them.

    ``SORTS``: the orders that an address may name; ``BESIDE``: what else may stand in it.
    """

    SORTS, BESIDE = {}, set()

    def __init__(self, data, *, user, queryset=None):
        data = data.copy()
        data["state"] = data.get("state") or "open"
        self.user, self.unknown = user, sorted(set(data) - set(self.base_filters) - self.BESIDE)
        super().__init__(data, self._meta.model.objects.visible_to(user) if queryset is None else queryset)

    @property
    def form(self):
        fresh = not hasattr(self, "_form")
        form = super().form
        if fresh:
            self.dress(form)
        return form

    def dress(self, form):
        """Choices that depend on the user; a control with nothing to choose from is not shown."""

    def is_valid(self):
        return not self.unknown and super().is_valid()

    @property
    def kept(self):
        """What a change of filter leaves as it is."""
        return {"sort": self.data["sort"]} if self.data.get("sort") in self.SORTS else {}

    @property
    def folded_in_use(self):
        """Whether one of the filters behind "more" is set."""
        return any(self.data.get(name) for name in list(self.base_filters)[SHOWN:])

    @property
    def only_text(self):
        """Whether a word is all that was asked for."""
        return bool(self.data.get("q")) and not any(
            self.data.get(name) for name in self.base_filters if name not in {"q", "state"}
        )

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
            arms = self._meta.model.objects.shares(self.user)
        return [(self.filter_queryset(queryset), constant) for queryset, constant in arms]

    def _owners(self):
        """Keys of the chosen owners; None among them stands for nobody."""
        named = {"me": self.user.pk, "none": None}
        return list(
            dict.fromkeys(named[w] if w in named else int(w) for w in self.form.cleaned_data.get("owner") or [])
        )

    def by_state(self, queryset, name, value):
        return queryset if value == "all" else queryset.filter(status=value)

    def by_owner(self, queryset, name, value):
        owners = self._owners()
        where = Q(owner__in=[key for key in owners if key])
        return queryset.filter(where | Q(owner=None) if None in owners else where)

    def by_since(self, queryset, name, value):
        return queryset.filter(created_at__gte=midnight(value))

    def by_until(self, queryset, name, value):
        return queryset.filter(created_at__lt=midnight(value, days=1))
