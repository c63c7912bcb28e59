from django.contrib.auth import views as auth
from django.urls import path, reverse_lazy

from crm.core.resets import ResetForm
from crm.core.views import account, health, live, saved

app_name = "core"


def _then(name):
    return {"success_url": reverse_lazy(f"core:{name}")}


urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("live/", live.live, name="live"),
    path("notices/", live.notices, name="notices"),
    path("notices/seen/", live.notices_seen, name="notices_seen"),
    path("views/new/", saved.new, name="view_new"),
    path("views/<int:pk>/", saved.rename, name="view"),
    path("views/<int:pk>/delete/", saved.delete, name="view_delete"),
    path("preferences/", account.preferences, name="preferences"),
    path("preferences/theme/", account.theme, name="theme"),
    path("preferences/language/", account.language, name="language"),
    path(
        "login/",
        auth.LoginView.as_view(redirect_authenticated_user=True, authentication_form=account.SignInForm),
        name="login",
    ),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path(
        "password/",
        auth.PasswordChangeView.as_view(form_class=account.ChangePasswordForm, **_then("password_changed")),
        name="password_change",
    ),
    path("password/changed/", auth.PasswordChangeDoneView.as_view(), name="password_changed"),
    path(
        "password/reset/",
        auth.PasswordResetView.as_view(form_class=ResetForm, **_then("password_reset_sent")),
        name="password_reset",
    ),
    path("password/reset/sent/", auth.PasswordResetDoneView.as_view(), name="password_reset_sent"),
    path(
        "password/reset/<uidb64>/<token>/",
        account.NewPasswordView.as_view(**_then("password_reset_complete")),
        name="password_reset_confirm",
    ),
    path("password/reset/done/", auth.PasswordResetCompleteView.as_view(), name="password_reset_complete"),
]
