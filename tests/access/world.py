"""One bundle of records for each owner, every text of it marked with the owner's canary."""

from dataclasses import dataclass, field
from datetime import timedelta

from django.core.files.base import ContentFile
from django.utils import timezone

from crm.core.models import Notice, SavedView, Stage
from deals.models import DealLine
from leads.models import (
    BulkRun,
    Call,
    ChatFile,
    ChatLine,
    Company,
    Conversation,
    Dialling,
    Identity,
    Import,
    IncomingLetter,
    LetterFile,
    Merge,
    Message,
    PageView,
    SentFile,
    Task,
    Template,
)
from leads.services.timeline import record
from nurturing.models import Enrolment, Sequence, Step
from tests.factories import DealFactory, LeadFactory, PersonFactory, SourceFactory, SubmissionFactory


@dataclass
class Bundle:
    """``params``: what a URL's object is → its key."""

    owner: object
    canary: str
    params: dict = field(default_factory=dict)


@dataclass
class World:
    actors: dict  # name → user; None: nobody is signed in
    bundles: dict  # own, mate, other, nobody → Bundle
    fixed: dict  # parameters that belong to nobody
    clients: dict = field(default_factory=dict)  # name of an actor → signed-in client


def bundle(label, owner, sequence, source, merger):
    """A lead with everything that can hang on it, of one owner."""
    mark = f"CANARY{label}QZX"
    company = Company.objects.create(name=f"{mark} Ltd", name_key=mark.lower())
    person = PersonFactory(name=f"{mark} person", company=company, preferences=mark)
    lead = LeadFactory(
        owner=owner, person=person, name=f"{mark} lead", company=company, company_name=company.name, need=f"{mark} need",
        email=f"{mark.lower()}@example.test", tags=[mark], source=source,
    )  # fmt: skip
    deal = DealFactory(owner=owner, person=person, company=company, lead=lead, title=f"{mark} deal", terms=mark)
    line = DealLine.objects.create(deal=deal, title=f"{mark} line", price=10)
    task = Task.objects.create(
        person=person, lead=lead, title=f"{mark} task", due_at=timezone.now() - timedelta(hours=1), assignee=owner
    )
    message = Message.objects.create(
        kind="letter", lead=lead, person=person, sender="a@b.test", to=lead.email, subject=mark, text=mark, html=mark,
        state="unsure",
    )  # fmt: skip
    record(lead, "note", by=owner, text=f"{mark} note")
    record(lead, "note", by=owner, text=f"{mark} deal note", deal=deal.pk)
    receipt = SubmissionFactory(body=mark.encode(), source=source, state="lead", lead=lead, person=person)
    gone = PersonFactory(merged_into=person)
    kept = {"moved": {}, "last": {}, "before": {}, "after": {}, "moves": []}
    merge = Merge.objects.create(person=person, other=gone, by=owner or merger, kept=kept)
    params = {
        "merge": merge.pk,
        "lead": lead.pk, "person": person.pk, "company": company.pk, "deal": deal.pk, "line": line.pk, "task": task.pk,
        "message": message.pk, "receipt": receipt.pk,
        "contact": Identity.objects.filter(person=person).first().pk,
        "enrolment": Enrolment.objects.create(sequence=sequence, lead=lead).pk,
        "call": Call.objects.create(source=source, external_id=mark, person=person, lead=lead, recording=mark).pk,
        **_talk(mark, lead, source),
        **_letter(mark, lead, source),
    }  # fmt: skip
    if owner:
        params["view"] = SavedView.objects.create(user=owner, page="leads:list", name=mark).pk
        params["dialling"] = Dialling.objects.create(
            user=owner, lead=lead, source=source, extension=mark, phone=lead.phone, token=mark
        ).pk
        params["bulk"] = BulkRun.objects.create(by=owner, action="tag", ids=[lead.pk]).pk
        Notice.objects.create(user=owner, kind="hot", details={"name": mark})
    return Bundle(owner, mark, params)


def _talk(mark, lead, source):
    """What the client said in a messenger, with a file."""
    talk = Conversation.objects.create(
        source=source, channel="telegram", chat=mark, person=lead.person, lead=lead, title=mark, unread=1
    )
    line = ChatLine.objects.create(conversation=talk, provider_id=mark, text=mark, at=timezone.now())
    file = ChatFile(line=line, kind="document", ref=mark, name=f"{mark}.txt", state="kept")
    file.file.save("x", ContentFile(mark.encode()))
    message = Message.objects.create(
        kind="talk", channel="telegram", lead=lead, person=lead.person, sender="a", to=mark, subject="", text=mark,
        state="sent", conversation=talk,
    )  # fmt: skip
    sent = SentFile(message=message, name=f"{mark}.pdf", mime="application/pdf", size=len(mark))
    sent.file.save("x", ContentFile(mark.encode()))
    return {"talk": talk.pk, "chat_file": file.pk, "sent_file": sent.pk}


def _letter(mark, lead, source):
    """What the client wrote by mail, with a file."""
    letter = IncomingLetter.objects.create(
        key=mark, source=source, lead=lead, person=lead.person, sort="human", subject=mark, text=mark, html=f"<p>{mark}</p>",
        at=timezone.now(),
    )  # fmt: skip
    file = LetterFile(letter=letter, position=0, name=f"{mark}.txt", state="kept")
    file.file.save("x", ContentFile(mark.encode()))
    return {"letter": letter.pk, "letter_file": file.pk}


def build(rep, colleague, head, outsider, marketer, admin):
    source, template = SourceFactory(key="door"), Template.objects.create(name="Letter", subject="s", body="b")
    sequence = Sequence.objects.create(name="Chain")
    step = Step.objects.create(sequence=sequence, position=1, kind="wait", hours=1)
    owners = {"own": rep, "mate": colleague, "other": outsider, "nobody": None}
    bundles = {label: bundle(label, owner, sequence, source, admin) for label, owner in owners.items()}
    PageView.objects.create(visitor="6f0c5b1e-0000-4000-8000-000000000001", source=source, url="/x")
    fixed = {
        "sequence": sequence.pk, "step": step.pk, "template": template.pk, "source": source.key,
        "lead_stage": Stage.objects.filter(pipeline__kind="lead").first().pk,
        "deal_stage": Stage.objects.filter(pipeline__kind="deal").first().pk,
        "mapping_source": SourceFactory(key="mapped", adapter="mapping").key,
        "mailbox": SourceFactory(key="box", adapter="imap").key,
        "event_source": SourceFactory(key="meeting", adapter="event").key,
        "referral_source": SourceFactory(key="friends", adapter="referral").key,
        "import": Import.objects.create(source=source, file="x.csv", file_name="x.csv").pk,
    }  # fmt: skip
    actors = {
        "anonymous": None, "rep": rep, "outsider": outsider, "head": head, "marketer": marketer, "admin": admin,
    }  # fmt: skip
    return World(actors, bundles, fixed)
