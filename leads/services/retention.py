"""What was refused is not kept for ever: its body goes after a while; that it came, and why it was refused, stays."""

import hashlib
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from crm.core.jobs import enqueue
from crm.core.models import Organisation
from leads.models import Submission

State = Submission.State
TASK = "leads.forget_bodies"
CHUNK = 500  # receipts in one transaction
REFUSED = (State.REJECTED, State.SPAM)
NOTHING = hashlib.sha256(b"").hexdigest()  # of a delivery that had no body


@transaction.atomic
def forget_bodies(now=None):
    """Delete the bodies of at most CHUNK receipts that were refused long ago; returns how many.

    A body that brought several enquiries goes when every one of them was refused.
    """
    before = (now or timezone.now()) - timedelta(days=Organisation.get().refused_days)
    kin = Submission.objects.filter(whole=OuterRef("pk")).filter(~Q(state__in=REFUSED) | Q(received_at__gte=before))
    rows = Submission.objects.filter(state__in=REFUSED, received_at__lt=before).exclude(body=b"").filter(~Exists(kin))
    pks = list(rows.order_by("received_at").select_for_update(of=("self",), skip_locked=True, no_key=True)
               .values_list("pk", flat=True)[:CHUNK])  # fmt: skip
    Submission.objects.filter(pk__in=pks).update(body=b"")
    Submission.objects.filter(Q(pk__in=pks) | Q(whole__in=pks)).update(headers={}, parsed=None, warnings=[])
    return len(pks)


def go_on(ref):
    """One chunk, and a job for the next while there is more; ``ref``: "<day>:<chunk>"."""
    day, _colon, number = ref.partition(":")
    if forget_bodies() == CHUNK:
        enqueue(TASK, f"{day}:{int(number) + 1}")


def is_forgotten(receipt, raw):
    """Whether ``raw``, the stored body of a receipt, is empty because its time was over."""
    return not raw and receipt.state in REFUSED and receipt.sha256 not in {"", NOTHING}
