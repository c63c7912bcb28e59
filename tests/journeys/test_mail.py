"""A mailbox on a real IMAP server, with real workers: an enquiry by mail, our answer, the client's, a bounce."""

import re

import pytest

from tests.journeys import steps
from tests.leads.capture import postbox
from tests.product import wait_for

pytestmark = pytest.mark.slow

CLIENT = "pavel@client-by-mail.test"
FIRST = "Добрый день!\n\nНужна кофемашина в офис на 40 человек.\n\n-- \nПавел Кузнецов\n+7 916 555-77-88"
RETURNED = """From: MAILER-DAEMON@mx.test
To: {us}
Subject: Недоставленное письмо
Return-Path: <>
Message-ID: <bounce-1@mx.test>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Ваше письмо не доставлено.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.test

Final-Recipient: rfc822; {client}
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 no such user

--b
Content-Type: text/rfc822-headers

To: {client}
Message-ID: {ours}

--b--
"""


@pytest.fixture(scope="module")
def box(product):
    with postbox.imap_server() as port:
        stated = {"host": "127.0.0.1", "port": port, "tls": "none", "user": postbox.USER, "password": postbox.PASSWORD}
        product.manage(
            "add_source",
            "mail",
            "--adapter",
            "imap",
            *[w for n, v in stated.items() for w in ("--setting", f"{n}={v}")],
        )
        yield port


def polled(product):
    """The workers read it every minute; a journey does not wait so long."""
    return product.json("poll_mail", "mail")["mail"]["stored"]


def test_a_letter_becomes_a_card_is_answered_and_answers_again(product, mailbox, person, box):
    postbox.put(
        box,
        postbox.letter(FIRST, sender=f"Павел Кузнецов <{CLIENT}>", subject="Кофемашина", message_id="<first@client>"),
    )
    assert polled(product) == 1
    lead = wait_for(
        lambda: (row := steps.latest(product, CLIENT)) and row["owner_id"] and row, "the card with its owner"
    )
    assert (lead["name"], lead["phone"], lead["need"]) == (
        "Павел Кузнецов", "+79165557788", "Кофемашина\n\nДобрый день!\n\nНужна кофемашина в офис на 40 человек.",
    )  # fmt: skip
    owner = person(lead["owner_name"])
    seen(owner, product, lead)
    ours = answered(product, mailbox, owner, lead)
    replied(product, box, owner, lead, ours)
    came_back(product, box, lead, ours)
    assert polled(product) == 0
    steps.no_differences(product)


def seen(owner, product, lead):
    """The letter opens from the card; its frame runs nothing and loads nothing."""
    letter = product.value("select id from leads_incomingletter where lead_id = %s", lead["id"])
    assert f"/letters/{letter}/" in owner.get(f"/leads/{lead['id']}/").text
    page = owner.get(f"/letters/{letter}/body/")
    policy = page.headers["Content-Security-Policy"]
    assert "Нужна кофемашина в офис" in page.text and "default-src 'none'" in policy and "sandbox" in policy


def answered(product, mailbox, owner, lead):
    """The answer stays in the client's thread; returns its Message-ID."""
    letter = product.value("select id from leads_incomingletter where lead_id = %s", lead["id"])
    form = f"/leads/{lead['id']}/letters/new/"
    page = owner.get(f"{form}?answers={letter}")
    assert page.form(form)["subject"] == "Re: Кофемашина"
    owner.send(page, form, subject="Re: Кофемашина", text="Здравствуйте! Есть три модели.")
    (sent,) = wait_for(
        lambda: [m for m in steps.letters_to(mailbox, CLIENT) if m["Subject"] == "Re: Кофемашина"], "our answer"
    )
    assert sent["In-Reply-To"] == "<first@client>"
    return sent["Message-ID"]


def replied(product, box, owner, lead, ours):
    """The client's answer is a reply on the card; the owner is told and has a task."""
    text = "Берём вторую.\n\nпт, 20 нояб. 2026 г. в 12:30, Анна <sales@company.ru>:\n\n> Здравствуйте! Есть три модели."
    postbox.put(box, postbox.letter(text, sender=f"Павел <{CLIENT}>", subject="Re: Кофемашина", In_Reply_To=ours))
    assert polled(product) == 1
    sql = "select text from leads_interaction where lead_id = %s and kind = 'replied'"
    assert wait_for(lambda: product.rows(sql, lead["id"]), "the reply")[0]["text"] == "Берём вторую."
    tasks = "select count(*) from leads_task where lead_id = %s and done_at is null and dedup like 'letter:%%'"
    assert product.value(tasks, lead["id"]) == 1
    assert "Берём вторую." in owner.get(f"/leads/{lead['id']}/").words


def came_back(product, box, lead, ours):
    """The next letter bounces: it failed, and the address gets no more."""
    postbox.put(box, RETURNED.format(us=postbox.USER, client=CLIENT, ours=ours).encode())
    assert polled(product) == 1
    key = int(re.match(r"<(\d+)\.", ours)[1])
    wait_for(lambda: product.value("select state from leads_message where id = %s", key) == "failed", "the bounce")
    assert product.value("select reason from leads_suppression where value = %s", CLIENT) == "bounced"
