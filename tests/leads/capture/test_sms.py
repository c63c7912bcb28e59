"""SMS: what providers tell, the welcome by SMS, writing from the card, STOP."""

import base64
import hashlib
import hmac
import threading
import time
from datetime import timedelta
from urllib.parse import urlencode

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import OperationalError, connection, transaction
from django.urls import reverse
from django.utils import timezone

from crm.automation import defaults
from crm.core.jobs import drain
from crm.core.models import Job, Notice
from leads.capture import canary, sms_ru
from leads.identity import takes_sms
from leads.models import ChatFile, ChatLine, Conversation, Interaction, Kind, Lead, Message, Submission, Template
from leads.outbound import twilio_sms
from leads.services import delivery, judging, talks
from nurturing import services as nurturing
from tests.factories import LeadFactory
from tests.leads import messengers
from tests.leads.capture.conftest import make_source

pytestmark = pytest.mark.django_db
handed_over = pytest.mark.django_db(transaction=True)  # delivery claims and sends in transactions of its own

API_ID = "A1B2C3D4-0000-1111-2222-333344445555"
PHONE = "+79161234567"


@pytest.fixture
def desk():
    with messengers.running() as running:
        yield running


@pytest.fixture
def sms(funnels, desk):
    return make_source(key="sms", name="SMS", adapter="sms-ru", secret=API_ID, channel="phone",
                       settings={"base_url": desk.url, "sender": "SVET"})  # fmt: skip


@pytest.fixture
def twilio(funnels, desk):
    settings = {"base_url": desk.url, "account_sid": "AC1", "sender": "+15005550006"}
    return make_source(
        key="tw", name="Twilio", adapter="twilio-sms", secret="TOKEN", channel="phone", settings=settings
    )


@pytest.fixture
def welcome(funnels):
    return Template.objects.create(
        name="W", kind="sms", is_welcome=True, body="{{ organisation }}: ждите звонка, {{ first_name }}", language="ru"
    )


def hashed(*entries, secret=API_ID):
    """A callback as SMS.ru writes it."""
    proof = hashlib.sha256((secret + "".join(entries)).encode()).hexdigest()
    return urlencode([*((f"data[{n}]", entry) for n, entry in enumerate(entries)), ("hash", proof)]).encode()


def told(post, *entries, secret=API_ID):
    return post("sms", raw=hashed(*entries, secret=secret), type_="application/x-www-form-urlencoded")


def sent_one(source, rep, **more):
    lead = LeadFactory(owner=rep, phone=PHONE, **more)
    message = talks.begin(lead, source, text="Добрый день", by=rep)
    drain()
    message.refresh_from_db()
    return message


# --- Handing over -----------------------------------------------------------------------------------------------------


@handed_over
def test_sms_ru_is_told_number_text_and_sender(sms, rep, desk):
    message = sent_one(sms, rep)
    said = {"api_id": API_ID, "to": "79161234567", "msg": "Добрый день", "json": "1", "from": "SVET"}
    assert desk.told == [("/sms/send", said)]
    assert (message.state, message.provider_id, message.channel) == ("sent", "000000-1", "sms")


@handed_over
@pytest.mark.parametrize(
    "answer,state,reason",
    [
        ({"status": "ERROR", "status_code": 301, "status_text": "Нет api_id"}, "failed", "refused 301 Нет api_id"),
        ({"status": "ERROR", "status_code": 220, "status_text": "Занято"}, "queued", ""),
        ({"status": "ERROR", "status_code": 201, "status_text": "Нет денег"}, "queued", ""),
        ({"status": "OK", "status_code": 100, "sms": {"79161234567": {"status_code": 207, "status_text": "Нельзя"}}},
         "failed", "refused 207 Нельзя"),
        ({"status": "OK", "status_code": 100, "sms": {"79161234567": {"status_code": 209, "status_text": "Стоп"}}},
         "failed", "blocked 209 Стоп"),
        ({"status": "OK", "status_code": 100, "sms": {}}, "failed", "refused 200"),
        ({"status": "OK", "status_code": 100, "sms": {"79161234567": {"status_code": 100}}}, "unsure", "no_answer"),
        ([], "unsure", "no_answer 200"),
        ({"status_code": "--5"}, "failed", "refused 200"),
    ],
)  # fmt: skip
def test_every_answer_of_sms_ru_has_its_state(answer, state, reason, sms, rep, desk):
    desk.say(200, answer)
    message = sent_one(sms, rep)
    assert message.state == state
    assert message.reason.startswith(reason)
    assert bool(message.conversation.refresh_from_db() or message.conversation.blocked_at) == ("blocked" in reason)


@handed_over
@pytest.mark.parametrize("status,state", [(429, "queued"), (503, "queued"), (500, "unsure"), (502, "unsure")])
@pytest.mark.parametrize("which", ["sms", "twilio"])
def test_a_gateway_that_broke_is_never_said_the_same_by_itself(which, status, state, rep, desk, request):
    desk.say(status, {})
    assert sent_one(request.getfixturevalue(which), rep).state == state


@handed_over
def test_beyond_the_days_limit_nothing_goes_out_and_it_is_told_once(sms, rep, admin, desk):
    sms.settings["sms_per_day"] = 2
    sms.save()
    for number in range(4):
        lead = LeadFactory(owner=rep, phone=f"+7916123450{number}")
        talks.begin(lead, sms, text="Добрый день", by=rep)
    drain()
    rows = list(Message.objects.order_by("pk").values_list("state", "reason"))
    assert rows == [("sent", ""), ("sent", ""), ("failed", "sms_limit"), ("failed", "sms_limit")]
    assert list(Notice.objects.filter(kind="sms_limit").values_list("user", "details__source")) == [(admin.pk, "sms")]
    held = Message.objects.last()
    tomorrow = timezone.localtime().replace(hour=23, minute=59) + timedelta(hours=1)
    with time_machine.travel(tomorrow, tick=False):
        delivery.settle(held, sent=False, by=rep)
        drain()
    held.refresh_from_db()
    assert (held.state, len(desk.told)) == ("sent", 3)


@handed_over
@pytest.mark.parametrize("which", ["sms", "twilio"])
def test_a_lost_answer_is_unsure_and_never_sent_again(which, rep, desk, request):
    desk.say("hang up")
    message = sent_one(request.getfixturevalue(which), rep)
    Job.objects.update(due_at=timezone.now())
    drain()
    message.refresh_from_db()
    assert (message.state, len(desk.told)) == ("unsure", 1)


@handed_over
def test_twilio_is_told_number_text_and_sender(twilio, rep, desk, settings):
    settings.LOCAL, settings.PUBLIC_URL = False, "https://crm.test"
    message = sent_one(twilio, rep)
    path, body = desk.told[0]
    assert path == "/2010-04-01/Accounts/AC1/Messages.json"
    assert body == {
        "To": PHONE, "From": "+15005550006", "Body": "Добрый день",
        "StatusCallback": f"https://crm.test/capture/tw/status/{message.token}/",
    }  # fmt: skip
    assert desk.headers[0]["Authorization"] == "Basic " + base64.b64encode(b"AC1:TOKEN").decode()
    assert (message.state, message.provider_id[:2]) == ("sent", "SM")


@handed_over
def test_who_has_told_twilio_to_stop_is_not_written_to(twilio, rep, desk):
    desk.say(400, {"code": 21610, "message": "Attempt to send to unsubscribed recipient"})
    message = sent_one(twilio, rep)
    assert (message.state, Conversation.objects.get().blocked_at is not None) == ("failed", True)


# --- What becomes of ours ---------------------------------------------------------------------------------------------


@handed_over
@pytest.mark.parametrize(
    "code,delivery,reason",
    [("103", "delivered", ""), ("110", "read", ""), ("102", "", ""), ("104", "failed", "sms_expired"),
     ("108", "failed", "sms_operator"), ("150", "failed", "sms_no_way")],
)  # fmt: skip
def test_a_status_of_sms_ru_is_on_the_message(code, delivery, reason, sms, rep, post):
    message = sent_one(sms, rep)
    answer = told(post, f"sms_status\n{message.provider_id}\n{code}\n1700000000")
    assert (answer.status_code, answer.content) == (200, b"100")
    drain()
    message.refresh_from_db()
    assert (message.delivery, message.reason) == (delivery, reason)
    assert Submission.objects.get().state == "merged"
    assert Submission.objects.get().lead == message.lead


@handed_over
def test_many_statuses_in_one_callback_and_in_any_order(sms, rep, post):
    first, second = sent_one(sms, rep), talks.answer(Conversation.objects.get(), text="Ещё", by=rep)
    drain()
    second.refresh_from_db()
    told(post, f"sms_status\n{second.provider_id}\n103\n1700000005", f"sms_status\n{first.provider_id}\n103\n1700000000",
         f"sms_status\n{second.provider_id}\n102\n1700000001", "callcheck_status\n1\n401\n1700000000")  # fmt: skip
    drain()
    assert list(Message.objects.order_by("pk").values_list("delivery", flat=True)) == ["delivered", "delivered"]


def test_a_status_of_nobodys_sms_is_no_enquiry(sms, post):
    told(post, "sms_status\n999-9\n103\n1700000000")
    drain()
    row = Submission.objects.get()
    assert (row.state, row.reason, Lead.objects.count()) == ("rejected", "unknown_thread", 0)


@pytest.mark.parametrize("secret,status", [("wrong", 401), (API_ID.lower(), 401), (API_ID, 200)])
def test_a_callback_proves_itself(secret, status, sms, post):
    assert told(post, "sms_status\n1-1\n103\n1", secret=secret).status_code == status


def test_a_callback_without_its_proof_is_refused(sms, post):
    assert post("sms", {"data[0]": "sms_status\n1-1\n103\n1"}).status_code == 401


@pytest.mark.parametrize("entry", ["", "\n\n\n", "sms_status", "sms_status\n1", "sms_status\n1\nabc\nx", "x" * 5000])
def test_no_entry_makes_the_parser_stumble(entry, sms, post):
    assert told(post, entry).status_code == 200
    drain()
    assert Submission.objects.get().state == "rejected"


def test_sms_ru_is_tried_by_the_canary(sms, post):
    mine = canary.of(sms_ru, sms, "mark-1", "http://x/")
    assert post("sms", raw=mine.raw, type_=mine.content_type).status_code == 200
    drain()
    assert (Submission.objects.get().state, Submission.objects.get().reason) == ("rejected", "test")


def signed(path, fields, secret="TOKEN"):
    text = f"http://testserver{path}" + "".join(name + value for name, value in sorted(fields.items()))
    proof = base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest()).decode()
    return {"X-Twilio-Signature": proof}


def twilio_says(post, fields, path="/capture/tw/", secret="TOKEN"):
    return post("tw", fields, path=path, headers=signed(path, fields, secret))


@handed_over
def test_twilio_tells_of_a_message_whose_answer_got_lost(twilio, rep, desk, post):
    desk.say("hang up")
    message = sent_one(twilio, rep)
    fields = {"MessageSid": "SM77", "MessageStatus": "delivered", "To": PHONE, "From": "+15005550006"}
    assert twilio_says(post, fields, f"/capture/tw/status/{message.token}/").status_code == 200
    drain()
    message.refresh_from_db()
    assert (message.state, message.delivery, message.provider_id) == ("sent", "delivered", "SM77")


# --- What clients write -----------------------------------------------------------------------------------------------


def incoming(text, sid="SM1", number=PHONE, **more):
    return {"MessageSid": sid, "SmsSid": sid, "SmsStatus": "received", "From": number, "To": "+15005550006",
            "Body": text, "NumMedia": "0"} | more  # fmt: skip


def test_an_sms_of_a_stranger_is_a_lead(twilio, post):
    answer = twilio_says(post, incoming("Сколько стоит монтаж?"))
    assert (answer.status_code, answer.content) == (200, b"<Response/>")
    drain()
    lead = Lead.objects.get()
    assert (lead.phone, lead.need, lead.source.key) == (PHONE, "Сколько стоит монтаж?", "tw")
    assert (Conversation.objects.get().channel, ChatLine.objects.get().text) == ("sms", "Сколько стоит монтаж?")


@handed_over
def test_an_sms_of_a_known_client_is_on_the_open_card_and_answered_there(twilio, rep, post, desk):
    LeadFactory(owner=rep, phone=PHONE)
    twilio_says(post, incoming("Я согласен"))
    twilio_says(post, incoming("Я согласен"))  # said again by the provider
    drain()
    assert Lead.objects.count() == ChatLine.objects.count() == 1
    talks.answer(Conversation.objects.get(), text="Отлично", by=rep)
    drain()
    assert desk.texts() == [None] and desk.told[0][1]["Body"] == "Отлично"


@handed_over
def test_stop_ends_it_and_only_start_begins_again(twilio, rep, post, desk):
    sent_one(twilio, rep)
    for number, (text, blocked) in enumerate([("Стоп", True), ("А что с заказом?", True), ("START", False)]):
        twilio_says(post, incoming(text, f"SM{number}"))
        drain()
        assert bool(Conversation.objects.get().blocked_at) is blocked, text
    assert Lead.objects.count() == 1


def test_stop_of_a_stranger_is_no_enquiry(twilio, post):
    twilio_says(post, incoming("STOP"))
    drain()
    assert (Lead.objects.count(), Submission.objects.get().state) == (0, "rejected")


@handed_over
def test_pictures_are_fetched_with_the_accounts_password(twilio, post, desk):
    url = f"{desk.url}/media/ME1"
    twilio_says(post, incoming("", NumMedia="1", MediaUrl0=url, MediaContentType0="image/jpeg"))
    drain()
    file = ChatLine.objects.get().files.get()
    assert (file.kind, file.state) == ("image", "kept")
    assert desk.headers[-1]["Authorization"].startswith("Basic ")


@handed_over
@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/x", "http://169.254.169.254/latest/meta-data/", "http://[::ffff:127.0.0.1]/x", "file:///etc/passwd",
            "http://localhost:6379/", "http://2130706433/x", "//127.0.0.1/x", "http://[::1"],
)  # fmt: skip
def test_a_picture_of_an_inner_address_is_not_fetched(url, twilio, post, desk):
    twilio_says(post, incoming("Вот фото", NumMedia="1", MediaUrl0=url, MediaContentType0="image/jpeg"))
    drain()
    file = ChatLine.objects.get().files.get()
    assert (file.state, bool(file.reason), desk.headers) == ("failed", True, [])


def test_the_accounts_password_is_told_to_twilio_alone(twilio, desk):
    line = ChatLine(conversation=Conversation(source=twilio))
    own, *others = [
        f"{desk.url}/media/ME1",
        "https://evil.test/ME1",
        f"{desk.url}.evil.test/ME1",
        f"{desk.url}@evil.test/ME1",
    ]
    assert list(twilio_sms.locate(ChatFile(line=line, url=own)).headers) == ["Authorization"]
    assert [twilio_sms.locate(ChatFile(line=line, url=url)).headers for url in others] == [{}, {}, {}]


@pytest.mark.parametrize("count", ["--1", "-1", "1.5", "²", "999999999999999999999"])
def test_a_count_of_pictures_that_is_none_makes_nobody_stumble(count, twilio, post):
    assert twilio_says(post, incoming("Привет", NumMedia=count)).status_code == 200
    drain()
    assert (Submission.objects.get().state, ChatLine.objects.get().text) == ("lead", "Привет")


@pytest.mark.parametrize("number", ["SVET", "900", "", "anonymous"])
def test_short_numbers_and_names_are_nobody(number, twilio, post):
    twilio_says(post, incoming("Баланс 10 р.", number=number))
    drain()
    assert (Lead.objects.count(), Submission.objects.get().reason) == (0, "not_enquiry")


def test_a_wrong_signature_is_refused(twilio, post):
    assert twilio_says(post, incoming("Привет"), secret="OTHER").status_code == 401


# --- The welcome ------------------------------------------------------------------------------------------------------


def capture(post, **fields):
    make_source(key="p", name="P", adapter="json")
    post("p", json_=fields)
    drain()


@handed_over
def test_who_leaves_only_a_phone_is_greeted_by_sms_once(sms, welcome, post, desk, rep):
    capture(post, name="Анна", phone=PHONE)
    message = Message.objects.get()
    assert (message.channel, message.state, message.dedup) == ("sms", "sent", f"welcome:s{Submission.objects.get().pk}")
    assert desk.told[0][1]["msg"].endswith("ждите звонка, Анна")
    arrival = Interaction.objects.get(kind=Kind.CAPTURED)
    assert nurturing.greet(Lead.objects.get(), arrival) == message  # run twice, said once
    assert Lead.objects.get().waiting_since is not None  # the product's own words are no answer of a colleague
    assert Message.objects.count() == 1


@handed_over
def test_who_leaves_an_email_gets_the_letter(sms, welcome, post, desk):
    Template.objects.create(name="L", kind="letter", is_welcome=True, subject="S", body="B", language="ru")
    capture(post, name="Анна", phone=PHONE, email="anna@client.test")
    assert (Message.objects.get(lead__isnull=False).channel, desk.told) == ("email", [])


@handed_over
@pytest.mark.parametrize(
    "setting,phone,email,channel",
    [("first", PHONE, "a@client.test", "sms"), ("first", "+74951234567", "a@client.test", "email"),
     ("off", PHONE, "", None), ("no_email", "+74951234567", "", None), ("no_email", "+375291234567", "", None)],
)  # fmt: skip
def test_whom_the_sms_greets_is_a_setting(setting, phone, email, channel, sms, welcome, post):
    Template.objects.create(name="L", kind="letter", is_welcome=True, subject="S", body="B", language="ru")
    sms.settings["welcome"] = setting
    sms.save()
    capture(post, name="Анна", phone=phone, email=email)
    assert list(Message.objects.filter(lead__isnull=False).values_list("channel", flat=True)) == (
        [channel] if channel else []
    )


@handed_over
def test_beyond_the_days_limit_the_welcome_is_a_letter_where_there_is_an_email(sms, welcome, post, desk):
    Template.objects.create(name="L", kind="letter", is_welcome=True, subject="S", body="B", language="ru")
    sms.settings |= {"welcome": "first", "sms_per_day": 1}
    sms.save()
    make_source()
    for number, email in enumerate(("a@example.com", "b@example.com", "")):
        post("site", {"name": "Анна", "phone": f"+7916123450{number}", "email": email})
        drain()
    rows = Message.objects.filter(dedup__startswith="welcome:").order_by("pk")
    assert list(rows.values_list("channel", "state")) == [("sms", "sent"), ("email", "sent"), ("sms", "failed")]
    assert rows.last().reason == "sms_limit"


def test_nobody_is_greeted_twice_within_a_day(sms, welcome, post, desk):
    capture(post, name="Анна", phone=PHONE)
    lead = Lead.objects.get()
    for _again in range(2):
        fresh = LeadFactory(person=lead.person, phone=PHONE, email="")
        arrival = Interaction.objects.create(
            lead=fresh, person=fresh.person, kind=Kind.CAPTURED, details={"returning": True}
        )
        assert nurturing.greet(fresh, arrival) is None
    Message.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert nurturing.greet(fresh, arrival).lead == fresh


@handed_over
def test_who_said_stop_is_not_greeted(sms, welcome, post, desk):
    capture(post, name="Анна", phone=PHONE)
    Conversation.objects.update(blocked_at=timezone.now())
    Message.objects.update(created_at=timezone.now() - timedelta(hours=25))
    lead = Lead.objects.get()
    fresh = LeadFactory(person=lead.person, phone=PHONE, email="")
    arrival = Interaction.objects.create(lead=fresh, person=fresh.person, kind=Kind.CAPTURED)
    assert nurturing.greet(fresh, arrival) is None


@handed_over
def test_a_lead_rejected_meanwhile_is_not_greeted(sms, welcome, rep, desk):
    lead = LeadFactory(phone=PHONE, email="", owner=rep)
    message = nurturing.greet(lead, Interaction.objects.create(lead=lead, person=lead.person, kind=Kind.CAPTURED))
    Lead.objects.update(status="rejected", closed_at=timezone.now())
    drain()
    message.refresh_from_db()
    assert (message.state, message.reason, desk.told) == ("skipped", "rejected", [])


def test_a_new_installation_has_a_welcome_by_sms(db):
    defaults.ensure_defaults()
    template = Template.objects.get(kind="sms")
    assert (template.is_welcome, len(template.body) < talks.MAX_SMS) == (True, True)


@handed_over
def test_a_welcome_and_an_answer_that_arrives_meanwhile_wait_for_each_other_in_one_order(twilio, welcome, rep, post):
    lead = LeadFactory(owner=rep, phone=PHONE, email="")
    talk = Conversation.objects.create(source=twilio, channel="sms", chat=PHONE[1:], person=lead.person, lead=lead)
    assert twilio_says(post, incoming("Уже звоните?")).status_code == 200
    held, said, trouble = threading.Event(), [], []

    def welcomes():
        try:
            with transaction.atomic():
                mine = Lead.objects.select_for_update(no_key=True).get(pk=lead.pk)
                held.set()
                time.sleep(0.5)  # the answer has its conversation by now, and waits for the lead
                arrival = Interaction.objects.create(lead=mine, person=mine.person, kind=Kind.CAPTURED)
                said.append(nurturing.greet(mine, arrival))
        except OperationalError as error:
            trouble.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=welcomes)
    thread.start()
    held.wait(10)
    judging.judge(Submission.objects.get().pk)
    thread.join(20)
    assert (trouble, [m.conversation for m in said], talk.lines.get().text) == ([], [talk], "Уже звоните?")


# --- From the card ----------------------------------------------------------------------------------------------------


@handed_over
def test_a_manager_writes_the_first_sms_from_a_template(sms, rep, desk, client, welcome):
    client.force_login(rep)
    lead = LeadFactory(owner=rep, phone=PHONE, name="Анна")
    address = reverse("leads:talk_new", args=[lead.pk, "sms"])
    assert address in client.get(reverse("leads:talk", args=[lead.pk]), HTTP_HX_REQUEST="true").content.decode()
    page = client.get(address, {"ready": welcome.pk}).content.decode()
    assert "ждите звонка, Анна</textarea>" in page
    client.post(address, {"text": "Позвоню в 15:00"})
    drain()
    assert desk.told[0][1]["msg"] == "Позвоню в 15:00"
    panel = client.get(reverse("leads:talk", args=[lead.pk]), HTTP_HX_REQUEST="true").content.decode()
    assert "Позвоню в 15:00" in panel and address not in panel


def test_too_long_an_sms_is_refused_with_its_text_kept(sms, rep, desk, client):
    client.force_login(rep)
    lead = LeadFactory(owner=rep, phone=PHONE)
    answer = client.post(reverse("leads:talk_new", args=[lead.pk, "sms"]), {"text": "я" * 537})
    assert (answer.status_code, desk.told, Message.objects.count()) == (422, [], 0)
    assert "я" * 537 in answer.content.decode()
    assert Conversation.objects.count() == 0


@pytest.mark.parametrize("phone", ["", "+74951234567"])
def test_no_sms_goes_to_a_landline(phone, sms, rep):
    assert talks.doors(LeadFactory(owner=rep, phone=phone)) == []


@handed_over
def test_a_phone_of_two_people_is_written_to_on_one_card(sms, rep, desk):
    sent_one(sms, rep)
    other = LeadFactory(owner=rep, phone=PHONE)
    with pytest.raises(ValidationError):
        talks.begin(other, sms, text="Привет", by=rep)
    assert Message.objects.count() == 1


@pytest.mark.parametrize(
    "phone,mobile",
    [
        ("+79161234567", True),
        ("+74951234567", False),
        ("+12025550123", True),
        ("+375291234567", True),
        ("", False),
        ("x", False),
    ],
)
def test_which_phones_take_sms(phone, mobile):
    assert takes_sms(phone) is mobile


# --- The trial --------------------------------------------------------------------------------------------------------


@handed_over
def test_the_trial_plays_client_and_provider(funnels, rep, post):
    trial = make_source(key="trial", name="Trial", adapter="sms-trial", secret="s", channel="phone")
    message = sent_one(trial, rep)
    assert (message.state, message.provider_id) == ("sent", f"trial-{message.pk}")
    proof = {"Authorization": "Bearer s"}
    assert (
        post("trial", {"id": message.provider_id, "status": "failed", "why": "нет сети"}, headers=proof).status_code
        < 400
    )
    assert (
        post("trial", json_={"id": "1", "from": "8 916 000-00-01", "text": "Цена?"}, headers=proof).status_code == 202
    )
    assert post("trial", {"id": "2", "from": PHONE, "text": "x"}).status_code == 401
    drain()
    message.refresh_from_db()
    assert (message.delivery, message.reason) == ("failed", "refused нет сети")
    assert Lead.objects.get(phone="+79160000001").need == "Цена?"


def test_a_template_of_sms_is_checked(client, admin):
    client.force_login(admin)
    data = {"name": "Т", "kind": "sms", "language": "ru", "subject": "", "body": "я" * 537, "is_active": "on"}
    page = client.post(reverse("leads:template_new"), data)
    assert page.status_code == 422 and "536" in page.content.decode()
    assert client.post(reverse("leads:template_new"), data | {"body": "Ждём вас, {{ first_name }}"}).status_code == 302
    assert Template.objects.get().kind == "sms"
