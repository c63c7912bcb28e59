"""Letters from clients: each once, sorted, on the right card; what came back and who complained, to our own letters.

A letter belongs to a thread by our Message-ID (which nobody can guess) and comes from its client; one that answers in
a thread and comes from somebody else is a new enquiry, and says so. Nothing that a letter says of itself gives rights:
a colleague's address in From is an address like any other.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import override

from crm.core.jobs import enqueue
from crm.core.models import Organisation, User
from crm.core.notices import notify
from crm.core.recent import recent
from leads import identity
from leads.capture import returned, sorting, told
from leads.capture.base import Parsed
from leads.capture.letter import Address, Letter
from leads.capture.letter_html import safe
from leads.capture.quotation import split
from leads.identity import Known
from leads.models import IncomingLetter, Kind, Lead, LetterFile, Message, Submission, Suppression
from leads.models.lead import Status
from leads.services import optouts
from leads.services.intake import Erased, lock_signs, match, open_lead
from leads.services.outcome import Outcome, Reason, State
from leads.services.tasks import set_task
from leads.services.timeline import record

FILES = "leads.keep_files"
RECENT = timedelta(days=5)  # a bounce without our Message-ID is about a letter not older than this
SOFT_LIMIT = 5  # temporary failures of an address within SOFT_WITHIN before it gets no letters
SOFT_WITHIN = timedelta(days=30)
MAX_NEED = 10_000  # characters of a letter that become the words of the enquiry
ARRIVED = "Arrived"  # header of a receipt: when the mail server got the letter
_OURS = re.compile(r"^(\d{1,18})\.([\w-]{10})@")
_WAY_OUT = re.compile(
    r"\s*unsubscribe\s+([\w-]{10,40})\s*", re.IGNORECASE
)  # the subject that List-Unsubscribe asks for


@dataclass
class Case:
    """One letter while it is dealt with."""

    letter: Letter
    submission: Submission
    found: sorting.Sort
    row: IncomingLetter
    writer: Address
    at: object  # when it came
    ours: Message | None = None  # which it answers
    told: Parsed | None = None  # the enquiry of another, of which a site tells

    @property
    def sign(self):
        return identity.email(self.writer.address)


def take(letter, submission):
    """What becomes of one letter; in the judge's transaction."""
    key, found = key_of(letter), sorting.sort(letter)
    writer, said = _writer(letter, submission.source)
    signs = said.identities if said else _signs(writer)
    lock_signs([Known("letter", key), *signs])
    former = IncomingLetter.objects.select_related("lead").filter(key=key).first()
    if former and (former.lead or former.submission_id != submission.pk):
        state = State.MERGED if former.lead else State.REJECTED
        return Outcome(state, lead=former.lead, person_id=former.person_id, reason=Reason.SAME)
    if getattr(submission, "forced", False):  # an administrator says that a person wrote it
        found = sorting.Sort(sorting.HUMAN, "by hand")
    at = arrived(submission)
    row = former or _kept(letter, submission, found, writer, key, at)
    case = Case(letter, submission, found, row, writer, at, _answered(letter), said)
    try:
        outcome = _handler(case)(case)
    except Erased:
        _forget(row)
        raise
    person_id = outcome.lead.person_id if outcome.lead else outcome.person_id
    IncomingLetter.objects.filter(pk=row.pk).update(
        lead=outcome.lead, person_id=person_id, answers=case.ours, is_mismatch=row.is_mismatch, sort=found.kind
    )
    return outcome


BLANK = {
    "sender": "", "sender_name": "", "recipients": [], "subject": "", "text": "", "rest": "", "html": "", "message_id": "",
    "references": [],
}  # fmt: skip


def _forget(row):
    """From somebody who was erased: nothing of it is kept but that it came."""
    row.files.all().delete()
    IncomingLetter.objects.filter(pk=row.pk).update(**BLANK)


def key_of(letter):
    """Tells a letter again, in another folder or mailbox, also one whose program gives all letters the same id."""
    own = letter.message_id or letter.text or letter.digest
    words = [own, letter.sender.address.lower(), letter.subject, letter.headers.get("date", "")]
    return hashlib.sha256("\0".join(words).encode("utf-8", "replace")).hexdigest()


def arrived(submission):
    """When the mail server got it, where the mailbox said so; never later than we did."""
    said = parse_datetime(str(submission.headers.get(ARRIVED) or ""))
    return min(said, submission.received_at) if said and said.year >= 2000 else submission.received_at


def _writer(letter, source):
    """(who is to be answered, the enquiry that a site tells of, or None).

    From, unless that is a robot that passes on somebody's words: then Reply-To, or who is told of in the letter.
    """
    own = {str(source.settings.get("user") or "").lower(), *(a.address.lower() for a in letter.to)}
    robot = told.is_robot(letter.sender.address) or letter.sender.address.lower() in own
    other = next((a for a in letter.reply_to if a.address.lower() not in own), None) if robot else None
    said = told.enquiry(letter, source, Organisation.get().region)
    writer = other or letter.sender
    if said:
        email = next((known.value for known in said.identities if known.kind == "email"), writer.address)
        writer = Address(said.fields.get("name") or writer.name, other.address if other else email)
        said.identities = list(dict.fromkeys([*(_signs(other) if other else []), *said.identities]))
    return writer, said


def _signs(writer):
    sign = identity.email(writer.address)
    return [Known("email", sign, raw=writer.address)] if sign else []


def _kept(letter, submission, found, writer, key, at):
    """The row of the letter and those of its files; the files themselves are laid down by a job."""
    parts = split(letter.text)
    row = IncomingLetter.objects.create(
        key=key, source=submission.source, submission=submission, message_id=letter.message_id[:255],
        references=list(letter.references)[-20:], sort=found.kind, why=found.why[:60], severity=found.severity,
        sender_name=writer.name[:200], sender=writer.address.lower()[:254],
        recipients=[str(a) for a in (*letter.to, *letter.cc)][:50], subject=letter.subject[:500], at=letter.when(at),
        text=parts.reply, rest="\n\n".join(filter(None, (parts.signature, parts.rest))), html=safe(letter.html),
        is_claimed=_claims_us(writer.address), warnings=[*letter.warnings, *_unproven(letter)][:20],
    )  # fmt: skip
    files = [
        LetterFile(
            letter=row, position=n, name=f.name[:200], mime=f.content_type, size=f.size, cid=f.cid, is_inline=f.inline,
            state=f.skipped or LetterFile.State.WAITING,
        ) for n, f in enumerate(letter.attachments)
    ]  # fmt: skip
    if files:
        LetterFile.objects.bulk_create(files)
        enqueue(FILES, row.pk)
    return row


def _unproven(letter):
    """The receiving server says that the sender's domain does not stand by this letter."""
    said = letter.headers.get("authentication-results", "").lower()
    return ["sender:unproven"] if re.search(r"\bdmarc\s*=\s*fail", said) else []


@recent
def _colleagues():
    return {email.lower() for email in User.objects.filter(is_active=True).values_list("email", flat=True)}


def _claims_us(address):
    return bool(address) and address.lower() in _colleagues()


def _handler(case):
    kind = case.found.kind
    if kind not in {sorting.BOUNCE, sorting.COMPLAINT} and _WAY_OUT.fullmatch(case.letter.subject):
        return _left
    if kind == sorting.MAILING_LIST and case.ours:  # a client's own program may add such headers
        kind = sorting.HUMAN
    if kind == sorting.AUTO_REPLY and case.told and "name" in case.told.fields:  # so are letters of sites marked
        kind = sorting.HUMAN
    return {
        sorting.BOUNCE: _came_back, sorting.COMPLAINT: _complained, sorting.AUTO_REPLY: _automatic,
        sorting.MAILING_LIST: _list, sorting.CALENDAR: _invited,
    }.get(kind, _written)  # fmt: skip


# --- Threads ----------------------------------------------------------------------------------------------------------


def our_message(message_id):
    """Our letter of this Message-ID: the key and a part of the token, which was never shown to anybody else."""
    found = _OURS.match(message_id)
    if not found:
        return None
    rows = Message.objects.select_related("lead__owner")
    return rows.filter(pk=int(found[1]), token__startswith=found[2]).first()


def _answered(letter):
    """The nearest of our letters that it refers to."""
    return next((row for i in reversed(letter.references) if (row := our_message(i))), None)


def _thread_lead(case):
    """The card of the thread: of our letter, else of a letter of the client's that it refers to."""
    if case.ours and case.ours.lead:
        return case.ours.lead
    ids = [i[:255] for i in case.letter.references]
    earlier = (
        IncomingLetter.objects.filter(message_id__in=ids, lead__isnull=False).exclude(pk=case.row.pk) if ids else None
    )
    found = earlier.select_related("lead").order_by("-pk").first() if ids else None
    return found.lead if found else None


def _locked(query):
    rows = Lead.objects.select_related("owner", "person").select_for_update(of=("self",), no_key=True)
    return rows.filter(query, status=Status.OPEN).order_by("-id").first()


def _client_of(case):
    """(person, open lead) of who writes; notes where somebody answers in a thread that is not theirs."""
    thread, person = _thread_lead(case), match([Known("email", case.sign)], name=case.writer.name)
    if thread:
        known_as = {thread.email, case.ours.to.lower() if case.ours else ""}
        theirs = (person and person.pk == thread.person_id) or case.sign in known_as
        case.row.is_mismatch = not theirs
        if theirs:
            lead = _locked(Q(pk=thread.pk)) or _locked(Q(person=thread.person_id))
            return thread.person, lead
    return person, _locked(Q(person=person.pk)) if person else None


# --- Written by people --------------------------------------------------------------------------------------------------


def _written(case):
    """A client's letter: on their open card, else a new enquiry."""
    if case.told and not our_message(case.letter.message_id):
        return _filled_in(case)
    if not case.sign:
        return Outcome(State.REJECTED, reason=Reason.NO_CONTACT)
    if our_message(case.letter.message_id) or _is_own_box(case):
        return Outcome(State.REJECTED, reason=Reason.OWN)
    person, lead = _client_of(case)
    if lead:
        _on_card(case, lead)
        return Outcome(State.MERGED, lead=lead)
    return _enquiry(case, person)


def _is_own_box(case):
    """From the mailbox's own address, and nobody else to answer: a copy of what was sent from there."""
    return case.sign == identity.email(str(case.submission.source.settings.get("user") or ""))


def _on_card(case, lead):
    answers = case.ours is not None and not case.row.is_mismatch
    kind = Kind.REPLIED if answers else Kind.EMAIL_IN
    if lead.waiting_since is None:
        lead.waiting_since = case.at
        Lead.objects.filter(pk=lead.pk, waiting_since=None).update(waiting_since=case.at)
    record(lead, kind, at=case.at, text=case.row.text, submission=case.submission, message=case.ours, **_facts(case))
    _tell(case, lead, answers)


def _facts(case):
    """What the timeline says of a letter besides its words."""
    row = case.row
    facts = {
        "letter": row.pk, "subject": row.subject, "files": len(case.letter.attachments), "sort": row.sort,
        "mismatch": row.is_mismatch, "claimed": row.is_claimed,
    }  # fmt: skip
    return {name: value for name, value in facts.items() if value}


def _tell(case, lead, answers):
    """The owner learns of it at once and has it as a task, one at a time."""
    if lead.owner is None:
        return
    url = reverse("leads:card", args=[lead.pk])
    notify(lead.owner, "reply" if answers else "returned", url=url, lead=lead.pk, name=str(lead))
    prefix = f"letter:{lead.pk}:"
    if lead.tasks.filter(done_at=None, dedup__startswith=prefix).exists():
        return
    due_at = timezone.now() + timedelta(minutes=Organisation.get().missed_call_minutes)
    with override(Organisation.get().language_for(lead.owner)):
        title = _("Reply to the email")
    set_task(lead, title=title, due_at=due_at, assignee=lead.owner, dedup=f"{prefix}{case.row.pk}")


def _enquiry(case, person):
    """By the door that all enquiries come through."""
    letter, row = case.letter, case.row
    signs = [Known("email", case.sign, raw=case.writer.address)]
    if person and case.ours and not row.is_mismatch and not match(signs):
        signs += [Known(i.kind, i.value, i.scope) for i in person.identities.order_by("id")[:20]]
    signs += _phone_of(letter)
    need = "\n\n".join(filter(None, (row.subject, row.text)))[:MAX_NEED]
    lead, outcome = open_lead(
        fields={"name": case.writer.name, "need": need}, identities=signs, source=case.submission.source,
        submission=case.submission, at=case.at, details=_facts(case),
    )  # fmt: skip
    return Outcome(State.LEAD if outcome == "lead" else State.MERGED, lead=lead)


def _filled_in(case):
    """What a visitor filled in at a site that tells by letter: an enquiry like any other of that site."""
    fields = {**case.told.fields}
    fields.setdefault("need", "\n\n".join(filter(None, (case.row.subject, case.row.text)))[:MAX_NEED])
    lead, outcome = open_lead(
        fields=fields, identities=case.told.identities, marks=case.told.marks, source=case.submission.source,
        submission=case.submission, at=case.at, details=_facts(case),
    )  # fmt: skip
    return Outcome(State.LEAD if outcome == "lead" else State.MERGED, lead=lead)


def _phone_of(letter):
    """The one number below the letter: of several nobody knows whose they are."""
    below = split(letter.text)
    end = below.signature or "\n".join(below.reply.splitlines()[-6:])
    found = identity.phones(re.sub(r"\n+", "; ", end)) if re.search(r"\d{5}|\d[\s()-]+\d", end) else []
    numbers = list(dict.fromkeys(p.e164 for p in found))
    return [Known("phone", numbers[0])] if len(numbers) == 1 else []


def _left(case):
    """The way out by letter (RFC 2369): whoever knows the token of our letter has it, also from another address."""
    token = _WAY_OUT.fullmatch(case.letter.subject)[1]
    rows = Message.objects.select_related("lead").exclude(kind=Message.Kind.NOTICE)
    case.ours = rows.filter(token=token).first()
    if case.ours is None:
        return _written(case)
    optouts.opt_out(case.ours.to, lead=case.ours.lead, message=case.ours)
    if case.ours.lead is None:
        return Outcome(State.REJECTED, reason=Reason.NOT_ENQUIRY)
    return Outcome(State.MERGED, lead=case.ours.lead)


# --- Written by machines ------------------------------------------------------------------------------------------------


def _automatic(case):
    """Nobody reads and nobody is answered; on the card of whom we wrote to it says why nobody answers."""
    lead = case.ours.lead if case.ours and case.ours.lead else None
    if lead is None and case.sign and (person := match([Known("email", case.sign)])):
        lead = Lead.objects.filter(person=person, status=Status.OPEN).order_by("-id").first()
    if lead is None:
        return Outcome(State.REJECTED, reason=Reason.AUTO_REPLY)
    record(lead, Kind.AUTO_REPLY, at=case.at, text=case.row.text[:2000], submission=case.submission, message=case.ours,
           **_facts(case))  # fmt: skip
    return Outcome(State.MERGED, lead=lead)


def _list(case):
    return Outcome(State.REJECTED, reason=Reason.MAILING_LIST)


def _invited(case):
    """An invitation, or the answer to one: a touch of a client whose card is open, else nothing of ours."""
    person, lead = _client_of(case) if case.sign else (None, None)
    if lead is None:
        return Outcome(State.REJECTED, reason=Reason.CALENDAR)
    record(lead, Kind.EMAIL_IN, at=case.at, text=case.row.text[:2000], submission=case.submission, **_facts(case))
    return Outcome(State.MERGED, lead=lead)


def _came_back(case):
    """Each recipient of a delivery report is about one of our letters, or about nothing that we know."""
    ids = returned.original_ids(case.letter)
    named = next((row for i in ids if (row := our_message(i))), None)
    touched = None
    for one in case.found.returned:
        message = named or lately_sent(one.recipient)
        if message and one.severity != "delivered":
            said = " ".join(filter(None, (one.status, one.diagnostic)))
            failed(message, one.severity, said, at=case.at, submission=case.submission, letter=case.row.pk)
        touched = touched or message
    case.ours = touched or named
    if case.ours and case.ours.lead:
        return Outcome(State.MERGED, lead=case.ours.lead)
    return Outcome(State.REJECTED, reason=Reason.BOUNCE)


def lately_sent(address, subject=""):
    """Our last letter to this address, where a service gave it another Message-ID than ours."""
    if not address:
        return None
    rows = Message.objects.select_related("lead__owner").filter(
        channel="email", to__iexact=address, created_at__gt=timezone.now() - RECENT
    )
    rows = rows.exclude(state__in=[Message.State.QUEUED, Message.State.SKIPPED])
    bare = re.sub(r"^\s*(?:(?:re|fwd?)\s*:\s*)+", "", subject, flags=re.IGNORECASE)
    return (rows.filter(subject__iexact=bare) if bare else rows).order_by("-pk").first()


def failed(message, severity, said, *, at, submission=None, letter=None):
    """A letter of ours did not arrive: for good, the address gets no more; for now, it is counted."""
    if message.state in {Message.State.SENT, Message.State.UNSURE, Message.State.SENDING}:
        changes = {"reason": f"returned {said}"[:300]}
        if severity == "hard":
            changes["state"] = Message.State.FAILED
        Message.objects.filter(pk=message.pk).update(**changes)
    if message.lead:
        facts = {"severity": severity, "said": said[:300]} | ({"letter": letter} if letter else {})
        record(message.lead, Kind.BOUNCED, at=at, text=message.to, submission=submission, message=message, **facts)
    if severity == "hard" or _too_often(message.to):
        optouts.opt_out(message.to, reason=Suppression.Reason.BOUNCED, lead=message.lead, message=message)


def _too_often(address):
    since = timezone.now() - SOFT_WITHIN
    lately = Message.objects.filter(to__iexact=address, created_at__gt=since, reason__startswith="returned")
    return lately.count() >= SOFT_LIMIT


def _complained(case):
    """Whoever calls our letters unwanted gets none, and no one takes that back."""
    named = next((row for i in returned.original_ids(case.letter) if (row := our_message(i))), None)
    message = named or lately_sent(returned.complaint_about(case.letter))
    if message is None:
        return Outcome(State.REJECTED, reason=Reason.COMPLAINT)
    case.ours = message
    complained(message)
    if message.lead is None:
        return Outcome(State.REJECTED, reason=Reason.COMPLAINT)
    return Outcome(State.MERGED, lead=message.lead)


def complained(message):
    """Suppress the address; a complaint outweighs an opt-out that stands there already."""
    made = optouts.opt_out(message.to, reason=Suppression.Reason.COMPLAINED, lead=message.lead, message=message)
    if not made:
        Suppression.objects.filter(kind="email", value=optouts.address_key(message.to)).update(
            reason=Suppression.Reason.COMPLAINED
        )
