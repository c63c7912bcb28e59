"""What becomes of a letter: whose card, whose thread, and what comes back of our own letters."""

import io
import re
import uuid
import zipfile
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from urllib.parse import unquote

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, override

from crm.core.jobs import drain
from crm.core.models import Notice, User
from leads.identity import Known
from leads.models import (
    Identity,
    IncomingLetter,
    Interaction,
    Kind,
    Lead,
    Message,
    Source,
    Submission,
    Suppression,
    Task,
    Template,
)
from leads.services import judging, letters
from leads.services.delivery import build, message_id
from leads.services.erasing import erase
from leads.services.intake import open_lead
from leads.services.ownership import assign
from tests.leads.capture import autoreplies
from tests.leads.capture.postbox import letter

pytestmark = pytest.mark.django_db


@pytest.fixture
def box(funnels):
    return Source.objects.create(
        key="info", name="Mailbox", adapter="imap", channel="email", settings={"user": "sales@company.ru"}
    )


@pytest.fixture
def receive(box):
    """Store a letter as the mailbox's reader does, judge it, and return the receipt."""

    def take(mail, **headers):
        raw = mail if isinstance(mail, bytes) else mail.encode() if isinstance(mail, str) else mail.as_bytes()
        row = Submission.objects.create(
            receipt=uuid.uuid4(), source=box, method="IMAP", content_type="message/rfc822", body=raw, sha256="", headers=headers
        )  # fmt: skip
        row.refresh_from_db()
        return judging.judge(row.pk)

    return take


@pytest.fixture
def lead(box, rep):
    """An open card of petr@romashka.ru with an owner."""
    made, _outcome = open_lead(
        fields={"name": "Пётр Иванов"}, identities=[Known("email", "petr@romashka.ru")], source=box
    )
    Lead.objects.filter(pk=made.pk).update(owner=rep, waiting_since=None)
    made.refresh_from_db()
    return made


@pytest.fixture
def ours(lead, rep):
    """A letter of ours to this client, gone out."""
    row = letters.write(lead, kind=Message.Kind.LETTER, subject="Предложение", text="Две машины", by=rep)
    Message.objects.filter(pk=row.pk).update(state="sent", sent_at=timezone.now())
    row.refresh_from_db()
    return row


def kinds(lead):
    return list(
        lead.interactions.exclude(kind__in=["captured", "task_set", "email_out"])
        .order_by("pk")
        .values_list("kind", flat=True)
    )


# --- Threads -----------------------------------------------------------------------------------------------------------


def test_an_answer_to_our_letter_is_a_reply_on_its_card(receive, lead, ours, rep):
    answer = letter("Согласны!\n\nпт, 20 нояб. 2026 г. в 12:30, Анна <sales@company.ru>:\n\n> Две машины", subject="Re: Предложение",
                    In_Reply_To=message_id(ours), References=f"<other@x> {message_id(ours)}")  # fmt: skip
    receipt = receive(answer)
    assert (receipt.state, receipt.lead) == ("merged", lead)
    touch = lead.interactions.get(kind=Kind.REPLIED)
    assert (touch.text, touch.message, touch.submission) == ("Согласны!", ours, receipt)
    row = IncomingLetter.objects.get()
    assert (row.lead, row.answers, row.is_mismatch) == (lead, ours, False)
    lead.refresh_from_db()
    assert lead.waiting_since is not None
    assert Notice.objects.filter(user=rep, kind="reply").count() == 1
    assert Task.objects.filter(lead=lead, assignee=rep, done_at=None, dedup__startswith="letter:").count() == 1


def test_a_task_speaks_the_companys_language_to_who_has_chosen_none(receive, lead, ours, rep):
    User.objects.filter(pk=rep.pk).update(language="")
    receive(letter("Согласны!", subject="Re: Предложение", In_Reply_To=message_id(ours)))
    with override("ru"):
        assert Task.objects.get(lead=lead, dedup__startswith="letter:").title == gettext("Reply to the email")
    assert Task.objects.get(lead=lead, dedup__startswith="letter:").title != "Reply to the email"


def test_the_client_may_answer_from_another_thread_of_theirs(receive, lead):
    first = receive(letter("Первое", message_id="<a@romashka.ru>"))
    second = receive(letter("Второе", message_id="<b@romashka.ru>", In_Reply_To="<a@romashka.ru>"))
    assert (first.lead, second.lead) == (lead, lead)
    assert kinds(lead) == ["email_in", "email_in"]
    assert Task.objects.filter(lead=lead, done_at=None, dedup__startswith="letter:").count() == 1


def test_a_stranger_in_anothers_thread_gets_a_card_of_their_own(receive, lead, ours):
    stranger = letter(
        "Покажите мне переписку",
        sender="Чужой <evil@other.ru>",
        subject="Re: Предложение",
        In_Reply_To=message_id(ours),
    )
    receipt = receive(stranger)
    assert receipt.state == "lead" and receipt.lead != lead
    assert kinds(lead) == []
    row = IncomingLetter.objects.get()
    assert (row.is_mismatch, row.lead) == (True, receipt.lead)
    assert receipt.lead.interactions.get(kind=Kind.CAPTURED).details["mismatch"] is True


def test_a_guessed_message_id_opens_no_thread(receive, lead, ours):
    receipt = receive(letter("Да", In_Reply_To=f"<{ours.pk}.AAAAAAAAAA@company.ru>"))
    assert IncomingLetter.objects.get().answers is None
    assert (receipt.lead, kinds(lead)) == (lead, ["email_in"])  # by the address


def test_a_client_whose_cards_are_closed_is_a_new_enquiry(receive, lead, ours):
    Lead.objects.filter(pk=lead.pk).update(status="rejected", closed_at=timezone.now())
    receipt = receive(letter("Снова нужно", In_Reply_To=message_id(ours)))
    assert receipt.state == "lead" and receipt.lead != lead and receipt.lead.person_id == lead.person_id


def test_the_same_letter_twice_has_one_effect(receive, lead):
    mail = letter("Одно", message_id="<once@romashka.ru>")
    states = [
        (r.state, r.reason) for r in (receive(mail), receive(mail), receive(b"Received: by mx\r\n" + mail.as_bytes()))
    ]
    assert states == [("merged", ""), ("merged", "same"), ("merged", "same")]
    assert kinds(lead) == ["email_in"]


def test_a_letter_of_a_deleted_client_makes_no_card_again(receive, lead):
    mail = letter("Удалите меня")
    receive(mail)
    Lead.objects.filter(pk=lead.pk).delete()
    lead.person.delete()
    again = receive(mail)
    assert (again.state, again.reason, Lead.objects.count()) == ("rejected", "same", 0)


def test_of_an_erased_client_no_word_is_left_and_the_letter_does_not_come_again(receive, lead, admin):
    mail = letter("Тайна", subject="Личное")
    mail.add_attachment(b"secret", maintype="application", subtype="pdf", filename="passport.pdf")
    receive(mail)
    drain()
    erase(lead.person, by=admin)
    row = IncomingLetter.objects.get()
    assert (row.sender, row.sender_name, row.subject, row.text, row.html, row.files.count()) == ("", "", "", "", "", 0)
    assert receive(mail).reason == "same"
    assert receive(letter("Другое", message_id="<other@romashka.ru>")).reason == "erased"
    assert Lead.objects.count() == 1


def test_the_answer_goes_on_in_the_clients_thread_and_no_header_of_theirs_gets_into_it(receive, lead, rep):
    receive(letter("Вопрос", subject="Смета на кофе", message_id="<q2@romashka.ru>", References="<q1@romashka.ru>"))
    row = IncomingLetter.objects.get()
    ours = letters.write(
        lead, kind=Message.Kind.LETTER, subject="Re: Смета на кофе\r\nBcc: evil@x.ru", text="Ответ", by=rep
    )
    assert "\n" not in ours.subject
    Message.objects.filter(pk=ours.pk).update(subject="Re: Смета на кофе")
    ours.refresh_from_db()
    sent = build(ours).message()
    assert (sent["In-Reply-To"], sent["References"]) == ("<q2@romashka.ru>", "<q1@romashka.ru> <q2@romashka.ru>")
    IncomingLetter.objects.filter(pk=row.pk).update(
        message_id="q2@x>\r\nBcc: evil@x.ru", references=["a b", "c\r\nBcc: x"]
    )
    sent = build(Message.objects.get(pk=ours.pk)).message()
    assert (sent["In-Reply-To"], sent["Bcc"]) == (None, None)


# --- Who writes --------------------------------------------------------------------------------------------------------


def test_a_colleagues_address_from_outside_gives_no_rights(receive, lead, rep, head):
    head.email = "head@company.ru"
    head.save()
    receipt = receive(letter("Передайте сделку мне, статус выигран", sender="Начальник <head@company.ru>"))
    lead.refresh_from_db()
    assert (lead.owner, lead.status) == (rep, "open")
    assert receipt.state == "lead" and receipt.lead.owner is None
    assert IncomingLetter.objects.get().is_claimed


NOTICE = """Новая заявка с сайта company.ru

Имя: {name}
Телефон: {phone}
Ваш e-mail: {email}
Сколько кружек в день?
120
Комментарий: Нужна кофемашина
utm_source: yandex
---
Страница: https://company.ru/coffee
"""


def notice(
    sender="Сайт <noreply@tilda.example>", name="Анна Ким", phone="8 903 000-11-22", email="anna@kim.ru", **more
):
    return letter(NOTICE.format(name=name, phone=phone, email=email), sender=sender, subject="Заявка", **more)


def test_a_site_tells_of_enquiries_by_letter_and_each_is_somebody_of_their_own(receive):
    first = receive(notice())
    second = receive(notice(name="Пётр Ли", phone="8 903 000-11-33", email="petr@li.ru"))
    again = receive(notice(message_id="<again@site>"))
    assert [r.state for r in (first, second, again)] == ["lead", "lead", "merged"]
    assert again.lead == first.lead
    lead = first.lead
    assert (lead.name, lead.phone, lead.email, lead.need) == (
        "Анна Ким",
        "+79030001122",
        "anna@kim.ru",
        "Нужна кофемашина",
    )
    assert lead.touches.order_by("pk").first().marks == {"utm_source": "yandex", "landing": "https://company.ru/coffee"}
    assert (second.lead.name, second.lead.phone) == ("Пётр Ли", "+79030001133")
    assert not Identity.objects.filter(value__contains="tilda.example").exists()
    assert IncomingLetter.objects.filter(lead=lead).values_list("sender", flat=True).distinct().get() == "anna@kim.ru"


@pytest.mark.parametrize(
    "sender", ["WordPress <wordpress@shop.example>", "forms@company.ru", "sales@company.ru", "zakaz@landing.example"]
)
def test_whichever_robot_of_a_site_it_is(receive, sender):
    receipt = receive(notice(sender=sender, Auto_Submitted="auto-generated"))
    assert (receipt.state, receipt.lead.email, receipt.lead.phone) == ("lead", "anna@kim.ru", "+79030001122")


def test_a_callback_without_an_address_is_known_by_its_phone(receive):
    receipt = receive(
        letter("Телефон:\n+7 903 000-11-22", sender="noreply@callback.example", subject="Обратный звонок")
    )
    assert (receipt.state, receipt.lead.phone, receipt.lead.email) == ("lead", "+79030001122", "")


TABLE = """<table><tr><td>Имя</td><td>Анна Ким</td></tr><tr><td>Телефон</td><td>+7 903 000-11-22</td></tr>
<tr><td>Email</td><td><a href="mailto:anna@kim.ru">anna@kim.ru</a></td></tr></table>"""
PARAGRAPHS = "<p><b>Your name</b></p><p>Анна Ким</p><p><b>Phone</b></p><p>+7 903 000-11-22</p><p><b>Email</b></p><p>anna@kim.ru</p>"
FROM = "From: Анна Ким <anna@kim.ru>\nSubject: Coffee\nPhone: +7 903 000-11-22\n\nMessage Body:\nA machine, please"


@pytest.mark.parametrize("body", [TABLE, PARAGRAPHS, FROM])
def test_however_the_site_writes_it_down(receive, body):
    made = letter("", sender="wordpress@shop.example")
    made.set_content(body, subtype="html" if body.startswith("<") else "plain")
    lead = receive(made).lead
    assert (lead.name, lead.phone, lead.email) == ("Анна Ким", "+79030001122", "anna@kim.ru")


@pytest.mark.parametrize(
    ("sender", "text"),
    [
        ("info@romashka.ru", "Пришлите прайс.\n\nТел.: +7 495 000-00-00\nE-mail: info@romashka.ru"),  # below a letter
        ("petr@romashka.ru", "Имя: Пётр\nТелефон: +7 903 000-11-22\nE-mail: chef@romashka.ru"),  # a person's own words
    ],
)
def test_people_who_write_their_contacts_are_still_those_who_write(receive, sender, text):
    receipt = receive(letter(text, sender=sender))
    assert (receipt.state, receipt.lead.email) == ("lead", sender)


def test_a_news_letter_of_a_shop_with_its_own_phone_is_nobodys_enquiry(receive):
    text = "Скидки!\n\nТелефон: 8 800 000-00-00\nE-mail: shop@shop.example"
    made = letter(text, sender="noreply@shop.example", List_Unsubscribe="<https://shop.example/u>")
    assert (receive(made).state, Lead.objects.count()) == ("rejected", 0)


def test_a_robot_that_passes_on_words_of_a_client_is_not_the_client(receive):
    mail = letter(
        "Имя: Пётр",
        sender="Forms <noreply@builder.ru>",
        Reply_To="Пётр <petr@romashka.ru>",
        Auto_Submitted="auto-generated",
    )
    assert receive(mail).lead.email == "petr@romashka.ru"


def test_what_we_wrote_ourselves_is_no_enquiry(receive, ours):
    copy = letter("Две машины", sender="Анна <someone@company.ru>", message_id=message_id(ours))
    sent = letter("Из почтовой программы", sender="sales@company.ru")
    assert [(r.state, r.reason) for r in (receive(copy), receive(sent))] == [("rejected", "own")] * 2


def test_nobody_to_answer_to(receive):
    receipt = receive(letter("x", sender="undisclosed"))
    assert (receipt.state, receipt.reason) == ("rejected", "no_contact")


@pytest.mark.parametrize("date", ["Thu, 1 Jan 1970 00:00:00 +0000", "Fri, 1 Jan 2099 00:00:00 +0000", "no date", ""])
def test_an_impossible_date_is_the_time_of_arrival(receive, date):
    receipt = receive(letter("x", date=date or None) if date else _without_date(), Arrived="2026-11-20T09:30:00+00:00")
    assert IncomingLetter.objects.get().at == datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
    assert receipt.lead.created_at == datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


def _without_date():
    mail = letter("x")
    del mail["Date"]
    return mail


# --- Machines ----------------------------------------------------------------------------------------------------------


def test_an_automatic_reply_makes_no_lead_and_gets_no_answer(receive):
    receipt = receive(autoreplies.AUTOMATIC[0][1])
    drain()
    assert (receipt.state, receipt.reason) == ("rejected", "auto_reply")
    assert (Lead.objects.count(), Message.objects.count()) == (0, 0)


def test_an_automatic_reply_to_our_letter_stands_on_the_card(receive, lead, ours):
    raw = autoreplies.letter(
        "Re: Предложение", "В отпуске", Auto_Submitted="auto-replied", In_Reply_To=message_id(ours)
    )
    receipt = receive(raw)
    assert (receipt.state, receipt.lead, kinds(lead)) == ("merged", lead, ["auto_reply"])
    lead.refresh_from_db()
    assert lead.waiting_since is None


def bounce(to, original, *, status="5.1.1", action="failed", said="550 5.1.1 User unknown"):
    return f"""From: MAILER-DAEMON@mx.example
To: sales@company.ru
Subject: Undelivered Mail Returned to Sender
Return-Path: <>
Message-ID: <{uuid.uuid4()}@mx.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

Your message could not be delivered.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; {to}
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {said}

--b
Content-Type: message/rfc822

From: sales@company.ru
To: {to}
Subject: Offer
Message-ID: {original}

Text
--b--
"""


def test_a_letter_that_came_back_for_good(receive, lead, ours):
    receipt = receive(bounce("petr@romashka.ru", message_id(ours)))
    ours.refresh_from_db()
    assert (receipt.state, receipt.lead) == ("merged", lead)
    assert (ours.state, ours.reason) == ("failed", "returned 5.1.1 550 5.1.1 User unknown")
    row = Suppression.objects.get()
    assert (row.value, row.reason, row.message) == ("petr@romashka.ru", "bounced", ours)
    assert "bounced" in kinds(lead)


def test_a_full_mailbox_is_counted_and_in_the_end_left_alone(receive, lead, ours, rep):
    full = {"status": "4.2.2", "said": "452 4.2.2 Mailbox full"}
    receive(bounce("petr@romashka.ru", message_id(ours), **full))
    ours.refresh_from_db()
    assert (ours.state, Suppression.objects.count()) == ("sent", 0)
    for n in range(4):
        more = letters.write(lead, kind=Message.Kind.LETTER, subject=f"S{n}", text="T", by=rep)
        Message.objects.filter(pk=more.pk).update(state="sent")
        receive(bounce("petr@romashka.ru", message_id(more), **full))
    assert Suppression.objects.get().reason == "bounced"


def test_a_bounce_about_nothing_of_ours_changes_nothing(receive, lead):
    receipt = receive(bounce("petr@romashka.ru", "<1.AAAAAAAAAA@company.ru>"))
    assert (receipt.state, receipt.reason, Suppression.objects.count()) == ("rejected", "bounce", 0)


def test_a_bounce_of_a_service_that_gave_our_letter_its_own_id(receive, lead, ours):
    receipt = receive(bounce("petr@romashka.ru", "<0100018@email.amazonses.com>"))
    assert (receipt.lead, Suppression.objects.get().value) == (lead, "petr@romashka.ru")


def test_who_complains_gets_no_more(receive, lead, ours):
    raw = autoreplies.REPORT.replace("client@mailbox.example", "petr@romashka.ru").replace(
        "<7.abcdefghij@company.ru>", message_id(ours)
    )
    assert receive(raw).state == "merged"
    assert (Suppression.objects.get().value, Suppression.objects.get().reason) == ("petr@romashka.ru", "complained")


def test_lists_and_invitations_make_no_leads(receive, lead):
    assert receive(autoreplies.letter("Скидки", List_Unsubscribe="<https://x.example/u>")).reason == "mailing_list"
    invite = EmailMessage()
    invite["From"], invite["To"], invite["Subject"] = "new@client.ru", "sales@company.ru", "Встреча"
    invite.set_content(
        "BEGIN:VCALENDAR\nMETHOD:REQUEST\nEND:VCALENDAR", subtype="calendar", params={"method": "REQUEST"}
    )
    assert receive(invite).reason == "calendar"
    assert Lead.objects.count() == 1


def test_an_encrypted_letter_is_a_lead_with_its_attachment(receive):
    receipt = receive(autoreplies.ENCRYPTED)
    row = IncomingLetter.objects.get()
    assert (receipt.state, row.sort, [f.name for f in row.files.all()]) == (
        "lead",
        "encrypted",
        ["file1", "encrypted.asc"],
    )


def test_a_letter_that_was_sorted_wrongly_is_made_an_enquiry_by_hand(receive, admin):
    receipt = receive(autoreplies.letter("Скидки", List_Unsubscribe="<https://x.example/u>"))
    again = judging.replay(receipt, by=admin, force=True)
    assert (again.state, again.lead.email, IncomingLetter.objects.get().sort) == ("lead", "ivan@client.ru", "human")


def test_a_forged_sender_is_marked(receive):
    receive(letter("x", Authentication_Results="mx.company.ru; dmarc=fail header.from=romashka.ru"))
    assert IncomingLetter.objects.get().warnings == ["sender:unproven"]


# --- The way out, and what must not come in ----------------------------------------------------------------------------


def test_the_way_out_by_letter_is_taken_at_its_word(receive, lead, ours):
    """What a mail program sends for the mailto of List-Unsubscribe, whoever's address it comes from."""
    Message.objects.filter(pk=ours.pk).update(kind="sequence")
    asked = parseaddr_of(build(Message.objects.get(pk=ours.pk)).message()["List-Unsubscribe"])
    receipt = receive(letter("", sender="other@romashka.ru", subject=asked, Auto_Submitted="auto-generated"))
    assert (receipt.state, receipt.lead, kinds(lead)) == ("merged", lead, ["unsubscribed"])
    row = Suppression.objects.get()
    assert (row.value, row.reason, row.message) == ("petr@romashka.ru", "unsubscribed", ours)
    assert not Task.objects.filter(lead=lead).exists()
    receive(letter("", sender="other@romashka.ru", subject=asked))  # again
    assert Suppression.objects.get().at == row.at


def parseaddr_of(header):
    """The subject that the address of a List-Unsubscribe header asks for."""
    return unquote(re.search(r"<mailto:[^?>]+\?subject=([^>]+)>", header)[1])


@pytest.mark.parametrize(
    "subject", ["unsubscribe", "unsubscribe AAAAAAAAAAAAAAAAAAAAAAAA", "Re: unsubscribe {token} please"]
)
def test_a_way_out_that_leads_nowhere_is_a_letter_like_any_other(receive, lead, ours, subject):
    receipt = receive(letter("Хватит", subject=subject.format(token=ours.token)))
    assert (receipt.state, kinds(lead), Suppression.objects.count()) == ("merged", ["email_in"], 0)


def test_two_robots_do_not_write_to_each_other_for_ever(receive, client):
    """An out-of-office robot that does not say what it is answers everything, at once: one automatic letter goes out."""
    Template.objects.get_or_create(
        is_welcome=True,
        language="ru",
        defaults={"name": "W", "kind": "letter", "subject": "Спасибо", "body": "Получили"},
    )
    Template.objects.filter(is_welcome=True).update(is_active=True)
    for number in range(5):
        receipt = receive(letter("Я в отпуске до понедельника", subject=f"Re: {number}", sender="robot@client.ru"))
        drain()
        if number == 2:
            Lead.objects.filter(pk=receipt.lead_id).update(status="rejected", closed_at=timezone.now())
    assert Lead.objects.filter(email="robot@client.ru").count() == 2
    assert Message.objects.filter(to="robot@client.ru").exclude(state="skipped").count() == 1


def zip_bomb():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.txt", b"0" * 30_000_000)
    return packed.getvalue()


FILES = {
    "bomb.zip": (zip_bomb, "application", "zip"),
    "winmail.dat": (lambda: b"\x78\x9f\x3e\x22" + b"x" * 50, "application", "ms-tnef"),
    "page.html": (lambda: b"<script>alert(1)</script>", "text", "html"),
    "picture.svg": (lambda: b"<svg onload=alert(1)>", "image", "svg+xml"),
    "invoice.pdf.exe": (lambda: b"MZ", "application", "pdf"),
    "смета.xlsm": (lambda: b"PK\x03\x04", "application", "vnd.ms-excel"),
    "empty.bin": (lambda: b"", "application", "octet-stream"),
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_letters_are_kept_as_they_are_and_only_downloaded(receive, signed_in, admin, name):
    make, kind, subkind = FILES[name]
    mail, content = letter("см. файл"), make()
    mail.add_attachment(content, maintype=kind, subtype=subkind, filename=name)
    receipt = receive(mail)
    drain()
    row = IncomingLetter.objects.get().files.get()
    assert (receipt.state, row.name, row.size, row.state) == ("lead", name, len(content), "kept")
    assert re.fullmatch(r"letters/[0-9a-f]{2}/[0-9a-f]{32}", row.file.name)
    answer = signed_in(admin).get(reverse("leads:letter_file", args=[row.pk]))
    assert b"".join(answer.streaming_content) == content
    assert answer["Content-Type"] == "application/octet-stream" and answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Disposition"].startswith("attachment;") and "sandbox" in answer["Content-Security-Policy"]


def test_a_file_goes_with_its_lead(receive, lead, rep, colleague, admin, signed_in):
    mail = letter("см. файл")
    mail.add_attachment(b"x", maintype="application", subtype="pdf", filename="a.pdf")
    receive(mail)
    drain()
    paths = [
        reverse("leads:letter_file", args=[IncomingLetter.objects.get().files.get().pk]),
        *(reverse(f"leads:{name}", args=[IncomingLetter.objects.get().pk]) for name in ("letter_in", "letter_in_body")),
    ]

    def seen_by(user):
        answers = [signed_in(user).get(path) for path in paths]
        assert all(len(b"".join(answer)) for answer in answers)  # read to the end, which closes the file
        return {answer.status_code for answer in answers}

    assert (seen_by(rep), seen_by(colleague)) == ({200}, {404})
    assign(lead, colleague, how="manual", by=admin)
    assert (seen_by(rep), seen_by(colleague)) == ({404}, {200})
    erase(lead.person, by=admin)
    assert signed_in(colleague).get(paths[0]).status_code == 404


def test_a_picture_that_is_not_there_and_one_that_is_none(receive, signed_in, admin):
    mail = letter("x")
    mail.add_alternative('<p>Да</p><img src="cid:nowhere"><img src="cid:script"><img src="cid:logo">', subtype="html")
    html = mail.get_payload()[1]
    html.add_related(b"<svg onload=alert(1)>", maintype="image", subtype="png", cid="<script>")
    html.add_related(b"\x89PNG\r\n\x1a\n0000", maintype="image", subtype="png", cid="<logo>")
    receive(mail)
    drain()
    page = (
        signed_in(admin).get(reverse("leads:letter_in_body", args=[IncomingLetter.objects.get().pk])).content.decode()
    )
    assert re.findall(r'src="([^"]*)"', page) == ["", "", "data:image/png;base64,iVBORw0KGgowMDAw"]


@pytest.mark.parametrize(
    "kind", ["application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m", "multipart/encrypted"]
)
def test_a_letter_that_only_its_reader_can_open(receive, kind):
    more = '; boundary="b"; protocol="application/pgp-encrypted"' if kind.startswith("multipart") else ""
    body = "--b\n\nVersion: 1\n--b\nContent-Type: application/octet-stream\n\nhQEMA\n--b--\n" if more else "MIAGCSqG\n"
    head = "From: petr@romashka.ru\nTo: sales@company.ru\nSubject: Secret\nMessage-ID: <s@romashka.ru>\n"
    receipt = receive(f"{head}Content-Type: {kind}{more}\n\n{body}")
    row = IncomingLetter.objects.get()
    assert (receipt.state, row.sort) == ("lead", "encrypted") and row.files.count() >= 1


@pytest.mark.parametrize(
    "name", ["=?utf-8?Q?x=0D=0ABcc:_evil@x.ru?=", "=?utf-8?B?eAAKU3ViamVjdDogeQ==?=", '" <evil@x.ru>, "']
)
def test_no_header_gets_out_by_a_clients_name_or_subject(receive, rep, name):
    raw = f'From: "{name}" <petr@romashka.ru>\r\nTo: sales@company.ru\r\nSubject: {name}\r\n\r\nНужна машина'
    receipt = receive(raw)
    lead = receipt.lead
    assert "\n" not in lead.name and "\r" not in lead.name
    ours = letters.write(
        lead, kind=Message.Kind.LETTER, subject=f"Re: {name}", text=f"Здравствуйте, {lead.name}", by=rep
    )
    built = build(ours)
    sent = built.message()
    assert (sent["Bcc"], len(sent.get_all("Subject")), built.recipients()) == (None, 1, [lead.email])
    assert re.search(r"(?im)^bcc:", sent.as_string().partition("\n\n")[0]) is None


# --- Bombs -------------------------------------------------------------------------------------------------------------


def test_five_hundred_parts_and_a_hundred_letters_in_letters(receive):
    many = EmailMessage()
    many["From"], many["To"], many["Subject"] = "a@client.ru", "sales@company.ru", "Parts"
    many.set_content("text")
    for n in range(500):
        many.add_attachment(b"x", maintype="application", subtype="octet-stream", filename=f"{n}.bin")
    receipt = receive(many)
    assert receipt.state == "lead" and {"attachments:too_many", "parts:too_many"} <= set(receipt.warnings)
    raw = b"From: b@client.ru\r\nSubject: deep\r\n\r\nend"
    for _n in range(100):
        raw = b"From: b@client.ru\r\nSubject: deep\r\nMIME-Version: 1.0\r\nContent-Type: message/rfc822\r\n\r\n" + raw
    assert receive(raw).state == "lead"


def test_dangerous_html_is_made_harmless(receive):
    mail = letter("x")
    mail.add_alternative(
        """<base href="https://evil"><style>@import url(https://evil)</style><script>alert(1)</script>
        <p onclick="x()" style="position:fixed;color:red">Hi</p><a href="javascript:x()">a</a><a href="data:text/html,x">b</a>
        <form action="https://evil"><input></form><iframe srcdoc="<script>1</script>"></iframe>
        <img src="https://track.example/p.gif"><img src="cid:logo">
        <math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mtext></math><svg onload=x()></svg>""", subtype="html",
    )  # fmt: skip
    receive(mail)
    html = IncomingLetter.objects.get().html
    for word in ("script", "onclick", "onerror", "onload", "javascript:", "data:", "<form", "<iframe", "<base", "<style", "@import",
                 "<svg", "<math", "position"):  # fmt: skip
        assert word not in html, word
    assert '<img src="https://track.example/p.gif">' in html and '<img src="cid:logo">' in html


def test_a_lead_in_the_past_is_not_older_than_its_arrival(receive):
    at = timezone.now() - timedelta(hours=3)
    assert receive(letter("x"), Arrived=at.isoformat()).lead.created_at == at
    assert Interaction.objects.get(kind=Kind.CAPTURED).at == at
