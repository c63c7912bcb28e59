"""Users, teams, calendars, company settings, keys, dead jobs."""

from babel import Locale
from babel.numbers import get_currency_name
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminTimeWidget
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AdminPasswordChangeForm, UserChangeForm
from django.contrib.auth.models import Group
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import get_language, gettext_lazy, ngettext, pgettext_lazy
from django.utils.translation import gettext as _
from phonenumbers import SUPPORTED_REGIONS, country_code_for_region

from crm.core import (
    admin_funnel,  # noqa: F401 - pipelines and reasons
    admin_sign_ins,  # noqa: F401 - who signed in, who is locked out
    jobs,
)
from crm.core.admin_base import DefaultForm, ReadOnlyAdmin, SettingsAdmin, Told, Versioned, pairs
from crm.core.models import (
    Absence,
    ApiKey,
    AuditEntry,
    Calendar,
    Holiday,
    Hours,
    Job,
    Organisation,
    Role,
    Skill,
    Team,
    User,
)
from crm.core.naming import COLUMNS
from crm.core.templatetags.ui import SYMBOLS, num
from crm.core.zones import ZONES

JOB_STATES = {True: pgettext_lazy("job", "given up"), False: pgettext_lazy("job", "to be done")}
JOB_PAGES = {  # where one sees what a job is about
    "leads.judge": "leads:receipt", "leads.expire_opt_in": "leads:receipt", "leads.material_taken": "leads:receipt",
    "leads.deliver": "leads:message", "leads.judge_hits": "leads:message", "leads.bulk": "leads:bulk_run",
    "crm.import": "leads:import", "crm.try_import": "leads:import", "crm.undo_import": "leads:import",
    "crm.welcome": "leads:import", "core.reset_letter": "admin:core_user_change",
    "leads.poll_mailbox": "admin:leads_source_change", "leads.cdr_folder": "admin:leads_source_change",
    "nurturing.advance": "admin:nurturing_enrolment_change", "scoring.rescore_all": "admin:scoring_rescoring_change",
}  # fmt: skip
NAMED_PEOPLE = 10  # of those who work by a calendar that is to be deleted
WHY = 120  # characters of what happened to a job, in the list of them
admin.site.unregister(Group)  # rights follow the role
admin.site.index_title = gettext_lazy("CRM settings")
admin.site.empty_value_display = "—"
admin.site.site_url = None  # the way back stands in the head of each page


@login_not_required
def sign_in(request, extra_context=None):
    """One door for all: whoever is not signed in goes to the product's own page, whoever may not come in is told so."""
    if admin.site.has_permission(request):
        return redirect("admin:index")
    if request.user.is_authenticated:
        raise PermissionDenied(_("Settings are open to administrators only."))
    return redirect_to_login(request.GET.get("next") or reverse("admin:index"))


admin.site.login = sign_in


class AbsenceInline(admin.TabularInline):
    model = Absence
    extra = 0


class UserForm(UserChangeForm):
    time_zone = forms.ChoiceField(
        label=gettext_lazy("Time zone"), choices=[("", gettext_lazy("Same as the company")), *ZONES], required=False
    )

    class Meta(UserChangeForm.Meta):
        help_texts = {
            "is_active": gettext_lazy("Off: the person cannot sign in and gets no leads. Nothing is deleted.")
        }

    def clean(self):
        cleaned = super().clean()
        stays = cleaned.get("role") == Role.ADMIN and cleaned.get("is_active")
        admins = User.objects.filter(role=Role.ADMIN, is_active=True)
        if not stays and set(admins.values_list("pk", flat=True)) == {self.instance.pk}:
            raise ValidationError(_("This is the last administrator: somebody must be left to run the system."))
        return cleaned


class PasswordForm(AdminPasswordChangeForm):
    """A new password, and nothing else: whoever may not come in is switched off."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields.pop("usable_password", None)
        for field in self.fields.values():
            field.required = True

    def validate_password_for_user(self, user, **_where):
        """What is wrong with the password stands at it, not at its repetition."""
        super().validate_password_for_user(user, password_field_name="password1")


@admin.register(User)
class UserAdmin(Told, Versioned, DjangoUserAdmin):
    volatile = ("password",)  # a sign-in may write it anew
    form = UserForm
    change_password_form = PasswordForm
    inlines = [AbsenceInline]
    list_display = ["username", "full_name", "role", "team", "grade", "takes_leads", "is_active"]
    list_filter = ["role", "team", "is_active", "takes_leads"]
    list_select_related = ["team"]
    filter_horizontal = ["skills"]
    readonly_fields = ["last_login", "date_joined"]
    fieldsets = [
        (None, {"fields": ["username", "password", "is_active"]}),
        (gettext_lazy("Person"), {"fields": ["first_name", "last_name", "email", "phone", "job_title", "signature"]}),
        (gettext_lazy("Rights"), {"fields": ["role", "team", "sees_team", "may_export"]}),
        (
            gettext_lazy("Routing"),
            {"fields": ["takes_leads", "weight", "capacity", "grade", "skills", "calendar", "time_zone"]},
        ),
        (gettext_lazy("Interface"), {"fields": ["language", "theme"]}),
        (gettext_lazy("History"), {"fields": ["last_login", "date_joined"]}),
    ]
    add_fieldsets = [
        (
            None,
            {
                "classes": ["wide"],
                "fields": [
                    "username",
                    "first_name",
                    "last_name",
                    "email",
                    "role",
                    "team",
                    "password1",
                    "password2",
                ],
            },
        )
    ]

    @admin.display(description=gettext_lazy("Person"), ordering="last_name")
    def full_name(self, user):
        return user.get_full_name()

    def has_delete_permission(self, request, obj=None):
        return False  # people are switched off; their leads and history stay


@admin.register(Team)
class TeamAdmin(SettingsAdmin):
    list_display = ["name", "specialisation"]
    filter_horizontal = ["heads"]
    search_fields = ["name"]


@admin.register(Skill)
class SkillAdmin(SettingsAdmin):
    search_fields = ["name"]


class HoursInline(admin.TabularInline):
    model = Hours
    extra = 1
    formfield_overrides = {models.TimeField: {"widget": AdminTimeWidget(format="%H:%M")}}


class HolidayInline(admin.TabularInline):
    model = Holiday
    extra = 1


@admin.register(Calendar)
class CalendarAdmin(SettingsAdmin):
    form = DefaultForm
    list_display = ["name", "is_default"]
    inlines = [HoursInline, HolidayInline]

    def save_model(self, request, obj, form, change):
        if obj.is_default:
            Calendar.objects.filter(is_default=True).exclude(pk=obj.pk).update(is_default=False)
        super().save_model(request, obj, form, change)

    def get_deleted_objects(self, objs, request):
        """Somebody's hours stay in force: neither the default nor the last calendar goes."""
        found, counts, lacking, protected = super().get_deleted_objects(objs, request)
        said = _(
            "“%s” is the default: people without a calendar of their own work by it. Make another one the default."
        )
        protected = [*protected, *(said % row for row in objs if row.is_default)]
        if not protected and not Calendar.objects.exclude(pk__in=[row.pk for row in objs]).exists():
            protected = [_("Without any calendar everybody would count as at work at every hour.")]
        return found, counts, lacking, protected

    def aftermath(self, rows):
        """Who works by the calendars, and what they will work by."""
        said, others = [], Calendar.objects.exclude(pk__in=[row.pk for row in rows])
        for row in rows:
            people = User.objects.filter(calendar=row, is_active=True)
            count, names = people.count(), ", ".join(str(user) for user in people[:NAMED_PEOPLE])
            names += " " + _("and %s more") % num(count - NAMED_PEOPLE) if count > NAMED_PEOPLE else ""
            told = ngettext(
                "%(n)s person works by “%(calendar)s”: %(names)s.",
                "%(n)s people work by “%(calendar)s”: %(names)s.",
                count,
            )
            told = told if count else _("Nobody works by “%(calendar)s”.")
            said.append(told % {"calendar": row, "n": num(count), "names": names})
        if not User.objects.filter(calendar__in=[row.pk for row in rows], is_active=True).exists():
            return said
        if default := others.filter(is_default=True).first():
            return [*said, _("Afterwards they will work by “%s”, the default.") % default]
        return [*said, _("Afterwards they will have no calendar: they will count as at work at every hour.")]


@admin.register(Absence)
class AbsenceAdmin(SettingsAdmin):
    list_display = ["user", "starts_at", "ends_at", "reason"]
    list_select_related = ["user"]


class OrganisationForm(forms.ModelForm):
    """Codes are chosen by their names; a code that was typed in before stays in the list."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for name, names in (("currency", _currencies()), ("time_zone", ZONES), ("region", _regions())):
            field, kept = self.fields[name], getattr(self.instance, name)
            known = names if kept in dict(names) else [(kept, kept), *names]
            self.fields[name] = forms.ChoiceField(label=field.label, help_text=field.help_text, choices=known)


def _currencies():
    return [(code, f"{code} — {get_currency_name(code, locale=get_language() or 'en')}") for code in SYMBOLS]


def _regions():
    names = Locale.parse(get_language() or "en").territories
    found = [(code, f"{names.get(code, code)} (+{country_code_for_region(code)})") for code in SUPPORTED_REGIONS]
    return sorted(found, key=lambda pair: pair[1])


@admin.register(Organisation)
class OrganisationAdmin(SettingsAdmin):
    form = OrganisationForm
    list_display = ["name", "currency", "time_zone", "language"]

    def has_add_permission(self, request):
        return not Organisation.objects.exists()

    def has_delete_permission(self, request, obj=None):
        return False


@admin.register(ApiKey)
class ApiKeyAdmin(SettingsAdmin):
    list_display = ["name", "prefix", "user", "is_active", "created_at", "used_at"]
    list_select_related = ["user"]
    readonly_fields = ["prefix", "created_at", "used_at"]

    about = gettext_lazy(
        "Keys with which other programs read and write by the API, each with the rights of a colleague."
    )

    def get_fields(self, request, obj=None):
        return ["name", "user", "is_active", *(self.readonly_fields if obj else [])]

    def get_form(self, request, obj=None, **kwargs):
        whose = _("The key may do what this colleague may do.")
        shown = "" if obj else " " + _("The key itself is shown once, when it has been saved.")
        return super().get_form(request, obj, **kwargs | {"help_texts": {"user": whose + shown}})

    def save_model(self, request, obj, form, change):
        if change:
            return super().save_model(request, obj, form, change)
        made, token = ApiKey.issue(name=obj.name, user=obj.user)
        obj.pk, obj.prefix, obj.digest = made.pk, made.prefix, made.digest
        text = _("The key, shown this once: %s")
        return self.message_user(request, text % token, messages.WARNING)


class JobKind(admin.SimpleListFilter):
    title, parameter_name = gettext_lazy("to do"), "task"

    def lookups(self, request, model_admin):
        return sorted(Job.TITLES.items(), key=lambda pair: str(pair[1]))

    def queryset(self, request, queryset):
        return queryset.filter(task=self.value()) if self.value() else queryset


class JobState(admin.SimpleListFilter):
    title, parameter_name = COLUMNS["state"], "dead__exact"

    def lookups(self, request, model_admin):
        return [("1", JOB_STATES[True]), ("0", JOB_STATES[False])]

    def queryset(self, request, queryset):
        return queryset.filter(dead=self.value() == "1") if self.value() in {"0", "1"} else queryset


class JobQueue(admin.SimpleListFilter):
    title, parameter_name = COLUMNS["queue"], "queue"

    def lookups(self, request, model_admin):
        return Job.QUEUES.items()

    def queryset(self, request, queryset):
        return queryset.filter(queue=self.value()) if self.value() else queryset


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    list_display = ["title", "state", "why", "due_at", "attempts", "crashes", "waits_in"]
    list_filter = [JobState, JobQueue, JobKind]
    search_fields = ["=ref"]
    fields = [
        "title", "state", "subject", "outcome", "waits_in", "due_at", "attempts", "crashes", "created_at", "technical",
    ]  # fmt: skip
    actions = ["replay"]

    @admin.display(description=gettext_lazy("to do"), ordering="task")
    def title(self, job):
        return job.title

    @admin.display(description=COLUMNS["state"], ordering="dead")
    def state(self, job):
        return JOB_STATES[job.dead]

    @admin.display(description=gettext_lazy("what happened"))
    def why(self, job):
        return Truncator(job.why).chars(WHY)

    @admin.display(description=COLUMNS["ref"])
    def subject(self, job):
        """The number of what it is about, with a link where that has a page."""
        page = JOB_PAGES.get(job.task)
        if not (job.about and page):
            return job.about or "—"
        return format_html('<a href="{}">{}</a>', reverse(page, args=[job.number]), job.about)

    @admin.display(description=gettext_lazy("what happened"))
    def outcome(self, job):
        if not job.dead:
            return _("It failed and is tried again by itself.") if job.error else "—"
        said = _(
            "It failed %s times and is not tried any more. When the cause is mended, choose “Run again” in the list."
        )
        return said % (job.attempts + job.crashes)

    @admin.display(description=gettext_lazy("technical detail"))
    def technical(self, job):
        if not job.error:
            return "—"
        told = '<details><summary>{}</summary><pre class="long-word">{}</pre></details>'
        return format_html(told, Truncator(job.why).chars(WHY), job.error)

    @admin.display(description=COLUMNS["queue"], ordering="queue")
    def waits_in(self, job):
        return Job.QUEUES.get(job.queue, job.queue)

    @admin.action(description=gettext_lazy("Run again"), permissions=["view"])
    def replay(self, request, queryset):
        count = jobs.replay(queryset)
        text = ngettext("%(count)d job will run again.", "%(count)d jobs will run again.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)


class ActionKind(admin.SimpleListFilter):
    title, parameter_name = gettext_lazy("action"), "action"

    def lookups(self, request, model_admin):
        return AuditEntry.ACTIONS.items()

    def queryset(self, request, queryset):
        return queryset.filter(action=self.value()) if self.value() else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ["at", "user", "said", "about"]
    list_filter = [ActionKind]
    list_select_related = ["user"]
    fields = ["at", "user", "said", "about", "facts"]

    @admin.display(description=COLUMNS["ref"])
    def about(self, entry):
        return entry.subject

    @admin.display(description=gettext_lazy("action"))
    def said(self, entry):
        return entry.what

    @admin.display(description=COLUMNS["details"])
    def facts(self, entry):
        return pairs(entry.facts)
