"""Where enquiries come from. A new source: one file here, one line in ADAPTERS, one test file.

An adapter is a module with

- ``LABEL``, ``NEEDS_SECRET`` (in production it takes nothing without one), ``CHANNEL`` (of leads.models.Channel);
- ``SECRET_HELP``: what the source's secret is at its provider; "" where there is none to ask for; ``GIVEN_SECRET``: the
  provider gives it, so none is made up;
- ``verify(envelope, source, body)``: raises Refused(401) unless the sender is who they should be; ``body`` is None
  where it could not be read;
- ``parse(body, source, *, headers, region, path, received_at) -> Parsed``: pure; the judge calls it again on what is
  stored.

and, where its provider asks for it,

- ``SETTINGS``: name → Setting, the fields of its set-up page; ``check_settings(settings)``: raises ValidationError;
- ``COMMON``: which settings of any source its set-up page shows: origins, redirect, answer, mapping;
- ``METHODS``: what it takes besides POST; a GET's query is read as if it were a posted form;
- ``SEVERAL``: one body may bring several enquiries (leads.capture.several), each a receipt of its own; its ``read``
  takes the path of the ``part`` as well;
- ``read(content_type, raw) -> Body`` instead of ``base.parse_body``;  ``MAX_BODY``: bytes;
- ``handshake(envelope, source) -> Reply | None``: answers a provider's check of the address; nothing is stored then;
- ``reply(envelope, source) -> Reply | None``: what the provider wants to hear once the receipt is stored;
- ``TAKES_ALL``: a provider is not told that an enquiry lacks a contact: it could do nothing about it;
- ``HOSTED``: its sources have a form page of ours;
- ``canary(source, mark, url) -> Canary``: a test as its provider would sign and write it (leads.capture.canary);
- ``once(envelope, body) -> str | None``: the provider's own id of the delivery, where it sends one again after a
  lost answer.
"""

from django.utils.translation import gettext_lazy as _

from leads.capture import (
    asterisk,
    chat,
    download,
    event,
    google_ads,
    imap,
    inbound_mail,
    jivo,
    json_body,
    mango,
    mapping,
    meta,
    newsletter,
    referral,
    sms_ru,
    sms_trial,
    telegram,
    tilda,
    twilio,
    twilio_sms,
    typeform,
    uis,
    visits,
    vk,
    web_form,
    whatsapp,
    zadarma,
)

ADAPTERS = {
    "web-form": web_form,
    "json": json_body,
    "mapping": mapping,
    "tilda": tilda,
    "typeform": typeform,
    "meta": meta,
    "google-ads": google_ads,
    "vk": vk,
    "telegram": telegram,
    "whatsapp": whatsapp,
    "jivo": jivo,
    "chat": chat,
    "mango": mango,
    "zadarma": zadarma,
    "uis": uis,
    "twilio": twilio,
    "asterisk": asterisk,
    "sms-ru": sms_ru,
    "twilio-sms": twilio_sms,
    "sms-trial": sms_trial,
    "imap": imap,
    "inbound-mail": inbound_mail,
    "newsletter": newsletter,
    "event": event,
    "download": download,
    "referral": referral,
    "visits": visits,
}
# Sources of leads that come by no address: made on demand, one of each.
PSEUDO = {
    "manual": _("By hand"),
    "api": _("API"),
    "list": _("Uploaded list"),
}


def label_of(name):
    """What a kind of source is called, one that is made by itself too."""
    return getattr(ADAPTERS.get(name), "LABEL", PSEUDO.get(name, name))


def adapter_choices():
    return [(name, adapter.LABEL) for name, adapter in ADAPTERS.items()]
