"""What follows a form of the company's site, once the card is there: a subscription, a place at an event, a file, a
word of recommendation. Each is done once for a receipt; in the judge's transaction.
"""

from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.core.exceptions import ValidationError
from django.core.files.storage import default_storage
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from crm.core.jobs import enqueue
from crm.core.models import Organisation
from leads.capture import site, visits
from leads.models import Interaction, Kind, Message, Referral, ReferralCode, Registration, Submission
from leads.services import visits as pages
from leads.services.letters import language_of, write
from leads.services.materials import FOLDER
from leads.services.outcome import NOTHING, Outcome, State
from leads.services.timeline import record

SALT = "leads.material"
GOOD_FOR = 30 * 24 * 3600  # seconds


def follow(events, lead, submission):
    """Do what the form's events ask for; the card is there."""
    for event in events:
        if type(event) in FOLLOWERS:
            FOLLOWERS[type(event)](event, lead, submission)


def _subscribed(event, lead, submission):
    """Who was subscribed already stays so, without a second line on the card."""
    if not Interaction.objects.filter(lead=lead, kind=Kind.SUBSCRIBED, details__topic=event.topic).exists():
        record(lead, Kind.SUBSCRIBED, submission=submission, text=event.topic, topic=event.topic)


def _registered(event, lead, submission):
    _row, is_new = Registration.objects.get_or_create(
        source_id=submission.source_id, person_id=lead.person_id,
        defaults={"lead": lead, "submission": submission, "registered_at": submission.received_at},
    )  # fmt: skip
    if is_new:
        record(lead, Kind.REGISTERED, submission=submission, text=event.event, event=submission.source.key)


def _wanted(event, lead, submission):
    """The link goes by letter too, where there is an address."""
    if not (lead.email and submission.source.settings.get("file")):
        return
    organisation = Organisation.get()
    with override(language_of(lead, organisation)):
        subject = event.title
        text = _("Here is what you asked for, “%(title)s”: %(link)s") % {
            "title": event.title,
            "link": material_link(submission),
        }
    try:
        write(lead, kind=Message.Kind.LETTER, subject=subject, text=text, dedup=f"material:{submission.pk}")
    except ValidationError:  # a title that reads as a forbidden link: the thank-you page still shows the file
        return


def _recommended(event, lead, submission):
    """The first who sent a lead counts; nobody recommends themselves."""
    code = ReferralCode.objects.select_related("person").filter(code=event.code, is_active=True).first()
    if code is None or code.person_id == lead.person_id:
        return
    _row, is_new = Referral.objects.get_or_create(
        lead=lead, defaults={"code": code, "at": submission.received_at}
    )  # fmt: skip
    if is_new:
        details = {"code": code.code, "whose": code.whose, "referrer": code.person_id}
        record(lead, Kind.REFERRED, submission=submission, text=code.whose, **details)


FOLLOWERS = {
    site.Subscribed: _subscribed,
    site.Registered: _registered,
    site.Wanted: _wanted,
    site.Recommended: _recommended,
}


# --- Materials --------------------------------------------------------------------------------------------------------


def material_token(submission):
    return signing.dumps(str(submission.receipt), salt=SALT)


def material_link(submission):
    return settings.PUBLIC_URL + reverse("leads:material", args=[material_token(submission)])


def material(token):
    """The receipt that a link was made for; None for a link that is not ours, or too old."""
    try:
        receipt = signing.loads(token, salt=SALT, max_age=GOOD_FOR)
    except signing.BadSignature:
        return None
    rows = Submission.objects.select_related("source").defer("body").exclude(state__in=[State.SPAM, State.REJECTED])
    return rows.filter(receipt=receipt, source__adapter="download", source__is_active=True).first()


def taken(submission):
    """Note on the card that the file was fetched; the card may be a moment behind."""
    enqueue("leads.material_taken", submission.pk)


def file_of(source):
    """Where the material lies; "" for none, or for a name that is not one of ours."""
    name = str(source.settings.get("file") or "")
    return name if name.startswith(f"{FOLDER}/") and default_storage.exists(name) else ""


def note_taken(pk):
    submission = Submission.objects.select_related("lead", "source").defer("body").get(pk=pk)
    lead = submission.lead
    if submission.state == State.WAITING:
        enqueue("leads.material_taken", pk, due_at=timezone.now() + timedelta(seconds=5))
    seen = Interaction.objects.filter(lead=lead, kind=Kind.DOWNLOADED, submission=submission)
    if lead and not seen.exists():
        title = str(submission.source.settings.get("title") or submission.source.name)
        record(lead, Kind.DOWNLOADED, submission=submission, text=title, source=submission.source.key)


# --- Visits -----------------------------------------------------------------------------------------------------------


def page_seen(event, submission):
    """Handler of ``visits.PageSeen``: a page view that came by the source's address."""
    view = pages.noted(submission.source, event.note)
    return Outcome(State.MERGED, person_id=view.person_id) if view and view.person_id else NOTHING


HANDLERS = {visits.PageSeen: page_seen}
