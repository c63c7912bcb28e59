from decimal import ROUND_HALF_UP, Decimal

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Lower, Now, Replace
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django_fsm import GET_STATE, FSMField, transition

from crm.core.fields import RefreshMixin, StageField
from crm.core.funnel import resolve
from crm.core.models import StageMoveBase
from crm.core.naming import numbered
from crm.core.owned import OwnedQuerySet


class Status(models.TextChoices):
    OPEN = "open", pgettext_lazy("deal state", "open")
    WON = "won", pgettext_lazy("deal state", "won")
    LOST = "lost", pgettext_lazy("deal state", "lost")


class Product(models.Model):
    name = models.CharField(_("name"), max_length=200, unique=True)
    price = models.DecimalField(_("price"), max_digits=14, decimal_places=2, default=0)
    unit = models.CharField(_("unit"), max_length=20, blank=True)
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        ordering = ["name"]
        verbose_name, verbose_name_plural = _("product"), _("products")

    def __str__(self):
        return self.name


def _boards():
    """A column in order for all, an owner and a team; with the money, so that its sum never reads the table."""
    for who in ("", "owner", "team"):
        yield models.Index(
            fields=[*filter(None, [who]), "stage", "-active_at", "-id"],
            include=["amount", "currency"],
            condition=Q(status=Status.OPEN),
            name=f"deals_deal_{who}_board" if who else "deals_deal_board",
        )


def _lists(order):
    for who in ("", "owner", "team"):
        fields = [*filter(None, [who]), f"-{order}_at", "-id"]
        yield models.Index(fields=fields, name=f"deals_deal_{who}_{order}" if who else f"deals_deal_{order}")


class DealQuerySet(OwnedQuerySet):
    kind = "deal"


class Deal(RefreshMixin, models.Model):
    """Money that a person may bring: several deals a person, of which a lead opened the first."""

    person = models.ForeignKey("leads.Person", models.PROTECT, related_name="deals", db_index=False)
    company = models.ForeignKey("leads.Company", models.SET_NULL, null=True, blank=True, related_name="deals")
    lead = models.ForeignKey("leads.Lead", models.PROTECT, null=True, related_name="deals")
    title = models.CharField(_("title"), max_length=200)
    amount = models.DecimalField(
        _("amount"), max_digits=14, decimal_places=2, null=True, blank=True, validators=[MinValueValidator(Decimal(0))]
    )
    currency = models.CharField(_("currency"), max_length=3, default="RUB")
    expected_close = models.DateField(_("expected close"), null=True, blank=True)
    terms = models.TextField(_("terms"), blank=True)

    pipeline = models.ForeignKey("core.Pipeline", models.PROTECT, related_name="+", db_index=False)
    stage = StageField("core.Stage", models.PROTECT, protected=True, related_name="deals")
    status = FSMField(_("state"), max_length=4, choices=Status.choices, default=Status.OPEN, protected=True)
    stage_entered_at = models.DateTimeField(db_default=Now())
    version = models.PositiveIntegerField(default=0)
    lost_reason = models.ForeignKey(
        "core.Reason", models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    closed_at = models.DateTimeField(null=True, blank=True)

    owner = models.ForeignKey("core.User", models.PROTECT, null=True, blank=True, related_name="deals", db_index=False)
    team = models.ForeignKey("core.Team", models.PROTECT, null=True, blank=True, related_name="deals", db_index=False)
    created_at = models.DateTimeField(db_default=Now())
    active_at = models.DateTimeField(db_default=Now())
    next_step_at = models.DateTimeField(null=True)
    is_imported = models.BooleanField(default=False)

    search = models.GeneratedField(
        expression=Replace(Lower("title"), Value("ё"), Value("е")), output_field=models.TextField(), db_persist=True
    )

    objects = DealQuerySet.as_manager()
    GATED = ("amount", "expected_close", "terms")  # what a stage may ask for before a card enters it

    class Meta:
        verbose_name, verbose_name_plural = _("deal"), _("deals")
        constraints = [
            models.UniqueConstraint(fields=["lead"], condition=Q(lead__isnull=False), name="deals_deal_once_a_lead"),
            models.CheckConstraint(condition=Q(amount__gte=0) | Q(amount=None), name="deals_deal_amount"),
            models.CheckConstraint(
                condition=Q(status=Status.OPEN, closed_at=None) | (~Q(status=Status.OPEN) & Q(closed_at__isnull=False)),
                name="deals_deal_closed_has_time",
            ),
            models.CheckConstraint(
                condition=Q(status=Status.LOST) | Q(lost_reason=None), name="deals_deal_reason_only_lost"
            ),
        ]
        indexes = [
            GinIndex(OpClass("search", "gin_trgm_ops"), name="deals_deal_search"),
            *_boards(),
            *_lists("created"),
            *_lists("active"),
            models.Index(fields=["person", "-id"], name="deals_deal_person"),
            models.Index(fields=["closed_at"], condition=Q(status=Status.WON), name="deals_deal_won"),
        ]

    def __str__(self):
        return self.title

    @property
    def is_open(self):
        return self.status == Status.OPEN

    @property
    def close_passed(self):
        """The day on which it was to be closed has gone by, and it is open."""
        return self.is_open and self.expected_close is not None and self.expected_close < timezone.localdate()

    @transition(field=stage, source="*", target=GET_STATE(lambda self, to, by=None: resolve(self, to, by=by)))
    def move(self, to, *, by=None):
        """To another stage; refused by edge, role or gate before anything is saved."""

    @transition(field=status, source=Status.OPEN, target=Status.WON)
    def win(self):
        """Sold."""

    @transition(field=status, source=Status.OPEN, target=Status.LOST)
    def lose(self, reason):
        self.lost_reason = reason

    @transition(field=status, source=[Status.WON, Status.LOST], target=Status.OPEN)
    def reopen(self):
        self.lost_reason, self.closed_at = None, None


class DealLine(models.Model):
    """A product in a deal; where there are lines, the deal's amount is their sum."""

    deal = models.ForeignKey(Deal, models.CASCADE, related_name="lines")
    product = models.ForeignKey(Product, models.PROTECT, null=True, blank=True, verbose_name=_("product"))
    title = models.CharField(_("title"), max_length=200)
    quantity = models.DecimalField(
        _("quantity"), max_digits=12, decimal_places=3, default=1, validators=[MinValueValidator(Decimal("0.001"))]
    )
    price = models.DecimalField(_("price"), max_digits=14, decimal_places=2, validators=[MinValueValidator(Decimal(0))])
    discount = models.DecimalField(
        _("discount, %"),
        max_digits=5,
        decimal_places=2,
        default=0,
        validators=[MinValueValidator(Decimal(0)), MaxValueValidator(Decimal(100))],
    )

    class Meta:
        ordering = ["id"]
        verbose_name, verbose_name_plural = _("deal line"), _("deal lines")
        constraints = [
            models.CheckConstraint(condition=Q(quantity__gt=0), name="deals_line_quantity"),
            models.CheckConstraint(condition=Q(price__gte=0), name="deals_line_price"),
            models.CheckConstraint(condition=Q(discount__gte=0, discount__lte=100), name="deals_line_discount"),
        ]

    def __str__(self):
        return self.title

    @property
    def total(self):
        """quantity × price less the discount, rounded half up to the hundredth."""
        return (self.quantity * self.price * (100 - self.discount) / 100).quantize(Decimal("0.01"), ROUND_HALF_UP)


class DealStageMove(StageMoveBase):
    deal = models.ForeignKey(Deal, models.CASCADE, related_name="stage_moves", db_index=False)
    amount = models.DecimalField(max_digits=14, decimal_places=2, null=True)  # as it was at the move

    class Meta:
        verbose_name, verbose_name_plural = _("stage move"), _("stage moves")
        indexes = [
            models.Index(fields=["deal", "id"], include=["to_stage", "kind", "at"], name="deals_stagemove_deal"),
            models.Index(fields=["at"], name="deals_stagemove_at"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["deal"], condition=Q(from_stage=None), name="deals_stagemove_enters_once")
        ]

    def __str__(self):
        return f"{numbered(self.deal_id)}: {self.get_kind_display()}"
