import hashlib
import re
import secrets
from urllib.parse import parse_qsl

from django.apps import apps
from django.contrib.auth.models import AbstractUser
from django.contrib.auth.models import UserManager as DjangoUserManager
from django.db import models
from django.utils.formats import number_format
from django.utils.text import capfirst
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

KEY = re.compile("[1-9][0-9]{0,8}")  # of a row that an address names


class Role(models.TextChoices):
    MANAGER = "manager", _("Sales manager")
    HEAD = "head", _("Head of sales")
    MARKETER = "marketer", _("Marketer")
    ADMIN = "admin", _("Administrator")


class Grade(models.IntegerChoices):
    JUNIOR = 1, pgettext_lazy("grade", "Junior")
    MIDDLE = 2, pgettext_lazy("grade", "Middle")
    SENIOR = 3, pgettext_lazy("grade", "Senior")
    EXPERT = 4, pgettext_lazy("grade", "Expert")


class UserQuerySet(models.QuerySet):
    def visible_to(self, user):
        """People whom ``user`` may see by name: all colleagues who can sign in or own something."""
        return self if user.is_active else self.none()

    def sellers(self):
        """People who can own leads."""
        return self.filter(is_active=True, role__in=[Role.MANAGER, Role.HEAD])

    def owners_for(self, user):
        """Whom ``user`` may make an owner."""
        if user.sees_all:
            return self.sellers()
        if user.is_head:
            return self.sellers().filter(models.Q(team__heads=user) | models.Q(pk=user.pk)).distinct()
        return self.sellers().filter(team_id=user.team_id) if user.team_id else self.sellers().filter(pk=user.pk)


class UserManager(DjangoUserManager.from_queryset(UserQuerySet)):
    pass


class User(AbstractUser):
    role = models.CharField(_("role"), max_length=10, choices=Role, default=Role.MANAGER)
    team = models.ForeignKey("core.Team", models.SET_NULL, null=True, blank=True, related_name="members")
    sees_team = models.BooleanField(
        _("sees the team's leads"), default=False, help_text=_("A manager otherwise sees own leads only.")
    )
    may_export = models.BooleanField(_("may export"), default=False)
    grade = models.PositiveSmallIntegerField(_("grade"), choices=Grade, default=Grade.MIDDLE)
    skills = models.ManyToManyField("core.Skill", verbose_name=_("skills"), blank=True)
    capacity = models.PositiveIntegerField(
        _("capacity"), default=0, help_text=_("Open leads at most; 0: no limit. Rules that go by load respect it.")
    )
    weight = models.PositiveSmallIntegerField(
        _("share"), default=1, help_text=_("2 gets twice the leads of 1; 0 gets none.")
    )
    takes_leads = models.BooleanField(_("takes leads"), default=True, help_text=_("Off: routing passes by."))
    language = models.CharField(
        _("language"), max_length=5, blank=True, choices=[("ru", "Русский"), ("en", "English")], default=""
    )
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True, help_text=_("IANA name; empty: company's."))
    theme = models.CharField(
        _("theme"),
        max_length=5,
        default="auto",
        choices=[
            ("auto", pgettext_lazy("theme", "As the system")),
            ("light", pgettext_lazy("theme", "Light")),
            ("dark", pgettext_lazy("theme", "Dark")),
        ],
    )
    calendar = models.ForeignKey(
        "core.Calendar", models.SET_NULL, null=True, blank=True, verbose_name=_("working calendar")
    )
    job_title = models.CharField(_("job title"), max_length=80, blank=True)
    phone = models.CharField(_("phone"), max_length=20, blank=True)
    signature = models.TextField(_("email signature"), blank=True)

    objects = UserManager()

    class Meta(AbstractUser.Meta):
        ordering = ["last_name", "first_name", "username"]
        verbose_name, verbose_name_plural = _("user"), _("users")

    def __str__(self):
        return self.get_full_name() or self.username

    @property
    def is_head(self):
        return self.role == Role.HEAD

    @property
    def is_manager(self):
        return self.role == Role.MANAGER

    @property
    def is_marketer(self):
        return self.role == Role.MARKETER

    @property
    def is_administrator(self):
        return self.role == Role.ADMIN

    @property
    def sees_all(self):
        """Marketers and administrators see every lead."""
        return self.role in {Role.ADMIN, Role.MARKETER}

    @property
    def can_edit_leads(self):
        """Marketers see contacts and do not work leads."""
        return self.role != Role.MARKETER

    @property
    def can_change_owner(self):
        return self.role in {Role.HEAD, Role.ADMIN, Role.MANAGER}

    @property
    def can_export(self):
        return self.may_export or self.role in {Role.HEAD, Role.ADMIN}

    @property
    def may_import(self):
        """Bring in lists."""
        return self.role in {Role.HEAD, Role.MARKETER, Role.ADMIN}

    def save(self, *args, **kwargs):
        # The role decides who enters the admin: one fact, not two that can part.
        self.is_staff = self.is_superuser = self.role == Role.ADMIN
        if (fields := kwargs.get("update_fields")) is not None and "role" in fields:
            kwargs["update_fields"] = {*fields, "is_staff", "is_superuser"}
        super().save(*args, **kwargs)


class ApiKey(models.Model):
    """A bearer token of ``/api/v1/``; acts with the rights of its user. Only a digest is kept."""

    name = models.CharField(_("name"), max_length=80)
    user = models.ForeignKey(User, models.CASCADE, related_name="api_keys")
    prefix = models.CharField(max_length=8, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    is_active = models.BooleanField(_("active"), default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["name"]
        verbose_name, verbose_name_plural = _("API key"), _("API keys")

    def __str__(self):
        return f"{self.name} ({self.prefix}…)"

    @staticmethod
    def digest_of(token):
        return hashlib.sha256(token.encode()).hexdigest()

    @classmethod
    def issue(cls, *, name, user):
        """Make a key; return (key, token). The token is shown once and cannot be read again."""
        token = secrets.token_urlsafe(32)
        return cls.objects.create(name=name, user=user, prefix=token[:8], digest=cls.digest_of(token)), token


class AuditEntry(models.Model):
    """Who exported, signed in as, or changed what an administrator should be able to ask about."""

    ACTIONS = {
        "export": _("rows were exported"),
        "import": _("a list was imported or taken back"),
        "person_erased": _("a client was erased"),
        "receipt_forced": _("a refused enquiry was made a lead"),
        "receipt_replayed": _("an enquiry was read again"),
        "receipts_replayed": _("enquiries were read again"),
        "referral_rewarded": _("a recommendation was rewarded"),
        "sequence_changed": _("a sequence was changed"),
        "template_changed": _("a template was changed"),
        "source_added": _("a source was added"),
        "source_changed": _("a source was changed"),
        "source_secret_changed": _("the secret of a source was changed"),
        "webhook_set": _("a messenger was told where to send"),
    }

    FACTS = {  # names of details
        "query": _("filter"),
        "filters": _("filter"),
        "format": _("file format"),
        "form": _("file format"),
        "rows": _("rows"),
        "import": _("number of the import"),
        "size": _("size, bytes"),
        "started": _("started"),
        "undone": _("taken back"),
        "sets_going": _("rules and sequences act on it"),
        "reason": _("reason"),
        "count": _("enquiries"),
        "leads": _("leads"),
        "signs": _("phones and addresses deleted"),
        "said": _("answer"),
        "pk": _("number"),
    }

    FILTERS = {  # names and values of what a list was narrowed by
        "q": pgettext_lazy("filter", "search"),
        "attention": pgettext_lazy("filter", "needs attention"),
        "band": pgettext_lazy("filter", "readiness"),
        "tag": pgettext_lazy("filter", "tag"),
        "since": pgettext_lazy("filter", "from"),
        "until": pgettext_lazy("filter", "until"),
        "sort": pgettext_lazy("filter", "order"),
        "state": pgettext_lazy("column", "state"),
        "qualification": pgettext_lazy("column", "qualification"),
        "owner": pgettext_lazy("column", "owner"),
        "stage": pgettext_lazy("column", "stage"),
        "origin": pgettext_lazy("column", "origin"),
        "source": pgettext_lazy("column", "source"),
        "team": pgettext_lazy("column", "team"),
        "period": pgettext_lazy("filter", "period"),
        "start": pgettext_lazy("filter", "from"),
        "end": pgettext_lazy("filter", "until"),
        "as_of": pgettext_lazy("filter", "as of"),
        "touch": pgettext_lazy("filter", "counted by"),
        "step": pgettext_lazy("filter", "by"),
    }
    CODES = {
        "all": pgettext_lazy("filter", "any"),
        "open": pgettext_lazy("filter", "open"),
        "converted": pgettext_lazy("filter", "converted to a deal"),
        "rejected": pgettext_lazy("filter", "rejected"),
        "won": pgettext_lazy("filter", "won"),
        "lost": pgettext_lazy("filter", "lost"),
        "hot": pgettext_lazy("filter", "hot"),
        "warm": pgettext_lazy("filter", "warm"),
        "cold": pgettext_lazy("filter", "cold"),
        "me": pgettext_lazy("filter", "me"),
        "none": pgettext_lazy("filter", "no owner"),
        "waiting": pgettext_lazy("filter", "waiting for an answer"),
        "overdue": pgettext_lazy("filter", "next step overdue"),
        "no_step": pgettext_lazy("filter", "no next step"),
        "unassigned": pgettext_lazy("filter", "no owner"),
        "stuck": pgettext_lazy("filter", "too long at the stage"),
        "custom": pgettext_lazy("filter", "by dates"),
        "first": pgettext_lazy("filter", "first touch"),
        "last": pgettext_lazy("filter", "last touch"),
        "day": pgettext_lazy("filter", "day"),
        "week": pgettext_lazy("filter", "week"),
        "month": pgettext_lazy("filter", "month"),
    }
    NUMBERED = {  # their values are numbers of rows
        "owner": "core.User",
        "stage": "core.Stage",
        "team": "core.Team",
        "origin": "leads.Origin",
        "source": "leads.Source",
    }

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    user = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    action = models.CharField(max_length=40)
    subject = models.CharField(max_length=120, blank=True)
    details = models.JSONField(default=dict)

    class Meta:
        ordering = ["-pk"]
        verbose_name, verbose_name_plural = _("audit entry"), _("audit log")

    def __str__(self):
        return f"{self.user or '—'}: {self.what}"

    @property
    def what(self):
        return str(self.ACTIONS.get(self.action, self.action))

    @property
    def facts(self):
        """(name, value) of its details in the reader's words; what was asked for in an address as its parts."""
        names = self.FILTERS | self.FACTS  # a report keeps what it was narrowed by one by one
        return [(capfirst(names.get(name, name)), _in_words(name, value)) for name, value in self.details.items()]


def _in_words(name, value):
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, int | float):
        return number_format(value, force_grouping=True)
    if name in {"query", "filters"} and isinstance(value, str | dict):
        return _filter_in_words(value)
    if name in AuditEntry.FILTERS and isinstance(value, str):
        return ", ".join(_chosen(name, [value])) or "—"
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_in_words(key, one)}" for key, one in value.items()) or "—"
    return ", ".join(map(str, value)) if isinstance(value, list) else value or "—"


def _filter_in_words(query):
    """What a list was narrowed by, as its page calls it."""
    stated = {}
    for key, one in parse_qsl(query) if isinstance(query, str) else query.items():
        stated.setdefault(key, []).extend(one if isinstance(one, list) else [one])
    said = [f"{AuditEntry.FILTERS.get(key, key)}: {', '.join(_chosen(key, values))}" for key, values in stated.items()]
    return "; ".join(said) or "—"


def _chosen(key, values):
    """The values of a filter in words: rows by their names, of those that are no more the numbers."""
    values = [str(one) for one in values if one != ""]
    if key not in AuditEntry.NUMBERED:
        return [str(AuditEntry.CODES.get(one, one)) for one in values]
    model = apps.get_model(AuditEntry.NUMBERED[key])
    numbers = {one for one in values if KEY.fullmatch(one)}
    names = {str(row.pk): str(row) for row in model._base_manager.filter(pk__in=numbers)}
    numbered = {one: gettext("#%s") % one for one in numbers}
    return [str((AuditEntry.CODES | numbered | names).get(one, one)) for one in values]


class SavedView(models.Model):
    """A named set of filters of one list: ``page`` is the list's URL name, ``query`` its query string."""

    user = models.ForeignKey(User, models.CASCADE, related_name="saved_views")
    page = models.CharField(max_length=40)
    name = models.CharField(_("name"), max_length=80)
    query = models.CharField(max_length=2000, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["user", "page", "name"], name="core_savedview_once")]

    def __str__(self):
        return self.name
