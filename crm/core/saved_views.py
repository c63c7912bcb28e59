"""Saved views of a list: a name over its filters, private to who saved it."""

from django import forms
from django.db.models import Q
from django.http import QueryDict
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from crm.core.models import SavedView

NOT_SAVED = {"after", "csrfmiddlewaretoken", "view"}
AT_MOST = 30  # of one list


def tidy(query):
    """A query string without empty values and without the place in the list, in one order."""
    pairs = sorted((k, v) for k, values in QueryDict(query).lists() for v in values if v and k not in NOT_SAVED)
    return urlencode(pairs)


def tabs(request, page, builtin=()):
    """The tabs above a list: ``builtin`` [(name, query)] and the user's own; of those with the same filters the one
    opened is the active one, else the first."""
    address = reverse(page)
    found = [{"name": name, "query": tidy(query), "url": _url(address, query)} for name, query in builtin]
    for view in SavedView.objects.filter(user=request.user, page=page):
        query = tidy(view.query)
        again = any(tab["query"] == query for tab in found)
        found.append({
            "name": view.name, "query": query, "key": str(view.pk),
            "url": _url(address, f"{view.query}&view={view.pk}".lstrip("&") if again else view.query),
            "rename_url": reverse("core:view", args=[view.pk]),
            "delete_url": reverse("core:view_delete", args=[view.pk]),
        })  # fmt: skip
    here, opened = tidy(request.META["QUERY_STRING"]), request.GET.get("view", "")
    same = [tab for tab in found if tab["query"] == here]
    for tab in [tab for tab in same if opened and tab.get("key") == opened] or same[:1]:
        tab["active"] = True
    return found


def save_url(request, page):
    return f"{reverse('core:view_new')}?{urlencode({'page': page, 'query': tidy(request.META['QUERY_STRING'])})}"


def _url(address, query):
    return f"{address}?{query}" if query else address


class ViewForm(forms.ModelForm):
    """The name of a view; the list and its filters come with the form and are checked for their shape alone: a filter
    that no longer exists is reported by the list itself."""

    class Meta:
        model = SavedView
        fields = ["name", "page", "query"]
        widgets = {"page": forms.HiddenInput, "query": forms.HiddenInput}

    def __init__(self, *args, pages, user, **kwargs):
        super().__init__(*args, **kwargs)
        self.user, self.pages = user, pages
        self.fields["page"].error_messages["required"] = _("Open a list and save its view from there.")
        self.fields["name"].widget.attrs |= {"autofocus": True, "maxlength": 80}

    def clean_page(self):
        if self.cleaned_data["page"] not in self.pages:
            raise forms.ValidationError(_("There is no such list."))
        return self.cleaned_data["page"]

    def clean_query(self):
        return tidy(self.cleaned_data["query"])

    def clean(self):
        data = super().clean()
        others = SavedView.objects.filter(~Q(pk=self.instance.pk), user=self.user, page=data.get("page", ""))
        if data.get("name") and others.filter(name=data["name"]).exists():
            self.add_error("name", _("You have a view of this name already."))
        elif others.count() >= AT_MOST:
            self.add_error(None, _("At most %s views fit here; delete one first.") % AT_MOST)
        return data
