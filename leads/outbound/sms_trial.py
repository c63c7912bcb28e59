"""The trial: every SMS is taken, and none goes anywhere."""

from leads.outbound.base import SENT, Verdict


def send(message):
    return Verdict(SENT, f"trial-{message.pk}")
