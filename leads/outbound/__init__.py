"""Messengers that take our answers: a module each, ``send(message) -> Verdict`` and ``locate(file) -> Place``.

A module speaks the provider's protocol through ``crm.core.outbound`` and touches no database.
"""

from leads.outbound import telegram, vk, whatsapp

SENDERS = {"telegram": telegram, "whatsapp": whatsapp, "vk": vk}
