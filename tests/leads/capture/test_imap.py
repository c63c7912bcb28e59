"""Mailboxes: read by a cursor, every letter stored before it moves; cut, numbered anew, read by ten at once."""

import threading

import pytest
from django.db import connection

from crm.core.jobs import drain
from leads import imap
from leads.models import IncomingLetter, Lead, MailFolder, Source, Submission
from leads.services import mailboxes, sources
from tests.leads.capture import postbox
from tests.leads.capture.postbox import letter, put


@pytest.fixture(scope="module")
def server():
    with postbox.imap_server() as port:
        yield port


@pytest.fixture
def port(server):
    """The server, its mailbox empty."""
    with postbox.logged_in(server) as link:
        link.select("INBOX")
        link.store("1:*", "+FLAGS", "\\Deleted")
        link.expunge()
        for row in link.list()[1]:
            name = row.decode().rsplit('"', 2)[-2] if row and row.endswith(b'"') else row.decode().split()[-1]
            if name.upper() != "INBOX":
                link.delete(f'"{name}"')
    return server


def mailbox(port, key="info", **more):
    stated = {"host": "127.0.0.1", "port": port, "tls": "none", "user": postbox.USER, "password": postbox.PASSWORD}
    return sources.add(key=key, adapter="imap", name="Mailbox", settings=stated | more)


def states(source=None):
    rows = Submission.objects.order_by("pk")
    return list((rows.filter(source=source) if source else rows).values_list("state", "reason"))


@pytest.fixture
def box(port, funnels, settings):
    settings.LOCAL = True
    return mailbox(port)


@pytest.mark.django_db(transaction=True)
def test_a_letter_of_a_stranger_is_a_lead(port, box):
    put(port, letter("Нужна кофемашина.\n\n-- \nПётр, +7 916 123-45-67"))
    assert mailboxes.poll(box) == {"stored": 1, "skipped": 0, "more": False}
    drain()
    lead = Lead.objects.get()
    assert (lead.name, lead.email, lead.phone) == ("Пётр Иванов", "petr@romashka.ru", "+79161234567")
    assert lead.need == "Заявка\n\nНужна кофемашина."
    assert states() == [("lead", "")]
    row = IncomingLetter.objects.get()
    assert (row.lead, row.sort, row.text, row.rest) == (
        lead,
        "human",
        "Нужна кофемашина.",
        "--\nПётр, +7 916 123-45-67",
    )
    assert bytes(Submission.objects.get().body).startswith(b"From:")
    assert mailboxes.poll(box) == {"stored": 0, "skipped": 0, "more": False}
