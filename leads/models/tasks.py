import secrets

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class TaskQuerySet(models.QuerySet):
    def visible_to(self, user):
        """Own tasks, and those on leads that the user sees."""
        if user.sees_all:
            return self
        leads = self.model._meta.get_field("lead").related_model.objects.visible_to(user)
        return self.filter(Q(assignee=user) | Exists(leads.filter(pk=OuterRef("lead"))))

    def editable_by(self, user):
        return self.visible_to(user) if user.can_edit_leads else self.none()

    def open(self):
        return self.filter(done_at=None)


class Task(models.Model):
    class Kind(models.TextChoices):
        CALL = "call", _("call")
        LETTER = "letter", pgettext_lazy("letter", "email")
        MEETING = "meeting", _("meeting")
        TODO = "todo", _("to do")

    person = models.ForeignKey("leads.Person", models.CASCADE, related_name="tasks")
    lead = models.ForeignKey("leads.Lead", models.CASCADE, null=True, related_name="tasks", db_index=False)
    deal_ref = models.BigIntegerField(null=True)
    kind = models.CharField(_("kind"), max_length=7, choices=Kind, default=Kind.CALL)
    title = models.CharField(_("what to do"), max_length=200)
    due_at = models.DateTimeField(_("due"))
    assignee = models.ForeignKey("core.User", models.PROTECT, null=True, related_name="tasks")
    by = models.ForeignKey("core.User", models.PROTECT, null=True, related_name="+")
    dedup = models.CharField(max_length=80, null=True, unique=True)  # set by automation: made once
    created_at = models.DateTimeField(db_default=Now())
    done_at = models.DateTimeField(null=True)
    done_by = models.ForeignKey("core.User", models.PROTECT, null=True, related_name="+")

    objects = TaskQuerySet.as_manager()

    class Meta:
        verbose_name, verbose_name_plural = _("task"), _("tasks")
        indexes = [
            models.Index(fields=["assignee", "due_at"], condition=Q(done_at=None), name="leads_task_open"),
            models.Index(fields=["lead", "due_at"], name="leads_task_lead"),
            models.Index(fields=["deal_ref", "due_at"], condition=Q(deal_ref__isnull=False), name="leads_task_deal"),
        ]

    def __str__(self):
        return self.title


def new_key():
    return secrets.token_urlsafe(32)


class TaskFeed(models.Model):
    """The secret address of a colleague's calendar; renewing it shuts out whoever holds the old one."""

    user = models.OneToOneField("core.User", models.CASCADE, related_name="task_feed")
    key = models.CharField(max_length=64, unique=True, default=new_key)

    def __str__(self):
        return str(self.user)

    @classmethod
    def of(cls, user):
        return cls.objects.get_or_create(user=user)[0]

    @classmethod
    def renew(cls, user):
        return cls.objects.update_or_create(user=user, defaults={"key": new_key()})[0]
