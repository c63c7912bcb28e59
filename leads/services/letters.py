"""Writing letters: a ``Message`` row first; ``leads.deliver`` takes it from there."""

import re
from email.utils import formataddr

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _

from crm.core.jobs import enqueue
from crm.core.models import Organisation
from crm.core.recent import recent
from leads import letters
from leads.models import Kind, Message, MessageLink, Template
from leads.models.messages import new_token
from leads.services.delivery import settle, sweep
from leads.services.timeline import record

__all__ = ["notify_by_mail", "render", "settle", "sweep", "write"]

VARIABLES = letters.VARIABLES
# What a client did not ask for by name carries a way out.
WITH_WAY_OUT = {Message.Kind.WELCOME, Message.Kind.SEQUENCE}


def public(name, *args):
    """A full address that works outside, from the route's name."""
    return settings.PUBLIC_URL + reverse(name, args=args)


def language_of(lead, organisation=None):
    """The language in which the client is written to: their own where we speak it, else the organisation's."""
    known = dict(settings.LANGUAGES)
    if lead is not None and lead.language in known:
        return lead.language
    return (organisation or Organisation.get()).language


def values_for(lead, *, by=None, organisation=None, language=""):
    """What the variables of a template stand for, for this lead and the colleague who writes; in the text's ``language``."""
    owner, organisation = by or lead.owner, organisation or Organisation.get()
    of_owner = {"owner": organisation.name}  # a parked lead is written to by the company
    if owner is not None:
        of_owner = {
            "owner": str(owner),
            "owner_first_name": owner.first_name or str(owner),
            "owner_phone": owner.phone,
            "owner_email": owner.email,
            "owner_title": owner.job_title,
            "signature": owner.signature,
        }
    return of_owner | {
        "introduction": _introduction(owner, language or language_of(lead, organisation)),
        "name": lead.name,
        "first_name": letters.first_name(lead.name),
        "company": lead.company_name,
        "job_title": lead.job_title,
        "city": lead.city,
        "product": lead.product,
        "organisation": organisation.name,
    }


def _introduction(owner, language):
    """Who will answer the client, in the language of the letter; nobody is named before somebody has the lead."""
    with translation.override(language):
        if owner is None:
            return _("A colleague will get in touch with you within working hours.")
        words = _("My name is %(owner)s, I will help you. I will get in touch within working hours.")
        return words % {"owner": owner}


def render(template, lead, *, by=None):
    """(subject, text) of the template for this lead."""
    values = values_for(lead, by=by, language=template.language)
    return letters.render(template.subject, values, one_line=True), letters.render(template.body, values)


def check_template(subject, body):
    """Raise ValidationError where a template (or a letter) must not be kept as it is."""
    letters.check_template(subject, body, forbidden=back_office())


def faults(template):
    """What is wrong with a template, as a list of words; empty when it may be kept."""
    try:
        check_template(template.subject, template.body)
    except ValidationError as error:
        return error.messages
    return []


def back_office():
    """Addresses of this product itself that no client may be sent to."""
    bare = settings.PUBLIC_URL.split("://", 1)[-1]
    paths = (reverse("admin:index"), reverse("core:login"))
    return [f"{scheme}://{bare}{path}" for scheme in ("http", "https") for path in paths]


def sender_of(user, organisation):
    """ "Name <address>": the colleague's name over the organisation's address, so that SPF and DKIM hold."""
    name = " ".join(re.sub(r"[\x00-\x1f\x7f<>\"\\]", " ", str(user or organisation.name)).split())[:80]
    address = organisation.from_email or settings.DEFAULT_FROM_EMAIL
    return f'"{name}" <{address}>' if name else formataddr(("", address))


@transaction.atomic(savepoint=False)
def write(lead, *, kind, subject, text, by=None, template=None, dedup=None, deal=None):
    """Queue a letter to the lead's address and note it on the timeline; returns the Message.

    ``dedup``: the same key said twice is one letter, the first. Raises ValidationError for links that must not be sent.
    """
    if faults := list(letters.link_faults(text, back_office())):
        raise ValidationError({"text": faults})
    organisation = Organisation.get()
    row = Message(
        kind=kind, lead=lead, person_id=lead.person_id, deal_ref=deal, by=by, template=template, dedup=dedup,
        sender=sender_of(by or lead.owner, organisation), to=lead.email, token=new_token(),
        subject=" ".join(subject.split())[:300],
    )  # fmt: skip
    links = _compose(row, text, language_of(lead, organisation))
    row, is_new = _insert(row)
    if is_new:
        MessageLink.objects.bulk_create(MessageLink(message=row, position=n, url=u) for n, u in enumerate(links, 1))
        record(lead, Kind.EMAIL_OUT, by=by, text=row.subject, deal=deal, message=row, letter=kind)
        enqueue("leads.deliver", row.pk)
    return row


def _insert(row):
    """(row, True), or (the former row, False) when another process has said the same in between."""
    if row.dedup is None:
        row.save(force_insert=True)
        return row, True
    try:
        with transaction.atomic():
            row.save(force_insert=True)
        return row, True
    except IntegrityError:
        return Message.objects.get(dedup=row.dedup), False


def _compose(row, text, language):
    """Fill in text and HTML with counted links, pixel and way out; returns the links."""
    footer = footer_url = ""
    if row.kind in WITH_WAY_OUT:
        with translation.override(language):
            footer, footer_url = _("Unsubscribe from emails"), public("leads:unsubscribe", row.token)
    composed = letters.compose(
        text,
        click=lambda n: public("leads:click", row.token, n),
        pixel=public("leads:pixel", row.token),
        footer=footer,
        footer_url=footer_url,
    )
    row.text, row.html = composed.text, composed.html
    return composed.links


@transaction.atomic
def notify_by_mail(user, subject, text, dedup=None):
    """A notice to a colleague's own mailbox; returns the Message, None where the colleague has no address."""
    if not user.email or not user.is_active:
        return None
    composed = letters.compose(text)
    row, is_new = _insert(
        Message(
            kind=Message.Kind.NOTICE,
            dedup=dedup,
            token=new_token(),
            to=user.email,
            tracked=False,
            sender=sender_of(None, Organisation.get()),
            subject=" ".join(subject.split())[:300],
            text=composed.text,
            html=composed.html,
        )  # fmt: skip
    )
    if is_new:
        enqueue("leads.deliver", row.pk)
    return row


@transaction.atomic(savepoint=False)
def ask(address, subject, text, *, dedup, kind):
    """A letter to an address that nobody is known by yet, without counted links: it asks for a confirmation."""
    composed = letters.compose(text)
    row, is_new = _insert(
        Message(
            kind=kind, dedup=dedup, token=new_token(), to=address, tracked=False,
            sender=sender_of(None, Organisation.get()), subject=" ".join(subject.split())[:300],
            text=composed.text, html=composed.html,
        )
    )  # fmt: skip
    if is_new:
        enqueue("leads.deliver", row.pk)
    return row


@recent
def _welcomes():
    return {(t.kind, t.language): t for t in Template.objects.filter(is_welcome=True, is_active=True)}


def welcome_template(language, kind="letter"):
    """The active welcome of this kind in this language, else in the organisation's; None when there is none."""
    found = _welcomes()
    return found.get((kind, language)) or found.get((kind, Organisation.get().language))
