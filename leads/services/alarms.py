"""A lead that turned hot: whoever can act on it is told at once, on the open page and by mail, once each time."""

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _

from crm.core.models import Notice, Organisation, Role, User
from crm.core.notices import notify
from leads.models import Band, Interaction, Kind
from leads.services.letters import notify_by_mail


def turned_hot(lead, cause=None):
    """The timeline row of the lead's latest turn to hot; with ``cause``, only if that interaction brought it about."""
    rows = Interaction.objects.filter(lead=lead, kind=Kind.BAND_CHANGED, details__to=Band.HOT)
    if cause is not None:
        rows = rows.filter(details__cause=cause.pk)
    return rows.order_by("-at", "-pk").first()


def heads_of(lead):
    """Who decides about a lead that nobody has: the heads of its team, else all heads; administrators where none are."""
    heads = User.objects.filter(is_active=True, role=Role.HEAD)
    if lead.team_id and (own := list(heads.filter(headed_teams=lead.team_id))):
        return own
    return list(heads) or list(User.objects.filter(is_active=True, role=Role.ADMIN))


@transaction.atomic(savepoint=False)
def tell_hot(lead, turn=None):
    """Tell the owner, or the heads while there is none; each person once a turn. Returns whom it told."""
    turn = turn or turned_hot(lead)
    if turn is None:
        return []
    people = [lead.owner] if lead.owner_id else heads_of(lead)
    told = set(
        Notice.objects.filter(user__in=people, kind="hot", details__turn=turn.pk).values_list("user_id", flat=True)
    )
    fresh = [person for person in people if person.pk not in told]
    for person in fresh:
        _tell(person, lead, turn)
    return fresh


def _tell(person, lead, turn):
    url = reverse("leads:card", args=[lead.pk])
    notify(person, "hot", url=url, lead=lead.pk, name=str(lead), score=lead.score, turn=turn.pk)
    with translation.override(Organisation.get().language_for(person)):
        subject = _("Hot lead: %(name)s") % {"name": lead}
        text = _("%(name)s has reached %(score)s points. The sooner you call, the better: %(url)s") % {
            "name": lead,
            "score": lead.score,
            "url": f"{settings.PUBLIC_URL}{url}",
        }
    notify_by_mail(person, subject, text, f"hot:{turn.pk}:{person.pk}")
