"""Codes of recommendation: made, counted, rewarded."""

import secrets

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q
from django.db.models.functions import Now
from django.urls import reverse

from crm.core.models import AuditEntry
from leads.models import Person, Referral, ReferralCode, Status

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without letters that are read as others


def make(*, by, code="", partner="", person=None, reward=""):
    """A code; of our own making where none is named."""
    code = code or "".join(secrets.choice(ALPHABET) for _n in range(7))
    return ReferralCode.objects.create(code=code, partner=partner, person=person, reward=reward, created_by=by)


def report(user):
    """Codes with how many leads each brought, how many of them became clients, how many rewards are due.

    ``is_known``: whether the user may see the client whose code it is.
    """
    known = Exists(Person.objects.visible_to(user).filter(pk=OuterRef("person")))
    won = Q(referrals__lead__status=Status.CONVERTED)
    return ReferralCode.objects.select_related("person").annotate(
        is_known=known, brought=Count("referrals"), won=Count("referrals", filter=won),
        due=Count("referrals", filter=won & Q(referrals__rewarded_at=None)),
    ).order_by("-brought", "code")  # fmt: skip


@transaction.atomic
def reward(code, *, by):
    """Note that what was due for this code has been given; returns for how many leads."""
    due = Referral.objects.filter(code=code, lead__status=Status.CONVERTED, rewarded_at=None)
    count = due.update(rewarded_at=Now(), rewarded_by=by)
    if count:
        AuditEntry.objects.create(user=by, action="referral_rewarded", subject=code.code, details={"leads": count})
    return count


def link(source, code):
    return settings.PUBLIC_URL + reverse("leads:refer", args=[source.key, code.code])
