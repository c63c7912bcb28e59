"""What providers report besides enquiries: each event is taken by its handler, and the receipt says what came of it.

A handler is ``take(event, submission) -> Outcome``, in the judge's transaction; the same event said twice is done once.
"""

from dataclasses import dataclass
from typing import Any

from leads.models import Submission

State = Submission.State
HANDLERS = {}  # class of leads.capture's events → handler
# The state of a receipt that says several things is that of the weightiest.
_WEIGHT = [State.ERROR, State.WAITING, State.LEAD, State.MERGED, State.SPAM, State.REJECTED]


@dataclass(frozen=True)
class Outcome:
    """What became of one event. ``state``: of Submission; "merged" is what was attached to a card."""

    state: str
    lead: Any = None
    person_id: int | None = None
    reason: str = ""
    detail: str = ""

    def as_values(self):
        person_id = self.lead.person_id if self.lead else self.person_id
        return {
            "state": self.state, "lead": self.lead, "person_id": person_id, "reason": self.reason, "detail": self.detail,
        }  # fmt: skip


NOTHING = Outcome(State.REJECTED, reason=Submission.Reason.NOT_ENQUIRY)


def take(events, submission):
    """The Outcome of all events of a receipt."""
    outcomes = [HANDLERS[type(event)](event, submission) for event in events]
    return min(outcomes, key=lambda outcome: _WEIGHT.index(outcome.state), default=NOTHING)
