from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from crm.core.recent import recent


class Organisation(models.Model):
    """The one row of company-wide settings."""

    class Returning(models.TextChoices):
        LEAD = "lead", _("a new lead in the pipeline")
        DEAL = "deal", _("a new deal where the person has bought before")

    name = models.CharField(_("company"), max_length=120, default="CRM")
    currency = models.CharField(_("currency"), max_length=3, default="RUB")
    time_zone = models.CharField(_("time zone"), max_length=64, default="Europe/Moscow")
    language = models.CharField(
        _("language"), max_length=5, default="ru", choices=[("ru", "Русский"), ("en", "English")]
    )
    region = models.CharField(
        _("phone region"), max_length=2, default="RU", help_text=_("For numbers written without a country code.")
    )
    from_email = models.EmailField(_("sender of emails"), blank=True)
    returning = models.CharField(_("a client comes back as"), max_length=4, choices=Returning, default=Returning.LEAD)
    reaction_minutes = models.PositiveIntegerField(
        _("time to react, working minutes"), default=15, validators=[MinValueValidator(1), MaxValueValidator(10_000)]
    )
    role_mailboxes = models.TextField(
        _("shared mailboxes"), blank=True,
        default="info sales office mail contact hello admin support zakaz order buh hr reception pochta zakupki",
        help_text=_("Names before the @, separated by spaces: an email from there says nothing about who wrote it."),
    )  # fmt: skip
    shared_phones = models.TextField(
        _("shared phones"), blank=True,
        help_text=_("Switchboards, by commas: who calls from there is known by a second sign only."),
    )  # fmt: skip
    refused_days = models.PositiveSmallIntegerField(
        _("keep what was refused, days"), default=30, validators=[MinValueValidator(1), MaxValueValidator(3650)],
        help_text=_("Then the body of a refused enquiry is deleted; that it came and why it was refused stays."),
    )  # fmt: skip
    missed_call_minutes = models.PositiveIntegerField(_("task after an enquiry, minutes"), default=15)

    class Meta:
        verbose_name, verbose_name_plural = _("organisation"), _("organisation")
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="core_organisation_one_row")]

    def __str__(self):
        return self.name

    def save(self, *args, **kwargs):
        self.pk = 1
        super().save(*args, **kwargs)

    @classmethod
    def get(cls):
        """The row as this process has lately read it, made with defaults where it lacks. For reading."""
        return _row()

    def language_for(self, user):
        """What a colleague (or nobody) is written to in, where no browser says: their own language, else the company's."""
        return (user and user.language) or self.language


@recent
def _row():
    return Organisation.objects.filter(pk=1).first() or Organisation.objects.get_or_create(pk=1)[0]
