"""Reading the timeline: pages by keyset, groups, search; what a colleague's card holds stays unseen."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from crm.core import keyset
from crm.core.columns import NAMES, but
from crm.core.models import User
from leads.models import Interaction, Kind, Lead, Source

PAGE = 40  # rows
SEARCH_AT_MOST = 100  # characters

GROUPS = {
    "calls": (_("Calls and meetings"), {Kind.CALL, Kind.CALL_MISSED, Kind.MEETING}),
    "letters": (
        _("Emails"),
        {
            Kind.EMAIL_OUT, Kind.EMAIL_OPENED, Kind.EMAIL_CLICKED, Kind.REPLIED, Kind.UNSUBSCRIBED, Kind.SEQUENCE,
            Kind.EMAIL_IN, Kind.BOUNCED, Kind.AUTO_REPLY,
        },
    ),
    "messages": (_("Messengers and chats"), {Kind.MESSAGE_IN, Kind.MESSAGE_OUT}),
    "notes": (_("Notes"), {Kind.NOTE}),
    "tasks": (_("Tasks"), {Kind.TASK_SET, Kind.TASK_DONE}),
    "stages": (
        _("Stages and deals"),
        {
            Kind.STAGE_MOVED, Kind.CONVERTED, Kind.REJECTED, Kind.REOPENED, Kind.DEAL_OPENED, Kind.DEAL_MOVED,
            Kind.DEAL_WON, Kind.DEAL_LOST, Kind.DEAL_REOPENED,
        },
    ),
    "changes": (
        _("Owner, score, fields"),
        {Kind.OWNER_CHANGED, Kind.PARKED, Kind.BAND_CHANGED, Kind.QUALIFIED, Kind.EDITED, Kind.TAGGED},
    ),
    "enquiries": (_("Enquiries"), {Kind.CAPTURED, Kind.RECAPTURED, Kind.IMPORTED}),
    "site": (_("Site visits"), {Kind.PAGE_VIEW}),
}  # fmt: skip
UNSEEN = [
    "submission__body", "submission__headers", "message__html", "message__text", *but(User, "by", *NAMES),
    *but(Source, "submission__source", "name"),
]  # fmt: skip


@dataclass
class Page:
    rows: list
    after: str  # where the next page begins; empty on the last
    names: dict  # colleagues that details name by key


def of_lead(lead):
    return Interaction.objects.filter(lead=lead)


def of_person(person, user):
    """The person's whole life as far as the user may see it: rows of colleagues' leads are left out."""
    seen = Lead.objects.visible_to(user).filter(person=person).values("pk")
    return Interaction.objects.filter(Q(lead=None) | Q(lead__in=seen), person=person)


def of_deal(deal_pk):
    return Interaction.objects.filter(deal_ref=deal_pk)


def narrow(rows, *, group="", search=""):
    """Rows of a group (GROUPS; unknown ones are all) that hold the words."""
    if group in GROUPS:
        rows = rows.filter(kind__in=GROUPS[group][1])
    if search := search.replace("\x00", "").strip()[:SEARCH_AT_MOST]:
        words = Q(text__icontains=search) | Q(message__subject__icontains=search) | Q(message__text__icontains=search)
        rows = rows.filter(words)
    return rows


def page(rows, *, after="", size=PAGE):
    """A page of interactions, newest first; raises ValueError for an ``after`` that no page has given out."""
    if after:
        at, _sep, pk = after.rpartition("~")
        moment, key = datetime.fromisoformat(at), int(pk)
        if moment.tzinfo is None or not 0 <= key < 2**63:
            raise ValueError(after)
        rows = rows.filter(keyset.before("at", moment, key, Interaction._meta.get_field("at")))
    rows = rows.select_related("by", "message", "phone_call", "submission__source").defer(*UNSEEN)
    found = list(rows.order_by("-at", "-pk")[: size + 1])
    more = f"{found[size - 1].at.isoformat()}~{found[size - 1].pk}" if len(found) > size else ""
    return Page(found[:size], more, _names(found[:size]))


def _names(rows):
    keys = {row.details.get(end) for row in rows if row.kind == Kind.OWNER_CHANGED for end in ("from", "to")}
    keys = {key for key in keys if isinstance(key, int)}
    return {user.pk: str(user) for user in User.objects.filter(pk__in=keys).only(*NAMES)} if keys else {}
