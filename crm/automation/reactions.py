"""What follows from what happens: the story of the product.

A step is a function of the lead (locked) and the interaction. It touches only the database, may be run again, and
leaves what goes out as rows (``Message``, ``Notice``, ``Job``).
"""

from django.db import transaction

from crm.core.funnel import GateRefused
from crm.core.models import Organisation
from deals.models import Deal
from deals.services.funnel import convert
from leads.models import Band, Kind, Lead
from leads.services.alarms import tell_hot, turned_hot
from nurturing import services as nurturing
from nurturing.models import Enrolment
from routing.services import route
from scoring.services import rescore, rescore_many

Why = Enrolment.Stop


def score(lead, interaction):
    """Points for what the lead is and has just done."""
    rescore(lead, interaction)


def score_anew(lead, interaction):
    """All that has ever happened to the lead counts again: its history has grown or shrunk."""
    rescore_many(Lead.objects.filter(pk=lead.pk))
    lead.refresh_from_db()


def assign(lead, interaction):
    """An owner by the rules, where there is none who works."""
    route(lead, interaction=interaction)


def alarm(lead, interaction):
    """If this made the lead hot, its owner learns at once; the heads, while there is none."""
    if lead.band == Band.HOT and (turn := turned_hot(lead, cause=interaction)):
        tell_hot(lead, turn)


def greet(lead, interaction):
    """The welcome letter, from the owner's name: so after ``assign``."""
    nurturing.greet(lead, interaction)


def enrol(lead, interaction):
    """Into the sequences whose rules the lead meets."""
    nurturing.enrol(lead, interaction)


def sell_again(lead, interaction):
    """A client who has bought before comes back as a deal, where the company wants it so; the gates hold here too."""
    returning = interaction.details.get("returning") and Organisation.get().returning == Organisation.Returning.DEAL
    if not returning or not Deal.objects.filter(person=lead.person_id, status="won").exists():
        return
    try:
        with transaction.atomic():
            convert(lead)
    except GateRefused:
        return  # the lead stays on its funnel until somebody fills in what the gate asks for
    lead.refresh_from_db()


STOPS = {
    Kind.REPLIED: Why.REPLIED,
    Kind.MESSAGE_IN: Why.REPLIED,
    Kind.EMAIL_IN: Why.REPLIED,
    Kind.BOUNCED: Why.OPTED_OUT,
    Kind.UNSUBSCRIBED: Why.OPTED_OUT,
    Kind.CONVERTED: Why.CONVERTED,
    Kind.REJECTED: Why.REJECTED,
    Kind.DEAL_WON: Why.CONVERTED,
}


def stop_sequences(lead, interaction):
    """Nobody is warmed up who has answered, left or bought; a letter that only comes later does not count."""
    if interaction.kind == Kind.BOUNCED and interaction.details.get("severity") == "soft":
        return
    nurturing.stop(lead, STOPS[interaction.kind])


def hold_sequences(lead, interaction):
    """A card that went into another is warmed up there alone."""
    nurturing.hold_merged(lead)


def resume_sequences(lead, interaction):
    """Two cards again: each goes on where it was."""
    nurturing.resume_parted(lead)


REACTIONS = {
    # A new enquiry: judged, owned, welcomed.
    Kind.CAPTURED: [score, assign, alarm, greet, sell_again, enrol],
    # Again from somebody whose card is open; the owner has the task already.
    Kind.RECAPTURED: [score, assign, alarm, enrol],
    # What the client does.
    Kind.PAGE_VIEW: [score, alarm],
    Kind.EMAIL_OPENED: [score, alarm],
    Kind.EMAIL_CLICKED: [score, alarm],
    Kind.REPLIED: [score, alarm, stop_sequences],
    Kind.UNSUBSCRIBED: [score, stop_sequences],
    Kind.MESSAGE_IN: [score, alarm, stop_sequences],
    Kind.EMAIL_IN: [score, alarm, stop_sequences],
    Kind.CALL_MISSED: [score, alarm],
    Kind.BOUNCED: [stop_sequences],
    Kind.SUBSCRIBED: [score, alarm, enrol],
    Kind.REGISTERED: [score, alarm, enrol],
    Kind.ATTENDED: [score, alarm, enrol],
    Kind.DOWNLOADED: [score, alarm, enrol],
    # Two cards became one, or two again.
    Kind.MERGED: [score_anew, alarm, hold_sequences],
    Kind.UNMERGED: [score_anew, alarm, resume_sequences],
    # What a colleague learns.
    Kind.CALL: [score, alarm],
    Kind.MEETING: [score, alarm],
    Kind.EDITED: [score, alarm, enrol],
    Kind.TAGGED: [score, alarm, enrol],
    Kind.STAGE_MOVED: [score, alarm, enrol],
    # The end, and back from it.
    Kind.CONVERTED: [stop_sequences],
    Kind.REJECTED: [stop_sequences],
    Kind.REOPENED: [score, assign, alarm],
    Kind.DEAL_WON: [stop_sequences],
}
STEPS = {step.__name__: step for steps in REACTIONS.values() for step in steps}
