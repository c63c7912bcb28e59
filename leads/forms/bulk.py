"""What to do with many leads at once."""

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crm.core.models import Reason, Stage, User
from leads.forms.card import ColleagueField, at_hand
from leads.models import BulkRun

Action = BulkRun.Action
AT_MOST = 1000


class BulkForm(forms.Form):
    """The one question that an action asks: to whom, which stage, which tag, why."""

    owner = ColleagueField(
        User.objects.none(), label=gettext_lazy("New owner"), widget=forms.RadioSelect, empty_label=None
    )
    stage = forms.ModelChoiceField(Stage.objects.none(), label=gettext_lazy("Stage"))
    tag = forms.CharField(label=gettext_lazy("Tag"), max_length=40)
    reason = forms.ModelChoiceField(Reason.objects.none(), label=gettext_lazy("Reason"))
    note = forms.CharField(label=gettext_lazy("Note"), max_length=500, required=False)
    ASKED = {"owner": ["owner"], "stage": ["stage"], "tag": ["tag"], "untag": ["tag"], "reject": ["reason", "note"]}

    def __init__(self, data=None, *, user, action):
        super().__init__(data)
        self.action = action if action in Action.values else Action.OWNER
        for name in set(self.fields) - set(self.ASKED[self.action]):
            del self.fields[name]
        choices = {
            "owner": at_hand(User.objects.owners_for(user)),
            "stage": Stage.objects.filter(pipeline__kind="lead", pipeline__is_active=True),
            "reason": Reason.objects.filter(kind="lead", is_active=True),
        }
        for name in set(choices) & set(self.fields):
            self.fields[name].queryset = choices[name]
        if "owner" not in self.fields:  # the field that finds a colleague takes it
            next(iter(self.fields.values())).widget.attrs["autofocus"] = True

    @property
    def title(self):
        return Action(self.action).label

    def params(self):
        """What services.bulk.start takes."""
        return {name: getattr(value, "pk", value) for name, value in self.cleaned_data.items()}


def chosen(data, matching):
    """(keys of the chosen leads, what is wrong with them in words). ``matching()``: the keys of all that match."""
    if data.get("everything"):
        return matching(), ""
    words = ",".join(data.getlist("ids")).split(",")
    keys = [int(word) for word in words if word.isascii() and word.isdigit() and len(word) < 19]
    if len(keys) < len([word for word in words if word]):
        return [], _("The list of leads is damaged; choose them again.")
    if len(keys) > AT_MOST:
        return [], _("At most %s leads at once.") % AT_MOST
    return keys, ""
