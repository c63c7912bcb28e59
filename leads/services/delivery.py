"""Handing letters over to the mail server: each claimed before, and never twice.

claim (committed) → SMTP → sent (committed). The job runs under a lock of its worker's session (see ``crm.core.jobs``),
so whoever finds a letter ``sending`` knows that the worker that claimed it is gone: nobody can say whether the letter
went out, it becomes ``unsure`` and a person decides.
"""

import contextlib
import logging
import re
import smtplib
from datetime import timedelta
from email.utils import formataddr, parseaddr

from django.conf import settings
from django.core import mail
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import CharField, Exists, OuterRef, Value
from django.db.models.functions import Cast, Now
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from crm.core.jobs import enqueue
from crm.core.models import Job
from leads import smtp
from leads.models import Message, Status, Suppression
from leads.services import optouts, talks

log = logging.getLogger(__name__)
State = Message.State

PATIENCE = timedelta(hours=24)  # how long a server may say "later" before the letter has failed
PAUSE = timedelta(seconds=30)  # a server that does not answer is left alone by all letters for so long
LOST_AFTER = timedelta(minutes=5)
AUTOMATIC = {Message.Kind.WELCOME, Message.Kind.SEQUENCE}


def deliver(pk, run):
    """Send the letter, at most once; ``run`` is the job's (see crm.core.jobs)."""
    message = _claim(pk, run)
    if message is None:
        return
    after, verdict = 0, None
    if message.kind == Message.Kind.TALK:
        verdict = talks.attempt(message)
        state, why, after = talks.STATES[verdict.state], talks.why(message, verdict), verdict.after
    else:
        state, why = _attempt(message)
    with transaction.atomic():
        if state == State.QUEUED and timezone.now() - message.created_at > PATIENCE:
            state, why = State.FAILED, f"too_long {why}"
        changes = {"state": state, "reason": why[:300]}
        if state == State.SENT:
            changes["sent_at"] = Now()
        Message.objects.filter(pk=pk, state__in=[State.SENDING, State.UNSURE]).update(**changes)
        if verdict:
            talks.settled(message, verdict)
        elif state == State.FAILED and no_such_mailbox(why):
            optouts.opt_out(message.to, reason=Suppression.Reason.BOUNCED, message=message)
        run.later(why, after=after) if state == State.QUEUED else run.done()


@transaction.atomic(durable=True)
def _claim(pk, run):
    """The letter, now ``sending``; None when there is nothing to send. Opt-outs are asked here, under their lock."""
    rows = Message.objects.select_for_update(of=["self"]).select_related(
        "lead", "by", "conversation__source", "attachment"
    )
    message = rows.filter(pk=pk).first()
    if message is None or message.state not in {State.QUEUED, State.SENDING}:
        run.done()
        return None
    optouts.hold_address(message.to)
    if message.kind == Message.Kind.TALK and message.conversation and not talks.in_turn(message):
        run.later("an older message of the conversation waits", cap=3)
        return None
    doubt = talks.in_doubt(message)
    if (message.state == State.SENDING or doubt) and not talks.may_repeat(message):
        outcome = State.UNSURE, message.reason if doubt else "crashed"
    elif why := _why_not(message):
        outcome = (State.UNSURE, message.reason) if doubt else (State.SKIPPED, why)
    else:
        outcome = State.SENDING, message.reason if doubt else ""
    message.state, message.reason = outcome
    message.claimed_at = Now() if message.state == State.SENDING else message.claimed_at
    message.save(update_fields=["state", "reason", "claimed_at"])
    if message.state == State.SENDING:
        return message
    run.done()
    return None


def _why_not(message):
    """The reason why the letter must not go out, a key of Message.WHY; empty when it may."""
    if message.kind == Message.Kind.TALK:
        return talks.hindrance(message)
    if message.kind == Message.Kind.NOTICE:
        return "" if message.to else "no_address"
    if message.lead is None:
        return "erased"
    if not message.to:
        return "no_address"
    if optouts.is_opted_out(message.to):
        return "opted_out"
    rejected = message.kind in AUTOMATIC and message.lead.status == Status.REJECTED
    return "rejected" if rejected else ""


def _attempt(message):
    """(state, reason) after one conversation with the mail server."""
    try:
        letter = build(message)
        letter.message()  # headers that cannot be written show here, before anything is sent
    except Exception as error:
        log.exception("letter %s cannot be put together", message.pk)
        return State.FAILED, f"unbuildable {type(error).__name__}"
    server = mail.get_connection()
    try:
        server.open()
    except (OSError, smtplib.SMTPException) as error:
        leave_the_server_alone()
        return State.QUEUED, _words(error)
    try:
        server.send_messages([letter])
        return State.SENT, ""
    except Exception as error:  # whatever it is, the letter's state must say what is known
        return judge_failure(error, message.to)
    finally:
        with contextlib.suppress(OSError, smtplib.SMTPException):
            server.close()  # a server that hangs up after "250" has still taken the letter


def judge_failure(error, to=""):
    """(state, reason): 4xx and broken lines before the hand-over mean later, 5xx never, a lost answer nobody knows."""
    if isinstance(error, smtp.AnswerLost):
        return State.UNSURE, "answer_lost"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()))
        return _by_code(code, _words((code, text)))
    if isinstance(error, smtplib.SMTPResponseException):
        return _by_code(error.smtp_code, _words(error))
    if isinstance(error, smtplib.SMTPNotSupportedError | UnicodeError):
        return State.FAILED, _words(error)
    if isinstance(error, smtplib.SMTPServerDisconnected | OSError):
        leave_the_server_alone()
        return State.QUEUED, _words(error)
    log.error("letter to the mail server: %s", type(error).__name__)
    return State.UNSURE, _words(error)


def _by_code(code, words):
    if code == 421:
        leave_the_server_alone()
    return (State.FAILED if 500 <= code < 600 else State.QUEUED), words


def _words(error):
    parts = error.args if isinstance(error, BaseException) else error
    said = " ".join(p.decode("utf-8", "replace") if isinstance(p, bytes) else str(p) for p in parts)
    return re.sub(r"[\x00-\x1f\x7f]+", " ", said or type(error).__name__)[:250]


def no_such_mailbox(words):
    """Whether the server says that the address does not exist (5.1.1, 5.1.10); policy refusals are not that."""
    return bool(re.search(r"\b5\.1\.(1|10)\b", words))


def leave_the_server_alone():
    """Put off all letters that are due and not under way: one letter in half a minute finds out, not five thousand."""
    sql = """
        update core_job set due_at = now() + %s + random() * interval '30 seconds'
        where id in (select id from core_job where task = 'leads.deliver' and not dead and due_at <= now()
                     and (leased_until is null or leased_until < now()) for update skip locked)"""
    with connection.cursor() as cursor:
        cursor.execute(sql, [PAUSE])


# --- The letter itself -----------------------------------------------------------------------------------------------
def message_id(message):
    """The same for each attempt, so that the client's mailbox can tell a second copy as one."""
    host = parseaddr(message.sender)[1].rpartition("@")[2] or "localhost"
    return f"<{message.pk}.{message.token[:10]}@{host}>"


def build(message):
    """The Message row as an e-mail with all its headers."""
    headers = {"Message-ID": message_id(message)} | _thread_headers(message) | _way_out_headers(message)
    if message.kind != Message.Kind.LETTER:
        headers["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday reply answers it
    letter = mail.EmailMultiAlternatives(
        message.subject, message.text, message.sender, [message.to], reply_to=_reply_to(message), headers=headers
    )
    if message.html:
        letter.attach_alternative(message.html, "text/html")
    return letter


def _reply_to(message):
    owner = message.by or (message.lead.owner if message.lead else None)
    return [formataddr((str(owner), owner.email))] if owner and owner.email else None


def _thread_headers(message):
    """A letter with the same subject as the last one to this client continues it."""
    if message.lead_id is None or message.kind == Message.Kind.NOTICE:
        return {}
    bare = re.sub(r"^\s*((re|fwd?|aw|sv|отв|на)\s*:\s*)+", "", message.subject, flags=re.I)
    if not bare:
        return {}
    theirs = message.lead.letters.filter(subject__iendswith=bare).exclude(message_id="").order_by("-pk").first()
    former = Message.objects.filter(lead=message.lead_id, state=State.SENT, pk__lt=message.pk, subject__iendswith=bare)
    last = former.exclude(kind__in=[Message.Kind.NOTICE, Message.Kind.TALK]).order_by("-pk").first()
    if theirs and (last is None or theirs.created_at > last.created_at):
        return _answer_headers(theirs)
    return {"In-Reply-To": message_id(last), "References": message_id(last)} if last else {}


def _answer_headers(letter):
    """RFC 5322, 3.6.4: the thread of the client's letter goes on."""
    ids = [i for i in [*letter.references[-10:], letter.message_id] if re.fullmatch(r"[!-;=?-~]{1,250}", i)]
    if not ids or ids[-1] != letter.message_id:
        return {}
    return {"In-Reply-To": f"<{ids[-1]}>", "References": " ".join(f"<{i}>" for i in ids)}


def _way_out_headers(message):
    if message.kind not in AUTOMATIC:
        return {}
    url = settings.PUBLIC_URL + reverse("leads:unsubscribe", args=[message.token])
    address = parseaddr(message.sender)[1]
    return {
        "List-Unsubscribe": f"<{url}>, <mailto:{address}?subject=unsubscribe%20{message.token}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


# --- What nobody watches over, and what a person decides -------------------------------------------------------------
@transaction.atomic
def sweep():
    """Letters whose job is gone: queued ones are put in the queue again, half-sent ones become ``unsure``."""
    job = Job.objects.filter(task="leads.deliver", ref=Cast(OuterRef("pk"), CharField()))
    old = Now() - Value(LOST_AFTER)
    orphans = Message.objects.filter(~Exists(job))
    orphans.filter(state=State.SENDING, claimed_at__lt=old).update(state=State.UNSURE, reason="crashed")
    for pk in orphans.filter(state=State.QUEUED, created_at__lt=old).values_list("pk", flat=True)[:1000]:
        enqueue("leads.deliver", pk)


@transaction.atomic
def settle(message, *, sent, by):
    """A person's word on an ``unsure`` (or failed) letter: it was sent, or it is to be sent again."""
    row = Message.objects.select_for_update().get(pk=message.pk)
    if row.state not in {State.UNSURE, State.FAILED} or (sent and row.state != State.UNSURE):
        raise ValidationError(_("This email has been settled already."))
    row.state, row.reason = (State.SENT, f"by_hand {by}"[:300]) if sent else (State.QUEUED, "")
    row.sent_at = row.claimed_at if sent else None
    row.save(update_fields=["state", "reason", "sent_at"])
    if not sent:
        enqueue("leads.deliver", row.pk)
    return row
