"""Calls: one row from any order of news, shown while they ring, recorded, played, started from the card."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from crm.core.jobs import drain
from crm.core.models import Job, Notice
from leads import telephony
from leads.models import Call, Dialling, Extension, Interaction, Lead, Submission, Task, WatchedFile
from leads.services import call_ends, calls, cdr_files, dialling
from leads.telephony import CallEvent, fold
from tests.factories import LeadFactory, SourceFactory, SubmissionFactory
from tests.leads import exchange as stand_in

pytestmark = pytest.mark.django_db
START = datetime(2026, 1, 1, 9, 0, tzinfo=UTC)
PHONE = "+7 916 123-45-67".replace(" ", "\N{NO-BREAK SPACE}")  # as it is shown


# --- The fold ---------------------------------------------------------------------------------------------------------

moments = st.one_of(st.none(), st.integers(0, 600).map(lambda n: START + timedelta(seconds=n)))
words = st.sampled_from(["", "a", "b"])
news = st.builds(
    CallEvent, st.just("c"), st.sampled_from(telephony.STAGES), moments, direction=st.sampled_from(["", "in", "out"]),
    client=st.sampled_from(["", "+79160000001", "+79160000002"]), extension=words, name=words, recording=words, leg=words,
    started_at=moments, answered_at=moments, ended_at=moments, talk=st.one_of(st.none(), st.integers(0, 99)),
    duration=st.one_of(st.none(), st.integers(0, 99)), weight=st.integers(0, 3), result=st.sampled_from(["", "answered", "busy"]),
)  # fmt: skip


@given(st.lists(news, max_size=7), st.randoms())
def test_any_order_and_any_repetition_is_the_same_call(events, chance):
    mixed = events + events[: len(events) // 2]
    chance.shuffle(mixed)
    assert fold(mixed) == fold(events)


@given(news)
def test_news_are_kept_without_loss(event):
    assert telephony.from_json(event.as_json()) == event


@given(st.text(max_size=60))
def test_whatever_an_exchange_writes_is_read(text):
    telephony.number(text)
    telephony.party(text)
    telephony.seconds(text)
    telephony.moment(text, UTC)


def test_put_through_from_phone_to_phone_it_is_of_who_answered():
    said = [
        CallEvent("c", "started", START, direction="in", client="+79160000001"),
        CallEvent("c", "ringing", START + timedelta(seconds=1), extension="101", leg="1"),
        CallEvent("c", "left", START + timedelta(seconds=9), leg="1"),
        CallEvent("c", "ringing", START + timedelta(seconds=10), extension="102", leg="2"),
        CallEvent("c", "answered", START + timedelta(seconds=12), extension="102", leg="2"),
    ]
    facts = fold(said)
    assert (facts.state, facts.extension, facts.answered_at) == ("talking", "102", START + timedelta(seconds=12))
    over = fold([*said, CallEvent("c", "left", START + timedelta(seconds=42), leg="2")])
    assert (over.state, over.sure, over.result, over.talk) == ("ended", False, "answered", 30)


# --- While it rings ---------------------------------------------------------------------------------------------------


@pytest.fixture
def source(funnels):
    return SourceFactory(key="phones", adapter="mango", secret="SALT", settings={"api_key": "KEY"})


@pytest.fixture
def hear(source):
    """News of a call as an exchange reports them."""

    def tell(stage, *, call="c1", at=None, **more):
        row = SubmissionFactory(source=source, received_at=at or timezone.now())
        outcome = calls.take(CallEvent(call, stage, at or timezone.now(), **more), row)
        drain()
        return outcome

    return tell


def told(user):
    return list(Notice.objects.filter(user=user).order_by("id").values_list("kind", "details__name", "url"))


def test_a_client_who_calls_is_shown_to_whose_phone_rings(hear, rep, source):
    Extension.objects.create(user=rep, source=source, number="101")
    lead = LeadFactory(owner=rep, phone="+79161234567")
    outcome = hear("ringing", direction="in", client="+79161234567", extension="101")
    hear("ringing", direction="in", client="+79161234567", extension="101", name="again")
    assert (outcome.state, outcome.lead) == ("merged", lead)
    assert told(rep) == [("ringing", f"{lead}, {PHONE}", f"/leads/{lead.pk}/")]
    assert Lead.objects.count() == 1


def test_whose_client_it_is_stays_unseen_by_a_stranger(hear, rep, outsider, source):
    Extension.objects.create(user=outsider, source=source, number="201")
    lead = LeadFactory(owner=rep, phone="+79161234567")
    hear("ringing", direction="in", client="+79161234567", extension="201")
    (notice,) = Notice.objects.filter(user=outsider)
    assert (notice.kind, notice.url, notice.details) == (
        "ringing_other",
        "",
        {"name": PHONE, "owner": str(rep)},
    )
    assert str(lead) not in str(notice.details)


def test_a_new_caller_is_a_card_of_whose_phone_rings_then_of_who_answers(hear, rep, colleague, source):
    for user, number in ((rep, "101"), (colleague, "102")):
        Extension.objects.create(user=user, source=source, number=number)
    assert hear("ringing", direction="in", client="+79161234567", extension="101").state == "lead"
    lead = Lead.objects.get()
    assert (lead.owner, told(rep)[-1][0], told(rep)[-1][2]) == (rep, "ringing", f"/leads/{lead.pk}/")
    hear("answered", direction="in", client="+79161234567", extension="102")
    lead.refresh_from_db()
    assert lead.owner == colleague


def test_of_a_client_without_an_extension_the_owner_learns(hear, rep):
    lead = LeadFactory(owner=rep, phone="+79161234567")
    hear("started", direction="in", client="+79161234567")
    assert told(rep) == [("ringing", f"{lead}, {PHONE}", f"/leads/{lead.pk}/")]


def test_what_was_judged_late_does_not_ring(hear, rep):
    LeadFactory(owner=rep, phone="+79161234567")
    hear("started", direction="in", client="+79161234567", at=timezone.now() - timedelta(minutes=5))
    assert told(rep) == []


def test_a_client_whose_leads_are_closed_comes_back_as_a_lead(hear, rep):
    former = LeadFactory(owner=rep, phone="+79161234567")
    Lead.objects.filter(pk=former.pk).update(status="converted", closed_at=timezone.now())
    assert hear("ringing", direction="in", client="+79161234567").state == "lead"
    assert Lead.objects.filter(person=former.person, status="open").count() == 1


# --- When it is over --------------------------------------------------------------------------------------------------


def test_a_later_word_corrects_the_row(hear, rep, source):
    Extension.objects.create(user=rep, source=source, number="101")
    lead = LeadFactory(owner=rep, phone="+79161234567")
    hear("ended", direction="in", client="+79161234567", result="no_answer")
    assert list(Interaction.objects.filter(lead=lead, kind__startswith="call").values_list("kind", "by")) == [
        ("call_missed", None)
    ]
    hear("ended", direction="in", client="+79161234567", extension="101", result="answered", talk=30, weight=5)
    rows = Interaction.objects.filter(lead=lead, kind__startswith="call")
    assert list(rows.values_list("kind", "by", "details__result")) == [("call", rep.pk, "reached")]
    assert Task.objects.get().done_at is not None
    assert Lead.objects.get().waiting_since is None


def test_legs_that_all_ended_are_over_after_a_while(hear, rep):
    LeadFactory(owner=rep, phone="+79161234567")
    hear("ringing", direction="in", client="+79161234567", leg="1")
    hear("left", leg="1")
    assert not Interaction.objects.filter(kind__startswith="call").exists()
    Job.objects.filter(task=calls.SETTLE).update(due_at=timezone.now())
    drain()
    assert list(Interaction.objects.filter(kind__startswith="call").values_list("kind", flat=True)) == ["call_missed"]


def test_a_call_logged_by_hand_and_reported_is_one(hear, rep, source, signed_in):
    Extension.objects.create(user=rep, source=source, number="101")
    lead, client = LeadFactory(owner=rep, phone="+79161234567"), signed_in(rep)
    form = {"result": "reached", "text": "Договорились", "next": "tomorrow"}
    client.post(f"/leads/{lead.pk}/calls/", form)
    hear("ended", direction="out", client="+79161234567", extension="101", result="answered", talk=60)
    assert Interaction.objects.filter(kind="call").count() == 1
    hear("ended", call="c2", direction="out", client="+79161234567", extension="101", result="answered", talk=9)
    client.post(f"/leads/{lead.pk}/calls/", form | {"result": "callback", "text": "Ещё раз"})
    rows = Interaction.objects.filter(kind="call").order_by("id")
    assert list(rows.values_list("text", "details__result", "phone_call__external_id")) == [
        ("Договорились", "reached", "c1"), ("Ещё раз", "callback", "c2"),
    ]  # fmt: skip


def test_what_came_of_a_call_stands_on_its_row_with_the_next_step(hear, rep, outsider, source, signed_in):
    Extension.objects.create(user=rep, source=source, number="101")
    lead = LeadFactory(owner=rep, phone="+79161234567")
    hear("ended", direction="in", client="+79161234567", extension="101", result="answered", talk=185)
    call = Call.objects.get()
    page = signed_in(rep).get(f"/leads/{lead.pk}/").content.decode()
    assert "3:05" in page and f"/calls/{call.pk}/outcome/" in page
    form = {"result": "callback", "text": "Просит перезвонить", "next": "tomorrow"}
    assert signed_in(outsider).post(f"/calls/{call.pk}/outcome/", form).status_code == 404
    assert signed_in(rep).post(f"/calls/{call.pk}/outcome/", form).status_code == 302
    page = signed_in(rep).get(f"/leads/{lead.pk}/").content.decode()
    assert "Просит перезвонить" in page and f"/calls/{call.pk}/outcome/" not in page
    assert (Interaction.objects.filter(kind="call").count(), lead.tasks.count()) == (1, 1)


# --- Recordings -------------------------------------------------------------------------------------------------------


@pytest.fixture
def exchange():
    with stand_in.running() as running:
        yield running


def recorded(lead, adapter, exchange, ref="REC", **settings):
    source = SourceFactory(
        adapter=adapter, secret="SALT", settings={"api_key": "KEY", "base_url": exchange.url} | settings
    )
    return Call.objects.create(
        source=source, external_id="c", person=lead.person, lead=lead, recording=ref, state="ended"
    )


def played(client, call, **headers):
    response = client.get(f"/calls/{call.pk}/recording/", headers=headers)
    body = b"".join(response.streaming_content) if response.streaming else response.content
    return response, body


@pytest.mark.parametrize("ranges", [True, False])
def test_a_recording_is_played_whole_and_in_parts(rep, signed_in, exchange, ranges):
    exchange.ranges = ranges
    lead = LeadFactory(owner=rep)
    call = recorded(lead, "mango", exchange, base_url=f"{exchange.url}/vpbx")
    whole, body = played(signed_in(rep), call)
    assert (whole.status_code, whole["Content-Type"], body) == (200, "audio/mpeg", stand_in.SOUND)
    part, body = played(signed_in(rep), call, Range="bytes=1000-1999")
    assert (part.status_code, part["Content-Range"], body) == (206, "bytes 1000-1999/102400", stand_in.SOUND[1000:2000])
    part, body = played(signed_in(rep), call, Range="bytes=102000-")
    assert (part["Content-Length"], body) == ("400", stand_in.SOUND[102000:])


def test_it_is_for_who_sees_the_lead(rep, outsider, signed_in, exchange, client):
    call = recorded(LeadFactory(owner=rep), "mango", exchange, base_url=f"{exchange.url}/vpbx")
    assert signed_in(outsider).get(f"/calls/{call.pk}/recording/").status_code == 404
    assert client.get(f"/calls/{call.pk}/recording/").status_code == 302
    assert exchange.asked == []


def test_an_exchange_that_gives_nothing_is_named_and_no_error_of_ours(rep, signed_in, exchange):
    call = recorded(LeadFactory(owner=rep), "twilio", exchange, ref="/nothing")
    response, _body = played(signed_in(rep), call)
    assert (response.status_code, "HTTP 404" in response.content.decode()) == (424, True)


def test_the_key_of_the_account_goes_to_the_stated_address_alone(rep, signed_in, exchange):
    call = recorded(
        LeadFactory(owner=rep), "twilio", exchange, ref="https://evil.example/Recordings/RE1", account_sid="AC1"
    )
    assert played(signed_in(rep), call)[1] == stand_in.SOUND
    assert [(path, bool(proof)) for _m, path, _q, proof in exchange.asked] == [("/Recordings/RE1.mp3", True)]


def test_zadarma_is_asked_for_a_link(rep, signed_in, exchange):
    exchange.answers["/v1/pbx/record/request/"] = (200, {"status": "success", "link": f"{exchange.url}/sound.mp3"})
    call = recorded(LeadFactory(owner=rep), "zadarma", exchange)
    assert played(signed_in(rep), call)[1] == stand_in.SOUND
    assert exchange.asked[0][2]["call_id"] == "REC" and exchange.asked[0][3].startswith("KEY:")


# --- Calls from the card ----------------------------------------------------------------------------------------------

ASKED = {
    "mango": ("/commands/callback", {"result": 1000}, {"api_key": "KEY"}),
    "zadarma": ("/v1/request/callback/", {"status": "success"}, {"api_key": "KEY"}),
    "uis": ("/", {"result": {"data": {"call_session_id": 7}}}, {"access_token": "T", "virtual_number": "74950000000"}),
    "twilio": ("/2010-04-01/Accounts/AC1/Calls.json", {"sid": "CA1"}, {"account_sid": "AC1", "from_number": "+14155550000"}),
    "asterisk": ("/ari/channels", {"id": "1.5"}, {"ari_user": "u", "ari_password": "p"}),
}  # fmt: skip


@pytest.mark.parametrize("adapter", ASKED)
def test_a_call_is_asked_for_once(rep, signed_in, exchange, adapter):
    path, answer, settings = ASKED[adapter]
    exchange.answers[path] = (200, answer)
    source = SourceFactory(adapter=adapter, secret="SALT", settings=settings | {"base_url": exchange.url})
    Extension.objects.create(user=rep, source=source, number="101", account="77")
    lead, client = LeadFactory(owner=rep, phone="+79161234567"), signed_in(rep)
    assert f"/leads/{lead.pk}/dial/" in client.get(f"/leads/{lead.pk}/").content.decode()
    for _press in range(2):
        client.post(f"/leads/{lead.pk}/dial/", {"token": "once0001"})
    drain()
    row = Dialling.objects.get()
    assert (row.state, row.extension, row.phone) == ("placed", "101", "+79161234567")
    assert [(asked[1]) for asked in exchange.asked] == [path]
    assert "79161234567" in str(exchange.asked[0][2])
    assert "Your phone is ringing" in client.get(f"/diallings/{row.pk}/").content.decode()


def test_a_refusal_is_shown_and_a_lost_answer_is_unsure(rep, exchange, signed_in):
    source = SourceFactory(adapter="mango", secret="SALT", settings={"api_key": "KEY", "base_url": exchange.url})
    Extension.objects.create(user=rep, source=source, number="101")
    lead = LeadFactory(owner=rep, phone="+79161234567")
    exchange.answers["/commands/callback"] = (200, {"result": 3102})
    dialling.ask(lead, by=rep, token="refused1")
    drain()
    source.settings["base_url"] = "http://127.0.0.1:9999"
    source.save()
    dialling.ask(lead, by=rep, token="nobody01")
    drain()
    assert list(Dialling.objects.order_by("id").values_list("state", flat=True)) == ["failed", "unsure"]
    assert "3102" in Dialling.objects.first().reason


def test_a_worker_that_died_does_not_call_again(rep, exchange):
    source = SourceFactory(adapter="mango", secret="SALT", settings={"api_key": "KEY", "base_url": exchange.url})
    Extension.objects.create(user=rep, source=source, number="101")
    row = dialling.ask(LeadFactory(owner=rep), by=rep, token="crashed1")
    Dialling.objects.update(state="placing")
    drain()
    row.refresh_from_db()
    assert (row.state, exchange.asked) == ("unsure", [])


def test_without_an_extension_the_number_is_dialled_by_the_phone(rep, signed_in):
    lead = LeadFactory(owner=rep, phone="+79161234567")
    page = signed_in(rep).get(f"/leads/{lead.pk}/").content.decode()
    assert "tel:+79161234567" in page and "/dial/" not in page
    assert signed_in(rep).post(f"/leads/{lead.pk}/dial/", {"token": "nothing1"}).status_code == 409


# --- Watched folders --------------------------------------------------------------------------------------------------

ROW = (
    '"","7916123456{n}","74951112233","t","","PJSIP/t-1","PJSIP/101-2","Dial","","2026-01-01 12:0{n}:00","2026-01-01 12:0{n}:05",'
    '"2026-01-01 12:0{n}:30",30,25,"ANSWERED","DOC","170{n}.1",""\n'
)


def test_a_growing_file_is_read_on_and_each_row_once(funnels, tmp_path):
    source = SourceFactory(adapter="asterisk", settings={"folder": str(tmp_path)})
    file = tmp_path / "Master.csv"
    file.write_text(ROW.format(n=1) + ROW.format(n=2)[:30])
    cdr_files.look_everywhere()
    drain()
    assert list(Call.objects.values_list("external_id", flat=True)) == ["1701.1"]
    with file.open("a") as more:
        more.write(ROW.format(n=2)[30:] + ROW.format(n=3))
    for _look in range(2):
        cdr_files.look(source.pk)
        drain()
    assert sorted(Call.objects.values_list("external_id", flat=True)) == ["1701.1", "1702.1", "1703.1"]
    assert WatchedFile.objects.get().offset == os.path.getsize(file)
    file.write_text(ROW.format(n=4))  # emptied by a rotation
    cdr_files.look(source.pk)
    drain()
    assert Call.objects.count() == 4
    assert set(Submission.objects.values_list("state", flat=True)) == {"lead"}


def test_a_call_to_return_that_nobody_had_goes_to_the_owner(hear, rep):
    hear("ended", direction="in", client="+79161234567", result="no_answer")
    task = Task.objects.get()
    assert task.assignee is None
    Lead.objects.update(owner=rep)
    assert call_ends.hand_out() == 1
    task.refresh_from_db()
    assert task.assignee == rep
