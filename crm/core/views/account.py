"""What a person sets for themselves."""

from django import forms
from django.contrib import messages
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, SetPasswordForm
from django.contrib.auth.views import PasswordResetConfirmView
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from crm.core.models import User
from crm.core.zones import ZONES


class PreferencesForm(forms.ModelForm):
    language = forms.ChoiceField(
        label=gettext_lazy("Language"), choices=[("", gettext_lazy("Same as the browser")), *User._meta.get_field("language").choices],
        required=False,
    )  # fmt: skip
    time_zone = forms.ChoiceField(
        label=gettext_lazy("Time zone"), choices=[("", gettext_lazy("Same as the company")), *ZONES], required=False
    )

    class Meta:
        model = User
        fields = ["first_name", "last_name", "job_title", "phone", "language", "theme", "time_zone", "signature"]


class SignInForm(AuthenticationForm):
    error_messages = AuthenticationForm.error_messages | {
        "invalid_login": gettext_lazy("The login or the password is wrong; capital and small letters differ in both.")
    }


class NewPassword:
    """What is wrong with a new password is said at the new password, not at its repetition."""

    def validate_password_for_user(self, user, password_field_name="new_password1"):
        super().validate_password_for_user(user, "new_password1")


class ChangePasswordForm(NewPassword, PasswordChangeForm):
    pass


class NewPasswordForm(NewPassword, SetPasswordForm):
    pass


class NewPasswordView(PasswordResetConfirmView):
    """Of the link in a letter; nobody who has been switched off since."""

    form_class = NewPasswordForm

    def get_user(self, uidb64):
        user = super().get_user(uidb64)
        return user if user and user.is_active else None


def _back(request):
    """The page that the person came from, when it is ours."""
    target = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure())
    return target if safe and target.startswith(("/", "http")) else "home"  # any other word would be a view's name


@require_POST
def theme(request):
    choice = request.POST.get("theme")
    if choice in dict(User._meta.get_field("theme").choices):
        User.objects.filter(pk=request.user.pk).update(theme=choice)
    return redirect(_back(request))


@require_POST
def language(request):
    choice = request.POST.get("language")
    if choice in dict(User._meta.get_field("language").choices):
        User.objects.filter(pk=request.user.pk).update(language=choice)
    return redirect(_back(request))


def preferences(request):
    form = PreferencesForm(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, _("Saved."))
        return redirect("core:preferences")
    return render(request, "core/preferences.html", {"form": form}, status=422 if form.errors else 200)
