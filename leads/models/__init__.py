from .bulk import BulkRun
from .calls import Call, CallNews, Dialling, Extension, WatchedFile
from .conversations import ChatFile, ChatLine, Conversation, SentFile
from .doors import Confirmation, Fetch, Referral, ReferralCode, Registration
from .imports import Import, ImportRow
from .intake import ConsentText, Origin, Source, Submission, Touch
from .interactions import Interaction, Kind
from .lead import Assignment, Band, Lead, Qualification, StageMove, Status
from .mail import IncomingLetter, LetterFile, MailFolder, MailNews
from .merging import Merge, NotSame, Tombstone
from .messages import Engagement, Message, MessageLink, Suppression, Template
from .people import Company, Consent, Identity, Person
from .tasks import Task, TaskFeed
from .visits import PageView

__all__ = [
    "Assignment",
    "Band",
    "BulkRun",
    "Call",
    "CallNews",
    "ChatFile",
    "ChatLine",
    "Company",
    "Confirmation",
    "Consent",
    "ConsentText",
    "Conversation",
    "Dialling",
    "Engagement",
    "Extension",
    "Fetch",
    "Identity",
    "Import",
    "ImportRow",
    "IncomingLetter",
    "Interaction",
    "Kind",
    "Lead",
    "LetterFile",
    "MailFolder",
    "MailNews",
    "Merge",
    "Message",
    "MessageLink",
    "NotSame",
    "Origin",
    "PageView",
    "Person",
    "Qualification",
    "Referral",
    "ReferralCode",
    "Registration",
    "SentFile",
    "Source",
    "StageMove",
    "Status",
    "Submission",
    "Suppression",
    "Task",
    "TaskFeed",
    "Template",
    "Tombstone",
    "Touch",
    "WatchedFile",
]
