"""Letters and templates as forms."""

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from crm.core.versions import Versioned
from leads.letters import MAX_TEXT
from leads.models import Message, Template
from leads.services import letters, optouts
from leads.services.talks import MAX_SMS


class TemplateForm(Versioned, forms.ModelForm):
    """A template of letters, SMS or call scripts; refused where a variable or a link would not work."""

    audit = staticmethod(lambda row: {"action": "template_changed", "details__pk": row.pk})

    class Meta:
        model = Template
        fields = ["name", "kind", "language", "subject", "body", "is_welcome", "is_active"]
        widgets = {
            "body": forms.Textarea(attrs={"rows": 14}),
            "language": forms.Select(choices=[("ru", "Русский"), ("en", "English")]),
            "is_welcome": forms.CheckboxInput(attrs={"class": "switch"}),
            "is_active": forms.CheckboxInput(attrs={"class": "switch"}),
        }

    def clean(self):
        data = super().clean()
        kind, subject = data.get("kind"), data.get("subject", "")
        if kind == Template.Kind.LETTER and not subject.strip() and "subject" not in self.errors:
            self.add_error("subject", _("An email needs a subject."))
        try:
            letters.check_template(subject, data.get("body", ""))
        except ValidationError as error:
            for field, faults in error.error_dict.items():
                self.add_error(field, faults)
        if kind == Template.Kind.SMS and len(data.get("body", "")) > MAX_SMS:
            self.add_error("body", _("An SMS has at most %d characters.") % MAX_SMS)
        if data.get("is_welcome") and kind == Template.Kind.SCRIPT:
            self.add_error("is_welcome", _("Nobody is welcomed with a call script."))
        self._one_welcome(data)
        return data

    def _one_welcome(self, data):
        same = {"kind": data.get("kind"), "language": data.get("language")}
        others = Template.objects.filter(is_welcome=True, is_active=True, **same)
        if data.get("is_welcome") and data.get("is_active"):
            other = others.exclude(pk=self.instance.pk).first()
            if other is not None:
                self.add_error("is_welcome", _("The welcome of this kind in this language is “%s” already.") % other)


class LetterForm(forms.Form):
    """A letter to one lead."""

    template = forms.ModelChoiceField(Template.objects.none(), required=False, label=_("Template"))
    subject = forms.CharField(max_length=200, label=_("Subject"))
    text = forms.CharField(max_length=MAX_TEXT, label=_("Text"), widget=forms.Textarea(attrs={"rows": 12}), strip=True)

    def __init__(self, *args, lead, **kwargs):
        super().__init__(*args, **kwargs)
        self.lead = lead
        self.fields["template"].queryset = Template.objects.filter(is_active=True, kind=Template.Kind.LETTER)

    def clean(self):
        data = super().clean()
        if not self.lead.email:
            raise ValidationError(_("The client has no email address: add one on the card first."))
        if optouts.is_opted_out(self.lead.email):
            raise ValidationError(_("The client has opted out of emails: %s") % self.lead.email)
        try:
            letters.check_template(data.get("subject", ""), data.get("text", ""))
        except ValidationError as error:
            for field, faults in error.error_dict.items():
                self.add_error("text" if field == "body" else field, faults)
        return data


class MailboxFilter(forms.Form):
    """What the administrator's list of letters is narrowed by."""

    q = forms.CharField(required=False, max_length=100, label=_("Address or subject"))
    state = forms.ChoiceField(required=False, label=_("State"), choices=[("", _("any")), *Message.State.choices])
    kind = forms.ChoiceField(required=False, label=_("Kind"), choices=[("", _("any")), *Message.Kind.choices])
