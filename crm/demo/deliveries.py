"""What providers send, made up: one client's enquiry by each kind of channel. For loads: bench and fault tests.

Every delivery is the form of its provider (see the adapter of the name), unsigned, as local mode takes it.
"""

import json
from dataclasses import dataclass
from urllib.parse import urlencode

from leads.capture.base import FORM, JSON

STARTED = 1_700_000_000  # seconds since 1970: when the made-up calls and messages happened


@dataclass(frozen=True)
class Delivery:
    """``adapter`` is the key of its source as well; ``suffix``: what the provider appends to the address."""

    adapter: str
    content_type: str
    body: bytes
    suffix: str = ""


def phone_of(number):
    """The phone of the ``number``-th client, E.164."""
    return f"+7916{number:07d}"


def _json(adapter, value, suffix=""):
    return Delivery(adapter, JSON, json.dumps(value, ensure_ascii=False).encode(), suffix)


def _form(adapter, fields, suffix=""):
    return Delivery(adapter, FORM, urlencode(fields).encode(), suffix)


def program(n):
    return _json("json", {"name": f"Клиент {n}", "phone": phone_of(n), "need": "Кухня", "utm_source": "partner"})


def site(n):
    return _form("web-form", {"name": f"Клиент {n}", "phone": phone_of(n), "message": "Перезвоните"})


def tilda(n):
    return _form("tilda", {"Name": f"Клиент {n}", "Phone": phone_of(n), "tranid": f"1:{n}", "formid": "form1"})


def typeform(n):
    answers = [
        {"type": "phone_number", "phone_number": phone_of(n), "field": {"id": "2", "type": "phone_number", "ref": "p"}},
    ]
    definition = {"title": "Замер", "fields": [{"id": "2", "title": "Телефон"}]}
    response = {"form_id": "f1", "token": f"token{n:015d}", "definition": definition, "answers": answers}
    return _json("typeform", {"event_id": f"e{n}", "event_type": "form_response", "form_response": response})


def google_ads(n):
    columns = [
        {"column_id": "FULL_NAME", "string_value": f"Клиент {n}"},
        {"column_id": "PHONE_NUMBER", "string_value": phone_of(n)},
    ]
    form = {"lead_id": f"L{n}", "user_column_data": columns, "form_id": 1, "campaign_id": 2, "is_test": False}
    return _json("google-ads", form)


def vk_form(n):
    answers = [
        {"key": "first_name", "question": "Имя", "answer": f"Клиент {n}"},
        {"key": "phone_number", "question": "Телефон", "answer": phone_of(n)},
    ]
    form = {"lead_id": n, "group_id": 5, "user_id": 10_000_000 + n, "form_id": 1, "form_name": "Замер"}
    event = {"type": "lead_forms_new", "group_id": 5, "event_id": f"{n:040d}"}
    return _json("vk", event | {"object": form | {"answers": answers}})


def telegram(n):
    sender = {"id": 20_000_000 + n, "is_bot": False, "first_name": f"Клиент {n}", "language_code": "ru"}
    message = {
        "message_id": 1, "date": STARTED, "from": sender, "chat": {"id": sender["id"], "type": "private"},
        "contact": {"phone_number": phone_of(n)[1:], "first_name": "Клиент", "user_id": sender["id"]},
    }  # fmt: skip
    return _json("telegram", {"update_id": 1_000_000 + n, "message": message})


def whatsapp(n):
    number = phone_of(n)[1:]
    message = {"from": number, "id": f"wamid.{n}", "timestamp": str(STARTED), "type": "text", "text": {"body": "Цена?"}}
    value = {
        "messaging_product": "whatsapp", "metadata": {"display_phone_number": "74950000000", "phone_number_id": "5"},
        "contacts": [{"profile": {"name": f"Клиент {n}"}, "wa_id": number}], "messages": [message],
    }  # fmt: skip
    change = {"field": "messages", "value": value}
    return _json("whatsapp", {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]})


def jivo(n):
    visitor = {"name": f"Клиент {n}", "phone": phone_of(n), "number": str(n), "chats_count": 1}
    agent = {"id": "1", "name": "Анна", "email": "", "phone": ""}
    return _json("jivo", {"event_name": "chat_accepted", "chat_id": n, "widget_id": "w", "visitor": visitor,
                          "agent": agent, "session": {}, "page": {"url": "https://shop.example/"}})  # fmt: skip


def mango(n):
    call = {
        "entry_id": f"E{n}", "call_id": f"leg{n}", "timestamp": STARTED, "seq": 1, "call_state": "Appeared",
        "location": "ivr", "from": {"number": phone_of(n)[1:]}, "to": {"number": "74951112233"},
    }  # fmt: skip
    return _form("mango", {"vpbx_api_key": "K", "sign": "", "json": json.dumps(call)}, "events/call")


def zadarma(n):
    call = {
        "event": "NOTIFY_START", "call_start": "2026-01-01 12:00:00", "pbx_call_id": f"in_{n}",
        "caller_id": phone_of(n), "called_did": "+74951112233",
    }  # fmt: skip
    return _form("zadarma", call)


CHANNELS = (program, site, tilda, typeform, google_ads, vk_form, telegram, whatsapp, jivo, mango, zadarma)
ADAPTERS = sorted({channel(0).adapter for channel in CHANNELS})


def delivery(number):
    """The ``number``-th client's enquiry; channels take turns."""
    return CHANNELS[number % len(CHANNELS)](number)
