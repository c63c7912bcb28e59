"""Messengers and SMS providers that take our answers: a module each, ``send(message) -> Verdict`` and ``locate(file) -> Place`` where clients send files.

A module speaks the provider's protocol through ``crm.core.outbound`` and touches no database.
"""

from leads.outbound import sms_ru, sms_trial, telegram, twilio_sms, vk, whatsapp

# By the adapter of the source that a conversation is of.
SENDERS = {
    "telegram": telegram,
    "whatsapp": whatsapp,
    "vk": vk,
    "sms-ru": sms_ru,
    "twilio-sms": twilio_sms,
    "sms-trial": sms_trial,
}
SMS = {"sms-ru", "twilio-sms", "sms-trial"}
PAID = SMS - {"sms-trial"}
