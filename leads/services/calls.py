"""Calls: what an exchange reports becomes one row, its card is found or made, and it is shown while it rings.

What follows when a call is over (timeline, tasks) is ``leads.services.call_ends``, a job of its own: pieces of news that
come together are folded first.
"""

from datetime import timedelta
from zoneinfo import ZoneInfo

from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from crm.core.jobs import enqueue
from crm.core.models import Organisation
from crm.core.notices import notify
from crm.core.templatetags.ui import phone as shown_phone
from leads import identity, telephony
from leads.models import Assignment, Call, CallNews, Extension, Lead, Status, Submission, Touch
from leads.services.intake import match, open_lead
from leads.services.outcome import Outcome, Reason, State
from leads.services.ownership import assign

SETTLE = "leads.settle_call"
PATIENCE = timedelta(seconds=20)  # a call that nobody has said to be over may yet be put through to somebody else
FRESH = timedelta(minutes=2)  # a receipt that was judged later is no call that rings


def take(event, submission):
    """One piece of news (telephony.CallEvent); returns the Outcome for its receipt."""
    call, facts, new = _folded(event, submission)
    if call.direction == Call.Direction.INTERNAL:
        return Outcome(State.REJECTED, reason=Reason.INTERNAL)
    made, why = _attach(call, submission) if call.direction else (False, Reason.UNKNOWN_THREAD)
    if call.person_id is None:
        return Outcome(State.REJECTED, reason=why)
    _ring(call, event, submission)
    _take_over(call)
    if new and call.state == Call.State.ENDED:
        enqueue(SETTLE, call.pk, due_at=None if facts.sure else timezone.now() + PATIENCE)
    return Outcome(State.LEAD if made else State.MERGED, lead=call.lead, person_id=call.person_id)


def _folded(event, submission):
    """(call, locked and as it is known now; its Facts; whether this was news)."""
    source = submission.source
    call, _made = Call.objects.get_or_create(source=source, external_id=event.call)
    call = Call.objects.select_for_update(of=("self",), no_key=True).select_related("lead", "person").get(pk=call.pk)
    call.source = source
    row, new = CallNews.objects.get_or_create(
        call=call, key=event.key, defaults={"said": event.as_json(), "submission": submission}
    )
    news = call.news.values_list("said", flat=True)
    facts = telephony.fold(telephony.from_json(said) for said in news)
    for name, value in facts.as_values().items():
        setattr(call, name, value)
    call.colleague = whose(source, call.extension)
    call.save()
    return call, facts, new


def whose(source, extension):
    """The colleague whose phone it is, or None."""
    if not extension:
        return None
    said = {extension, extension.lstrip("+")}
    if found := identity.phone(extension) if len(extension) > 6 else None:
        said |= {found.e164, found.e164.lstrip("+")}
    rows = Extension.objects.select_related("user").filter(Q(number__in=said) | Q(account=extension), source=source)
    row = rows.first()
    return row.user if row and row.user.is_active else None


# --- Whose call it is -------------------------------------------------------------------------------------------------


def signs(call):
    """By what the other side is known: the number; of who hides it, this call alone."""
    if call.client.startswith("+"):
        return [identity.Known("phone", call.client, raw=call.client)]
    return [identity.Known("external", call.external_id[:254], scope=f"call:{call.source_id}")]


def _attach(call, submission):
    """(whether this made a card, why there is none): find the person and their open lead, or make them."""
    if call.person_id:
        return False, ""
    person = match(signs(call))
    lead = Lead.objects.filter(person=person, status=Status.OPEN).order_by("-id").first() if person else None
    if person is None and (why := _unwanted(call)):
        return False, why
    made = False
    if lead is None and (person is None or call.direction == Call.Direction.IN):
        name = call.name or ("" if call.client.startswith("+") else _caller(call))
        taken = Touch.objects.filter(submission=submission).exists()  # a file of records holds calls of many people
        lead, state = open_lead(
            fields={"name": name}, identities=signs(call), source=call.source, submission=None if taken else submission,
            at=submission.received_at, details={"call": call.pk, "direction": call.direction},
        )  # fmt: skip
        made = state == State.LEAD
    call.lead, call.person_id, call.made_lead = lead, lead.person_id if lead else person.pk, made
    call.save(update_fields=["lead", "person", "made_lead"])
    _settle_former(call)
    return made, ""


def _caller(call):
    """A name for the card of who hides the number, in the company's language."""
    company = Organisation.get()
    at = timezone.localtime(call.started_at or timezone.now(), ZoneInfo(company.time_zone))
    with override(company.language):
        return _("Unknown caller, %s") % (call.client or f"{at:%d.%m %H:%M}")


def _unwanted(call):
    """Why a number that we do not know makes no card."""
    settings = call.source.settings
    if call.direction == Call.Direction.OUT:
        wanted = settings.get("strangers") == "lead" and call.client.startswith("+")
        return "" if wanted else Reason.OWN
    hidden = not call.client.startswith("+") and settings.get("hidden", "lead") != "lead"
    return Reason.NO_CONTACT if hidden else ""


def _settle_former(call):
    """Receipts that came before it was known whose call it was belong to the card as well."""
    former = call.news.exclude(submission=None).values("submission")
    Submission.objects.filter(pk__in=former, state=State.REJECTED, reason=Reason.UNKNOWN_THREAD).update(
        state=State.MERGED, reason="", lead=call.lead_id, person=call.person_id
    )


# --- While it rings ---------------------------------------------------------------------------------------------------


def _ring(call, event, submission):
    """Show it on the open pages of whoever's phone rings; the owner's, while nobody's does. Each is told once."""
    if call.direction != Call.Direction.IN or call.state != Call.State.RINGING:
        return
    if timezone.now() - submission.received_at > FRESH:
        return
    who = call.colleague if event.extension else call.lead.owner if call.lead else None
    if who is None or who.pk in call.told:
        return
    _welcome(call, who)
    tell(call, who, "ringing")
    call.told = [*call.told, who.pk]
    call.save(update_fields=["told"])


def tell(call, who, kind):
    """A notice with the caller; of a client whom the colleague may not see it names the owner instead."""
    lead = call.lead
    seen = lead is not None and Lead.objects.visible_to(who).filter(pk=lead.pk).exists()
    number = shown_phone(call.client) if call.client else "—"
    if seen:
        name = str(lead) if str(lead) != call.client else ""
        words = f"{name}, {number}" if name else number
        notify(who, kind, url=reverse("leads:card", args=[lead.pk]), lead=lead.pk, name=words)
    else:
        owner = str(lead.owner) if lead and lead.owner else "—"
        notify(who, f"{kind}_other", name=number, owner=owner)


def _welcome(call, who):
    """A new caller is of whoever's phone rings first, where a rule was quicker too."""
    if not call.made_lead or call.told or not can_own(who):
        return
    call.lead = lead = Lead.objects.select_for_update(no_key=True).get(pk=call.lead_id)
    if lead.owner_id != who.pk and not lead.assignments.filter(how=Assignment.How.HAND).exists():
        assign(lead, who, how=Assignment.How.HAND)


def _take_over(call):
    """A card that this call has made goes to who has picked it up."""
    lead, who = call.lead, call.colleague
    picked_up = call.answered_at or call.result == Call.Result.ANSWERED
    if not (call.made_lead and who and picked_up and call.direction == Call.Direction.IN):
        return
    settled = call.interaction_id and lead.owner_id  # somebody works on it already
    if lead.owner_id != who.pk and can_own(who) and not settled:
        assign(lead, who, how=Assignment.How.HAND)


def can_own(user):
    return user.is_active and (user.is_manager or user.is_head)
