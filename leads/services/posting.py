"""An enquiry posted over the API: a receipt like any other, judged at once, because the caller waits."""

import hashlib
import uuid
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from leads import identity
from leads.models import Submission
from leads.services.intake import open_lead, pseudo_source
from leads.services.judging import phone_region

REMEMBER = timedelta(hours=24)  # how long an Idempotency-Key counts
CONTACTS = {"phone", "email"}


class KeyReused(Exception):
    """The Idempotency-Key came with another body before."""


def post(fields, *, raw, by, key=None):
    """Take the enquiry of ``fields`` (names of Lead's) in; returns (submission, replayed).

    ``raw``: the body as it came; ``key``: the sender's Idempotency-Key. Raises ValidationError where nothing tells who
    it is (the receipt stays, rejected) and KeyReused.
    """
    source, digest = pseudo_source("api"), hashlib.sha256(raw).hexdigest()
    key = f"{by.pk}:{key}" if key else None
    if former := _former(source, key):
        if former.sha256 != digest:
            raise KeyReused
        return former, True
    signs = identity.known(
        phone_raw=fields.get("phone") or "", email_raw=fields.get("email") or "", region=phone_region()
    )
    row = Submission(
        receipt=uuid.uuid4(), source=source, path="/api/v1/leads", content_type="application/json", body=raw,
        sha256=digest, idempotency_key=key, judged_at=timezone.now(),
        parsed={"fields": {n: str(v) for n, v in fields.items() if v is not None}},
    )  # fmt: skip
    if not signs:
        row.state, row.reason = Submission.State.REJECTED, Submission.Reason.NO_CONTACT
        row.idempotency_key = None
        row.save(force_insert=True)
        raise ValidationError({"phone": _("A phone, an email or a messenger to answer to is needed.")})
    try:
        return _open(row, fields, signs, by), False
    except IntegrityError:  # the same key at the same moment: the other one made it
        if former := _former(source, key):
            return former, True
        raise


def _former(source, key):
    """The receipt of this key within the time that keys count; an older one gives its key back."""
    if key is None:
        return None
    row = Submission.objects.select_related("lead").defer("body").filter(source=source, idempotency_key=key).first()
    if row and row.received_at < timezone.now() - REMEMBER:
        Submission.objects.filter(pk=row.pk).update(idempotency_key=None)
        return None
    return row


@transaction.atomic
def _open(row, fields, signs, by):
    row.save(force_insert=True)
    known = {name: value for name, value in fields.items() if name not in CONTACTS and value is not None}
    lead, outcome = open_lead(fields=known, identities=signs, source=row.source, submission=row, by=by)
    row.state, row.lead, row.person_id = outcome, lead, lead.person_id
    row.save(update_fields=["state", "lead", "person"])
    return row
