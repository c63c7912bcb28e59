from django.db import models
from django.utils.translation import gettext_lazy as _


class Skill(models.Model):
    """What a person can be asked for by routing: a product, a language, a kind of client."""

    name = models.CharField(_("name"), max_length=80, unique=True)

    class Meta:
        ordering = ["name"]
        verbose_name, verbose_name_plural = _("skill"), _("skills")

    def __str__(self):
        return self.name


class Team(models.Model):
    name = models.CharField(_("name"), max_length=80, unique=True)
    specialisation = models.CharField(_("specialisation"), max_length=200, blank=True)
    heads = models.ManyToManyField(
        "core.User",
        verbose_name=_("heads"),
        related_name="headed_teams",
        blank=True,
        help_text=_("They see its leads."),
    )

    class Meta:
        ordering = ["name"]
        verbose_name, verbose_name_plural = _("team"), _("teams")

    def __str__(self):
        return self.name
