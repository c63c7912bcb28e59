"""Live notices: a row for one colleague; open pages read the tail of the table (see crm.core.live)."""

from crm.core.models import Notice


def notify(user, kind, *, url="", **details):
    """Tell a colleague at once. ``kind``: assigned, hot, returned, task, reply, import, dead_job, …"""
    return Notice.objects.create(user=user, kind=kind, url=url, details=details)
