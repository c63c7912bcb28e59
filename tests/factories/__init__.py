from .core import CalendarFactory, TeamFactory, UserFactory
from .deals import DealFactory
from .leads import LeadFactory, PersonFactory, SourceFactory, SubmissionFactory
from .world import make_funnels

__all__ = [
    "CalendarFactory",
    "DealFactory",
    "LeadFactory",
    "PersonFactory",
    "SourceFactory",
    "SubmissionFactory",
    "TeamFactory",
    "UserFactory",
    "make_funnels",
]
