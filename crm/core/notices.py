"""Live notices: a row for one colleague; open pages read the tail of the table (see crm.core.live)."""

from django.db.models.functions import Now
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from crm.core.models import Job, Notice

WORDING = {
    "assigned": gettext_noop("New lead: %(name)s"),
    "hot": gettext_noop("%(name)s has turned hot"),
    "returned": gettext_noop("%(name)s has written again"),
    "reply": gettext_noop("%(name)s has replied"),
    "message": gettext_noop("%(name)s: %(text)s"),
    "undelivered": gettext_noop("Your message to %(name)s was not delivered"),
    "ringing": gettext_noop("Incoming call: %(name)s"),
    "ringing_other": gettext_noop("Incoming call: %(name)s, a client of %(owner)s"),
    "missed": gettext_noop("Missed call: %(name)s"),
    "missed_other": gettext_noop("Missed call: %(name)s, a client of %(owner)s"),
    "unassigned": gettext_noop("Nobody is at work for %(name)s"),
    "task": gettext_noop("Task: %(name)s"),
    "import": gettext_noop("The import of %(name)s is finished"),
    "import_undone": gettext_noop("The import of %(name)s is undone"),
    "bulk": gettext_noop("Bulk action: %(done)s done, %(refused)s refused"),
    "source_silent": gettext_noop("“%(name)s” has fallen silent: nothing has come for far longer than usual"),
    "receipt_error": gettext_noop("An enquiry from %(name)s could not be processed: check it"),
    "form_surge": gettext_noop(
        "%(name)s: more at once than usual; what came on top is kept among spam: look and take it"
    ),
    "sms_limit": gettext_noop("%(name)s has sent the SMS of a day: the rest is not sent"),
    "mailbox_closed": gettext_noop("The mailbox %(name)s cannot be read"),
    "dead_job": gettext_noop("A background job has failed for good: %(name)s"),
}
# Parts of open pages that a notice makes reload themselves.
TARGETS = {
    "assigned": ["leads", "my-day"],
    "hot": ["leads", "my-day"],
    "returned": ["leads", "my-day"],
    "reply": ["my-day"],
    "missed": ["leads", "my-day"],
    "message": ["talk", "my-day"],
    "undelivered": ["talk"],
    "talk": ["talk"],
    "unassigned": ["waiting"],
    "task": ["my-day"],
    "import": ["import"],
    "import_undone": ["import"],
}
# Kinds that only make open pages read themselves anew: nobody is told anything.
SILENT = {"talk"}


class _Blank(dict):
    def __missing__(self, key):
        return "…"


def notify(user, kind, *, url="", **details):
    """Tell a colleague at once. ``kind`` is a key of WORDING; ``details`` fill its words. ``user``: a row or a key."""
    seen = {"seen_at": Now()} if kind in SILENT else {}
    user_id = getattr(user, "pk", user)
    return Notice.objects.create(user_id=user_id, kind=kind, url=url, details=details, **seen)


def wording(notice):
    """The notice in the active language."""
    text = WORDING.get(notice.kind)
    numbers = {key: number_format(n, force_grouping=True) for key, n in notice.details.items() if type(n) is int}
    said = notice.details | numbers
    if notice.kind == "dead_job":
        said["name"] = Job.TITLES.get(said.get("name"), said.get("name"))
    return _(text) % _Blank(said) if text else notice.details.get("text", notice.kind)


def targets(kind):
    return TARGETS.get(kind, [])
