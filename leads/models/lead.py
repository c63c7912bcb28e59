from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Concat, Lower, Now, Replace, Right
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django_fsm import GET_STATE, FSMField, transition

from crm.core.fields import RefreshMixin, StageField
from crm.core.funnel import resolve
from crm.core.models import StageMoveBase
from crm.core.naming import numbered
from crm.core.owned import OwnedQuerySet


class Status(models.TextChoices):
    OPEN = "open", pgettext_lazy("lead state", "open")
    CONVERTED = "converted", pgettext_lazy("lead state", "converted")
    REJECTED = "rejected", pgettext_lazy("lead state", "rejected")


class Band(models.TextChoices):
    COLD = "cold", pgettext_lazy("readiness", "cold")
    WARM = "warm", pgettext_lazy("readiness", "warm")
    HOT = "hot", pgettext_lazy("readiness", "hot")


class Qualification(models.IntegerChoices):
    NONE = 0, pgettext_lazy("qualification", "not qualified")
    MQL = 1, "MQL"
    SQL = 2, "SQL"


class LeadQuerySet(OwnedQuerySet):
    kind = "lead"

    def untouched(self):
        """Open leads that no colleague has answered yet: their clock is running."""
        return self.filter(status=Status.OPEN, waiting_since__isnull=False)


class Lead(RefreshMixin, models.Model):
    """An enquiry being worked. Contact fields are the lead's own copy, for lists and search; the truth of who the
    person is stands in Identity."""

    person = models.ForeignKey("leads.Person", models.PROTECT, related_name="leads", db_index=False)
    company = models.ForeignKey("leads.Company", models.SET_NULL, null=True, blank=True, related_name="leads")

    name = models.CharField(pgettext_lazy("person", "name"), max_length=200, blank=True)
    phone = models.CharField(_("phone"), max_length=20, blank=True)  # E.164
    email = models.CharField(_("email"), max_length=254, blank=True)
    company_name = models.CharField(_("company"), max_length=200, blank=True)
    job_title = models.CharField(_("job title"), max_length=200, blank=True)
    city = models.CharField(_("city"), max_length=120, blank=True)
    region = models.CharField(_("region"), max_length=120, blank=True)
    country = models.CharField(_("country"), max_length=60, blank=True)
    language = models.CharField(_("language"), max_length=5, blank=True)
    industry = models.CharField(_("industry"), max_length=120, blank=True)
    company_size = models.PositiveIntegerField(_("employees"), null=True, blank=True)
    product = models.CharField(_("product"), max_length=200, blank=True)
    need = models.TextField(_("need"), blank=True)
    budget = models.DecimalField(_("budget"), max_digits=14, decimal_places=2, null=True, blank=True)
    authority = models.CharField(_("who decides"), max_length=200, blank=True)
    decision_date = models.DateField(_("decision date"), null=True, blank=True)
    tags = ArrayField(models.CharField(max_length=40), verbose_name=_("tags"), default=list, blank=True)
    custom = models.JSONField(default=dict, blank=True)

    source = models.ForeignKey("leads.Source", models.PROTECT, null=True, related_name="leads")
    first_origin = models.ForeignKey("leads.Origin", models.PROTECT, null=True, related_name="first_leads")
    last_origin = models.ForeignKey(
        "leads.Origin", models.PROTECT, null=True, related_name="last_leads", db_index=False
    )
    first_campaign = models.CharField(max_length=120, blank=True)
    last_campaign = models.CharField(max_length=120, blank=True)

    pipeline = models.ForeignKey("core.Pipeline", models.PROTECT, related_name="+", db_index=False)
    stage = StageField("core.Stage", models.PROTECT, protected=True, related_name="leads", db_index=False)
    status = FSMField(_("state"), max_length=9, choices=Status.choices, default=Status.OPEN, protected=True)
    stage_entered_at = models.DateTimeField(db_default=Now())
    version = models.PositiveIntegerField(default=0)  # counts moves: a board that shows an older one is stale
    rejected_reason = models.ForeignKey(
        "core.Reason", models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    closed_at = models.DateTimeField(null=True, blank=True)

    owner = models.ForeignKey("core.User", models.PROTECT, null=True, blank=True, related_name="leads", db_index=False)
    team = models.ForeignKey("core.Team", models.PROTECT, null=True, blank=True, related_name="leads", db_index=False)
    assigned_at = models.DateTimeField(null=True)
    parked_until = models.DateTimeField(null=True)  # in the pool: nobody is at work before then

    score = models.IntegerField(_("score"), default=0)  # = sum of the evidence rows
    fit = models.IntegerField(default=0)
    engagement = models.IntegerField(default=0)
    band = models.CharField(_("readiness"), max_length=4, choices=Band, default=Band.COLD)
    qualification = models.PositiveSmallIntegerField(choices=Qualification, default=Qualification.NONE)
    mql_at = models.DateTimeField(null=True)
    sql_at = models.DateTimeField(null=True)

    created_at = models.DateTimeField(_("created"), db_default=Now())
    active_at = models.DateTimeField(_("last activity"), db_default=Now())
    waiting_since = models.DateTimeField(null=True)  # the speed-to-lead clock runs; null: answered
    answered_at = models.DateTimeField(null=True)  # first human touch after the enquiry
    next_step_at = models.DateTimeField(null=True)  # soonest open task
    merged_into = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="+", editable=False, db_index=False
    )
    is_imported = models.BooleanField(default=False)  # came by a list: greeted by nobody, no clock

    search = models.GeneratedField(
        expression=Replace(
            Lower(Concat("name", Value(" "), "phone", Value(" "), "email", Value(" "), "company_name")),
            Value("ё"),
            Value("е"),
        ),
        output_field=models.TextField(),
        db_persist=True,
    )
    phone_tail = models.GeneratedField(
        expression=Right("phone", 4), output_field=models.CharField(max_length=4), db_persist=True
    )

    objects = LeadQuerySet.as_manager()
    # What a stage may ask for before a card enters it.
    GATED = (
        "name", "phone", "email", "company_name", "job_title", "city", "region", "industry", "company_size", "product",
        "need", "budget", "authority", "decision_date",
    )  # fmt: skip

    class Meta:
        verbose_name, verbose_name_plural = _("lead"), _("leads")
        constraints = [
            models.CheckConstraint(
                condition=Q(status=Status.OPEN, closed_at=None) | (~Q(status=Status.OPEN) & Q(closed_at__isnull=False)),
                name="leads_lead_closed_has_time",
            ),
            models.CheckConstraint(
                condition=Q(status=Status.REJECTED) | Q(rejected_reason=None), name="leads_lead_reason_only_rejected"
            ),
        ]
        indexes = [
            GinIndex(OpClass("search", "gin_trgm_ops"), name="leads_lead_search"),
            models.Index(fields=["phone_tail"], name="leads_lead_phone_tail"),
            models.Index(fields=["-created_at", "-id"], name="leads_lead_created"),
            models.Index(fields=["owner", "-created_at", "-id"], name="leads_lead_owner_created"),
            models.Index(fields=["team", "-created_at", "-id"], name="leads_lead_team_created"),
            models.Index(fields=["-active_at", "-id"], name="leads_lead_active"),
            models.Index(fields=["owner", "-active_at", "-id"], name="leads_lead_owner_active"),
            models.Index(fields=["team", "-active_at", "-id"], name="leads_lead_team_active"),
            models.Index(fields=["owner", "-score", "-id"], name="leads_lead_owner_score"),
            models.Index(fields=["team", "-score", "-id"], name="leads_lead_team_score"),
            models.Index(fields=["-score", "-id"], name="leads_lead_score"),
            models.Index(fields=["stage", "-score", "-id"], condition=Q(status=Status.OPEN), name="leads_lead_board"),
            models.Index(
                fields=["owner", "stage", "-score", "-id"],
                condition=Q(status=Status.OPEN),
                name="leads_lead_owner_board",
            ),
            models.Index(
                fields=["team", "stage", "-score", "-id"], condition=Q(status=Status.OPEN), name="leads_lead_team_board"
            ),
            models.Index(
                fields=["owner", "waiting_since"],
                condition=Q(status=Status.OPEN, waiting_since__isnull=False),
                name="leads_lead_waiting",
            ),
            models.Index(
                fields=["parked_until"],
                condition=Q(status=Status.OPEN, owner__isnull=True),
                name="leads_lead_pool",
            ),
            models.Index(fields=["person", "-id"], name="leads_lead_person"),
            models.Index(fields=["merged_into"], condition=Q(merged_into__isnull=False), name="leads_lead_merged"),
            models.Index(fields=["email"], condition=~Q(email=""), name="leads_lead_email"),
        ]

    def __str__(self):
        return self.name or self.phone or self.email or numbered(self.pk)

    @transition(field=stage, source="*", target=GET_STATE(lambda self, to, by=None: resolve(self, to, by=by)))
    def move(self, to, *, by=None):
        """To another stage of the funnel; refused by edge, role or gate before anything is saved."""

    @transition(field=status, source=Status.OPEN, target=Status.CONVERTED)
    def convert(self):
        """A deal has been opened from it."""

    @transition(field=status, source=Status.OPEN, target=Status.REJECTED)
    def reject(self, reason):
        self.rejected_reason = reason

    @transition(field=status, source=[Status.CONVERTED, Status.REJECTED], target=Status.OPEN)
    def reopen(self):
        self.rejected_reason, self.closed_at = None, None


class StageMove(StageMoveBase):
    # db_index=False, here and in other big tables: one of the indexes below begins with the column.
    lead = models.ForeignKey(Lead, models.CASCADE, related_name="stage_moves", db_index=False)

    class Meta:
        verbose_name, verbose_name_plural = _("stage move"), _("stage moves")
        indexes = [
            models.Index(fields=["lead", "id"], include=["to_stage", "kind", "at"], name="leads_stagemove_lead"),
            models.Index(fields=["at"], name="leads_stagemove_at"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["lead"], condition=Q(from_stage=None), name="leads_stagemove_enters_once")
        ]

    def __str__(self):
        return f"{numbered(self.lead_id)}: {self.get_kind_display()}"


class Assignment(models.Model):
    """One change of owner, with why; append-only.

    ``trace``: the rules tried, in order: ``[{"rule", "name", "matched", "why", "candidates", "before", "after"}]``.
    """

    class How(models.TextChoices):
        RULE = "rule", _("by a rule")
        POOL = "pool", _("from the pool")
        HAND = "hand", _("by hand")
        RETURN = "return", _("the previous owner")
        IMPORT = "import", _("by import")
        NOBODY = "nobody", _("nobody at work")

    lead = models.ForeignKey(Lead, models.CASCADE, related_name="assignments", db_index=False)
    from_owner = models.ForeignKey("core.User", models.PROTECT, null=True, related_name="+", db_index=False)
    to_owner = models.ForeignKey("core.User", models.PROTECT, null=True, related_name="assignments", db_index=False)
    how = models.CharField(max_length=8, choices=How)
    at = models.DateTimeField(db_default=Now())
    by = models.ForeignKey("core.User", models.PROTECT, null=True, related_name="+", db_index=False)
    trace = models.JSONField(default=list)

    class Meta:
        verbose_name, verbose_name_plural = _("assignment"), _("assignments")
        indexes = [
            models.Index(fields=["lead", "-id"], name="leads_assignment_lead"),
            models.Index(fields=["to_owner", "at"], name="leads_assignment_to"),
        ]

    def __str__(self):
        return f"{self.lead_id} → {self.to_owner_id}"
