from .access import ApiKey, AuditEntry, Role, SavedView, User
from .calendars import Absence, Calendar, Holiday, Hours, WorkTime
from .funnel import Pipeline, Reason, Stage, StageEdge, StageMoveBase
from .jobs import Heartbeat, Job
from .notices import Notice
from .organisation import Organisation
from .people import Skill, Team

__all__ = [
    "Absence",
    "ApiKey",
    "AuditEntry",
    "Calendar",
    "Organisation",
    "Heartbeat",
    "Holiday",
    "Hours",
    "Job",
    "Notice",
    "Pipeline",
    "Reason",
    "Role",
    "SavedView",
    "Skill",
    "Stage",
    "StageEdge",
    "StageMoveBase",
    "Team",
    "User",
    "WorkTime",
]
