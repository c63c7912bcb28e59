"""Who leaves only a phone is welcomed by SMS, reads it, and is written to from the card, with real workers."""

import hashlib
from urllib.parse import urlencode

import pytest

from tests.journeys import steps
from tests.leads import messengers
from tests.product import wait_for

pytestmark = pytest.mark.slow

API_ID, PHONE = "KEY-OF-THE-JOURNEY", "79167770011"
SET_UP = """
from leads.models import Template; from leads.services.sources import add
add(key="sms", adapter="sms-ru", secret={secret!r}, settings={{"base_url": {url!r}}})
Template.objects.create(name="SMS", kind="sms", is_welcome=True, language="ru", body="Ждите звонка. {{{{ owner }}}}")
"""
STATES = """
    select m.state, m.delivery, m.provider_id from leads_message m join leads_conversation c on c.id = m.conversation_id
    where c.chat = %s order by m.id"""


def callback(provider, *entries):
    proof = hashlib.sha256((API_ID + "".join(entries)).encode()).hexdigest()
    form = urlencode([*((f"data[{n}]", entry) for n, entry in enumerate(entries)), ("hash", proof)])
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return provider.ask("POST", "/capture/sms/", form, **kind)


def test_a_phone_alone_is_welcomed_by_sms_and_written_to(product, person):
    with messengers.running() as desk:
        product.python(SET_UP.format(secret=API_ID, url=desk.url))
        steps.post_form(person(), "form-ru", name="Ольга", phone="8 916 777-00-11")
        wait_for(lambda: len(desk.told) == 1, "the welcome at the provider")
        (lead,) = product.rows(f"{steps.LEAD} where l.phone = %s", f"+{PHONE}")
        owner = person(lead["owner_name"])
        said = desk.told[0][1]
        assert (said["to"], said["msg"]) == (PHONE, f"Ждите звонка. {steps.name_of(lead['owner_name'])}")

        def sent():
            return [row["state"] for row in product.rows(STATES, PHONE)] == ["sent"]

        wait_for(sent, "the welcome, sent")
        answer = callback(person(), f"sms_status\n{product.rows(STATES, PHONE)[0]['provider_id']}\n103\n1700000000")
        assert (answer.status, answer.text) == (200, "100")
        wait_for(lambda: product.rows(STATES, PHONE)[0]["delivery"] == "delivered", "the delivery")
        panel = owner.get(f"/leads/{lead['id']}/talk/")
        talk = product.value("select id from leads_conversation where chat = %s", PHONE)
        assert said["msg"] in panel.words
        owner.send(panel, f"/leads/{lead['id']}/talk/{talk}/", text="Могу позвонить в 15:00?")
        wait_for(lambda: len(desk.told) == 2, "the manager's SMS at the provider")
        assert desk.told[1][1]["msg"] == "Могу позвонить в 15:00?"
    product.python("from leads.models import Source; Source.objects.filter(key='sms').update(is_active=False)")
    assert [row["state"] for row in product.json("receipts", "sms")] == ["merged"]
    steps.no_differences(product)
