"""What providers report besides enquiries: each event is taken by its handler, and the receipt says what came of it.

A handler is ``take(event, submission) -> Outcome``, in the judge's transaction; the same event said twice is done once.
"""

from leads.capture import meta
from leads.capture.letter import Letter
from leads.services import calls, conversations, fetching, mail_news, mailroom, site
from leads.services.intake import Erased
from leads.services.outcome import NOTHING, Outcome, State
from leads.telephony import CallEvent

__all__ = ["HANDLERS", "NOTHING", "Outcome", "State", "take"]

# Class of leads.capture's events → handler.
HANDLERS = {
    CallEvent: calls.take,
    meta.Announced: fetching.announced,
    Letter: mailroom.take,
    **mail_news.HANDLERS,
    **conversations.HANDLERS,
    **site.HANDLERS,
}
# The state of a receipt that says several things is that of the weightiest.
_WEIGHT = [State.ERROR, State.WAITING, State.LEAD, State.MERGED, State.SPAM, State.REJECTED]


def take(events, submission):
    """(Outcome of all events of a receipt, those of nobody who was erased); raises Erased where none is left.

    Of several people in one delivery, somebody who was erased holds up nobody else.
    """
    outcomes, kept = [], []
    for event in events:
        try:
            outcomes.append(HANDLERS[type(event)](event, submission))
        except Erased:
            continue
        kept.append(event)
    if events and not kept:
        raise Erased
    return min(outcomes, key=lambda outcome: _WEIGHT.index(outcome.state), default=NOTHING), kept
