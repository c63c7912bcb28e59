from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class VisibleThroughCards(models.QuerySet):
    """A person or company is visible to who sees one of its leads or deals; those of nobody's lead, to heads too.

    Deals live a storey higher: they are found by the name under which they point here.
    """

    def visible_to(self, user):
        if user.sees_all:
            return self
        mine, name = Q(owner=user), self.model._meta.model_name
        for cards in ("leads", "deals"):
            seen = self.model._meta.get_field(cards).related_model.objects.visible_to(user)
            mine |= Q(pk__in=seen.values(name))
        return self.filter(mine)


class Company(models.Model):
    name = models.CharField(_("name"), max_length=200)
    name_key = models.CharField(max_length=200, unique=True)  # normalised: legal form, quotes and case dropped
    inn = models.CharField(_("tax number"), max_length=12, blank=True)
    domain = models.CharField(_("site"), max_length=120, blank=True)
    city = models.CharField(_("city"), max_length=120, blank=True)
    industry = models.CharField(_("industry"), max_length=120, blank=True)
    size = models.PositiveIntegerField(_("employees"), null=True, blank=True)
    owner = models.ForeignKey("core.User", models.SET_NULL, null=True, blank=True, related_name="companies")
    created_at = models.DateTimeField(db_default=Now())

    objects = VisibleThroughCards.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name, verbose_name_plural = _("company"), _("companies")
        indexes = [models.Index(fields=["-created_at", "-id"], name="leads_company_created")]

    def __str__(self):
        return self.name


class Person(models.Model):
    """One human being: one card for life. Leads are their enquiries, deals the money."""

    name = models.CharField(pgettext_lazy("person", "name"), max_length=200, blank=True)
    company = models.ForeignKey(Company, models.SET_NULL, null=True, blank=True, related_name="people")
    job_title = models.CharField(_("job title"), max_length=200, blank=True)
    city = models.CharField(_("city"), max_length=120, blank=True)
    language = models.CharField(_("language"), max_length=5, blank=True)
    birthday = models.DateField(_("birthday"), null=True, blank=True)
    sex = models.CharField(_("sex"), max_length=1, blank=True, choices=[("f", _("female")), ("m", _("male"))])
    preferences = models.TextField(_("preferences"), blank=True)
    owner = models.ForeignKey("core.User", models.SET_NULL, null=True, blank=True, related_name="clients")
    created_at = models.DateTimeField(db_default=Now())
    merged_into = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="+", editable=False, db_index=False
    )

    objects = VisibleThroughCards.as_manager()

    class Meta:
        verbose_name, verbose_name_plural = _("person"), _("people")
        indexes = [
            models.Index(fields=["merged_into"], condition=Q(merged_into__isnull=False), name="leads_person_merged"),
            models.Index(fields=["-created_at", "-id"], name="leads_person_created"),
        ]

    def __str__(self):
        return self.name or str(_("Unnamed"))


class Identity(models.Model):
    """How a person is known: normalised phone, e-mail, messenger id or external id; a row each.

    ``scope`` tells external ids of different files and providers apart; it is empty for phones and e-mails.
    """

    class Kind(models.TextChoices):
        PHONE = "phone", _("phone")
        EMAIL = "email", _("email")
        EXTERNAL = "external", _("external id")
        TELEGRAM = "telegram", "Telegram"
        WHATSAPP = "whatsapp", "WhatsApp"
        VK = "vk", "VK"
        CHAT = "chat", _("chat")
        VISITOR = "visitor", _("site visitor")

    person = models.ForeignKey(Person, models.CASCADE, related_name="identities")
    kind = models.CharField(max_length=10, choices=Kind)
    scope = models.CharField(max_length=40, default="", blank=True)
    value = models.CharField(max_length=254)
    raw = models.CharField(max_length=254, blank=True)
    extension = models.CharField(max_length=10, blank=True)
    is_shared = models.BooleanField(default=False)  # a switchboard, a role mailbox: a second sign is needed
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name, verbose_name_plural = _("identity"), _("identities")
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "scope", "value"], condition=Q(is_shared=False), name="leads_identity_once"
            )
        ]
        indexes = [models.Index(fields=["kind", "scope", "value"], name="leads_identity_value")]

    def __str__(self):
        return f"{self.kind}:{self.value}"


class Consent(models.Model):
    """What a person agreed to, with the exact text; append-only but for the withdrawal."""

    person = models.ForeignKey(Person, models.CASCADE, related_name="consents")
    purpose = models.CharField(max_length=20, default="processing")  # processing, marketing
    text = models.ForeignKey("leads.ConsentText", models.PROTECT, null=True)
    submission = models.ForeignKey("leads.Submission", models.SET_NULL, null=True)
    given_at = models.DateTimeField(db_default=Now())
    ip = models.GenericIPAddressField(null=True)
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name, verbose_name_plural = _("consent"), _("consents")

    def __str__(self):
        return f"{self.person} {self.purpose}"
