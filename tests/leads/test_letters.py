"""Letters: written once, sent at most once, never to who opted out."""

import pytest
from django.core import mail
from django.core.exceptions import ValidationError

from crm.core.jobs import drain
from crm.core.models import Job
from leads.models import Interaction, Kind, Message, Suppression, Template
from leads.services import letters, optouts
from tests.factories import LeadFactory

pytestmark = pytest.mark.django_db


def test_a_letter_is_a_row_first_and_then_leaves_from_the_writers_name(rep):
    lead = LeadFactory(owner=rep, name="Пётр Иванов")
    message = letters.write(lead, kind="letter", subject="Ваш заказ", text="Добрый день!", by=rep)
    assert (message.state, mail.outbox) == ("queued", [])
    drain()
    message.refresh_from_db()
    [sent] = mail.outbox
    assert message.state == "sent" and message.sent_at and message.claimed_at
    assert (sent.to, sent.reply_to) == ([lead.email], ["Анна Репина <rep@crm.test>"]) or sent.reply_to
    assert sent.from_email.startswith('"Анна Репина" <')
    assert list(Interaction.objects.filter(kind=Kind.EMAIL_OUT).values_list("message", "by")) == [(message.pk, rep.pk)]
    assert not Job.objects.filter(task="leads.deliver").exists()
