"""Where enquiries come from. A new source: one file here, one line in ADAPTERS, one test file.

An adapter is a module with

- ``LABEL``, ``NEEDS_SECRET`` (in production it takes nothing without one), ``CHANNEL`` (of leads.models.Channel);
- ``verify(envelope, source, body)``: raises Refused(401) unless the sender is who they should be; ``body`` is None
  where it could not be read;
- ``parse(body, source, *, headers, region, path, received_at) -> Parsed``: pure; the judge calls it again on what is
  stored.

and, where its provider asks for it,

- ``SETTINGS``: name → Setting, the fields of its set-up page; ``check_settings(settings)``: raises ValidationError;
- ``METHODS``: what it takes besides POST; a GET's query is read as if it were a posted form;
- ``read(content_type, raw) -> Body`` instead of ``base.parse_body``;  ``MAX_BODY``: bytes;
- ``handshake(envelope, source) -> Reply | None``: answers a provider's check of the address; nothing is stored then;
- ``reply(envelope, source) -> Reply``: what the provider wants to hear once the receipt is stored;
- ``once(envelope, body) -> str | None``: the provider's own id of the delivery, where it sends one again after a
  lost answer.
"""

from django.utils.translation import gettext_lazy as _

from leads.capture import chat, jivo, json_body, telegram, vk, web_form, whatsapp

ADAPTERS = {
    "web-form": web_form,
    "json": json_body,
    "vk": vk,
    "telegram": telegram,
    "whatsapp": whatsapp,
    "jivo": jivo,
    "chat": chat,
}
# Sources of leads that come by no address: made on demand, one of each.
PSEUDO = {
    "manual": _("By hand"),
    "api": _("API"),
    "list": _("Uploaded list"),
}


def adapter_choices():
    return [(name, adapter.LABEL) for name, adapter in ADAPTERS.items()]
