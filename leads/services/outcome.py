"""What became of one thing that a provider has reported; the receipt shows it."""

from dataclasses import dataclass
from typing import Any

from leads.models import Submission

State, Reason = Submission.State, Submission.Reason


@dataclass(frozen=True)
class Outcome:
    """``state``: of Submission; "merged" is what was attached to a card."""

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


NOTHING = Outcome(State.REJECTED, reason=Reason.NOT_ENQUIRY)
