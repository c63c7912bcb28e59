"""Double opt-in: an enquiry waits until its address is confirmed from a letter; what is not confirmed expires."""

from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.db import transaction
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from crm.core.jobs import enqueue
from crm.core.models import Organisation
from leads.capture import ADAPTERS
from leads.capture.opt_in import setting, wants_confirmation
from leads.models import Confirmation, Message, Submission
from leads.services.letters import ask
from leads.services.outcome import Outcome, Reason, State

JUDGE, EXPIRE = "leads.judge", "leads.expire_opt_in"
SALT = "leads.confirm"
PER_DAY = 3  # letters to one address: nobody's mailbox is filled by a stranger


def lacking(submission, parsed):
    """The Outcome of a receipt whose address must be confirmed first; None where it need not, or is already.

    An enquiry without an e-mail cannot be confirmed so: it is judged as it is.
    """
    source = submission.source
    if not wants_confirmation(source, getattr(ADAPTERS[source.adapter], "CONFIRMS", False)):
        return None
    email = next((known.value for known in parsed.identities if known.kind == "email"), "")
    row = Confirmation.objects.filter(submission=submission).first()
    if not email or (row and row.confirmed_at):
        return None
    if row is None:
        row = _asked(submission, email)
    detail = _("waits until the address is confirmed")
    return Outcome(State.WAITING, detail=detail)


def _asked(submission, email):
    days = int(setting(submission.source, "confirm_days", 3))
    expires_at = submission.received_at + timedelta(days=days)
    row = Confirmation.objects.create(submission=submission, email=email, expires_at=expires_at)
    enqueue(EXPIRE, submission.pk, due_at=expires_at)
    lately = Confirmation.objects.filter(email=email, created_at__gt=timezone.now() - timedelta(days=1))
    if lately.count() <= PER_DAY:
        _write(row, submission.source)
    return row


def link(row):
    token = signing.dumps(row.pk, salt=SALT)
    return settings.PUBLIC_URL + reverse("leads:confirm", args=[token])


def _write(row, source):
    organisation = Organisation.get()
    with override(str(source.settings.get("language") or organisation.language)):
        what = str(source.settings.get("topic") or source.settings.get("event") or source.name)
        values = {"what": what, "organisation": organisation.name, "link": link(row)}
        subject = _("Please confirm your address: %(what)s") % values
        text = (
            _(
                "Somebody, we hope you, has left this address with %(organisation)s: %(what)s.\n\n"
                "Confirm that it is yours: %(link)s\n\nIf it was not you, do nothing: you will hear no more of it."
            )
            % values
        )
    ask(row.email, subject, text, dedup=f"confirm:{row.pk}", kind=Message.Kind.NOTICE)


def find(token):
    """The Confirmation of a link; None for a link that is not ours."""
    try:
        pk = signing.loads(token, salt=SALT)
    except signing.BadSignature:
        return None
    return Confirmation.objects.select_related("submission__source").filter(pk=pk).first()


@transaction.atomic
def confirm(row):
    """The address is its owner's: the receipt is judged now. Returns whether it was in time; said twice, done once."""
    found = Confirmation.objects.select_for_update().get(pk=row.pk)
    if found.confirmed_at:
        return True
    receipt = Submission.objects.select_for_update(no_key=True).get(pk=found.submission_id)
    if receipt.state != State.WAITING or found.expires_at <= timezone.now():
        return False
    Confirmation.objects.filter(pk=found.pk).update(confirmed_at=Now())
    enqueue(JUDGE, receipt.pk)
    return True


@transaction.atomic(savepoint=False)
def expire(pk):
    """Nobody has confirmed in time."""
    row = Confirmation.objects.select_for_update().filter(submission_id=pk, confirmed_at=None).first()
    if row:
        Submission.objects.filter(pk=pk, state=State.WAITING).update(
            state=State.REJECTED, reason=Reason.UNCONFIRMED, detail="", judged_at=Now()
        )
