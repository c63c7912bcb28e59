"""Opens, clicks and the way out: kept as they came, judged, counted once; a GET never unsubscribes."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone as django_timezone

from crm.core.jobs import drain
from crm.core.models import Job
from leads import letters as pure
from leads.identity import Known
from leads.models import Engagement, Interaction, Kind, Lead, Message, Suppression
from leads.services import letters, merging
from leads.services.intake import open_lead
from tests.factories import LeadFactory, SourceFactory

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"
ANDROID = (
    "Mozilla/5.0 (Linux; Android 14; SM-S911B) AppleWebKit/537.36 Chrome/126.0 YaBrowser/24.6 Mobile Safari/537.36"
)
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
BOTS = Path(__file__).resolve().parents[3] / "shared" / "real" / "bots"
TEXT = "Прайс: https://example.test/price и сайт https://example.test/"


@pytest.fixture
def lead(rep):
    return LeadFactory(owner=rep, email="client@example.test", language="ru")


def sent(lead, kind="sequence", text=TEXT, ago=3600):
    message = letters.write(lead, kind=kind, subject="Прайс", text=text)
    at = django_timezone.now() - timedelta(seconds=ago)
    Message.objects.filter(pk=message.pk).update(state="sent", sent_at=at)
    Job.objects.filter(task="leads.deliver").delete()
    return message


def ask(url, method="get", agent=CHROME, **data):
    return getattr(Client(enforce_csrf_checks=True, headers={"User-Agent": agent}), method)(url, data)


def pixel(message):
    return f"/t/o/{message.token}.gif"


def link(message, n=1):
    return f"/t/c/{message.token}/{n}/"


def judge(apart=None):
    """The moment of judgement comes; ``apart``: the hits so far lie that many seconds apart."""
    for n, row in enumerate(Engagement.objects.order_by("id")) if apart else ():
        Engagement.objects.filter(pk=row.pk).update(at=django_timezone.now() - timedelta(seconds=1000 - n * apart))
    Job.objects.filter(task="leads.judge_hits").update(due_at=Now())
    Engagement.objects.filter(at__gt=django_timezone.now() - timedelta(seconds=5)).update(at=_before())
    drain()


def _before():
    from django.db.models import F

    return F("at") - timedelta(seconds=10)


def told(lead):
    rows = Interaction.objects.filter(lead=lead, kind__in=[Kind.EMAIL_OPENED, Kind.EMAIL_CLICKED, Kind.UNSUBSCRIBED])
    return [(row.kind, row.details.get("url")) for row in rows.order_by("id")]


# --- Pixel and links -------------------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_the_pixel_is_a_picture_that_nobody_caches_and_that_sets_no_cookie(lead, django_assert_max_num_queries):
    message = sent(lead)
    with django_assert_max_num_queries(8):
        answer = ask(pixel(message))
    assert (answer.status_code, answer["Content-Type"], answer.content[:6]) == (200, "image/gif", b"GIF89a")
    assert "no-store" in answer["Cache-Control"] and not answer.cookies
    assert Engagement.objects.get().reason == "pending" and told(lead) == []
    judge()
    row, message = Engagement.objects.get(), Message.objects.get(pk=message.pk)
    assert (row.is_human, row.reason) == (True, "person") and message.first_open_at
    assert told(lead) == [("email_opened", None)]


@pytest.mark.django_db
def test_many_opens_are_many_rows_and_one_event(lead):
    message = sent(lead)
    for _again in range(30):
        ask(pixel(message))
    judge()
    ask(pixel(message))
    judge()
    assert Engagement.objects.filter(is_human=True).count() == 31
    assert told(lead) == [("email_opened", None)]


@pytest.mark.django_db
def test_the_pixels_answers_to_other_methods(lead):
    message = sent(lead)
    assert ask(pixel(message), "head").status_code == 200
    assert ask(pixel(message), "post").status_code == 405
    ranged = Client(headers={"Range": "bytes=0-1", "If-None-Match": '"x"', "User-Agent": CHROME}).get(pixel(message))
    assert (ranged.status_code, len(ranged.content)) == (200, 42)
    assert ask("/t/o/no-such-token-at-all.gif").content == ranged.content
    assert list(Engagement.objects.order_by("id").values_list("reason", flat=True)) == ["head", "pending"]


@pytest.mark.django_db
def test_a_click_goes_to_the_stored_address_alone(lead):
    message = sent(lead)
    answer = ask(link(message) + "?url=https://evil.test/")
    assert (answer.status_code, answer["Location"]) == (302, "https://example.test/price")
    assert ask(link(message, 9)).status_code == 404
    assert ask("/t/c/no-such-token-at-all/1/").status_code == 404
    judge()
    assert told(lead) == [("email_clicked", "https://example.test/price")]


@pytest.mark.django_db
def test_each_link_counts_once(lead):
    message = sent(lead)
    for url in (link(message), link(message), link(message, 2), link(message)):
        ask(url)
    judge(apart=10)
    assert told(lead) == [("email_clicked", "https://example.test/price"), ("email_clicked", "https://example.test/")]


@pytest.mark.django_db
def test_a_gateway_that_walks_the_whole_letter_is_a_machine_and_unsubscribes_nobody(lead):
    message = sent(lead)
    for url in (pixel(message), link(message), link(message, 2), f"/u/{message.token}/"):
        for method in ("get", "head"):
            assert ask(url, method).status_code in {200, 302}
    Engagement.objects.update(at=django_timezone.now())  # within the same second, however slow this machine is
    judge()
    assert set(Engagement.objects.values_list("is_human", flat=True)) == {False}
    assert (told(lead), Suppression.objects.count()) == ([], 0)


@pytest.mark.django_db
def test_a_click_at_the_very_moment_of_opening_is_a_machine_and_a_later_one_a_reader(lead):
    message = sent(lead, text="Прайс: https://example.test/price")
    ask(pixel(message)), ask(link(message))
    Engagement.objects.update(at=django_timezone.now())
    judge()
    assert told(lead) == []
    ask(pixel(message)), ask(link(message))
    judge(apart=20)
    assert told(lead) == [("email_opened", None), ("email_clicked", "https://example.test/price")]


@pytest.mark.django_db
def test_a_hit_sooner_than_anyone_reads_is_a_machine(lead):
    message = sent(lead, ago=0.1)
    ask(pixel(message))
    assert list(Engagement.objects.values_list("is_human", "reason")) == [(False, "too_soon")]


@pytest.mark.django_db
def test_of_an_erased_lead_nothing_is_kept(lead):
    message = sent(lead)
    Message.objects.update(lead=None)
    assert ask(pixel(message)).status_code == 200
    assert not Engagement.objects.exists()


# --- Human or machine, by itself -------------------------------------------------------------------------------------
LATER = timedelta(minutes=10)


@pytest.mark.parametrize(
    ("agent", "since", "verdict"),
    [
        (CHROME, LATER, (True, "person")),
        (CHROME, timedelta(seconds=1), (False, "too_soon")),
        (CHROME, None, (False, "too_soon")),
        ("", LATER, (False, "no_agent")),
        (GMAIL, LATER, (True, "proxy")),
        (GMAIL, timedelta(seconds=5), (False, "prefetch")),
        ("Mozilla/5.0", LATER, (False, "privacy_proxy")),
        ("curl/8.5.0", LATER, (False, "robot")),
        ("Mozilla/5.0 (compatible; Barracuda Sentinel)", LATER, (False, "robot")),
        ("Microsoft Outlook 16.0", LATER, (True, "person")),
        ("Mozilla/5.0 (Windows NT 10.0; rv:128.0) Gecko/20100101 Thunderbird/128.1", LATER, (True, "person")),
        (IPHONE, LATER, (True, "person")),
        (ANDROID, LATER, (True, "person")),
    ],
)  # fmt: skip
def test_one_hit_is_judged_by_program_and_time(agent, since, verdict):
    assert pure.judge_hit(method="GET", agent=agent, since_sent=since) == verdict


@pytest.mark.skipif(not BOTS.exists(), reason="the collection of real user agents is not here")
def test_nearly_all_known_robots_are_told():
    listed = json.loads((BOTS / "crawler-user-agents.json").read_text())
    agents = [agent for robot in listed for agent in robot.get("instances", [])]
    missed = [a for a in agents if pure.judge_hit(method="GET", agent=a, since_sent=LATER)[0]]
    assert len(missed) / len(agents) < 0.02, missed[:40]


@pytest.mark.skipif(not BOTS.exists(), reason="the collection of real user agents is not here")
def test_mail_providers_proxies_are_judged_as_their_list_says():
    listed = json.loads((BOTS / "email_open_agents.json").read_text())
    verdicts = [pure.judge_hit(method="GET", agent=row["agent"], since_sent=LATER)[0] for row in listed]
    assert verdicts == [row["is_human_open"] is not False for row in listed]


def test_a_burst_is_found_in_one_pass_however_many_hits():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    opens = [(n, None, start + timedelta(milliseconds=n)) for n in range(20_000)]
    assert pure.judge_burst(opens) == set()
    assert pure.judge_burst([("a", 1, start), ("b", 2, start + timedelta(seconds=1.9))]) == {"a", "b"}
    assert pure.judge_burst([("a", 1, start), ("b", 2, start + timedelta(seconds=2.1))]) == set()
    assert pure.judge_burst([("o", None, start), ("c", 1, start + timedelta(seconds=1.5))]) == set()


# --- The way out -----------------------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_looking_at_the_page_changes_nothing(lead):
    answer = ask(f"/u/{sent(lead).token}/")
    assert answer.status_code == 200 and "Отписаться" in answer.content.decode()
    assert (Suppression.objects.count(), told(lead)) == (0, [])


@pytest.mark.django_db
def test_one_click_needs_no_cookie_no_token_no_login_and_counts_once(lead):
    message = sent(lead)
    for _again in range(3):
        answer = ask(f"/u/{message.token}/", "post", **{"List-Unsubscribe": "One-Click"})
        assert (answer.status_code, answer.get("Location")) == (200, None)
    assert list(Suppression.objects.values_list("value", "reason", "message")) == [
        ("client@example.test", "unsubscribed", message.pk)
    ]
    assert told(lead) == [("unsubscribed", None)]


@pytest.mark.django_db
def test_the_page_speaks_the_clients_language_and_lets_come_back_by_own_act(lead):
    lead.language = "en"
    lead.save(update_fields=["language"])
    message = sent(lead)
    assert "You are unsubscribed" in ask(f"/u/{message.token}/", "post").content.decode()
    assert Suppression.objects.count() == 1
    assert "You are subscribed again" in ask(f"/u/{message.token}/", "post", again="1").content.decode()
    assert Suppression.objects.count() == 0
    assert ask("/u/no-such-token-at-all/").status_code == 404


@pytest.mark.django_db
def test_the_other_open_leads_of_the_address_are_told_too(lead, rep):
    twin = LeadFactory(owner=rep, email=lead.email, person=lead.person)
    ask(f"/u/{sent(lead).token}/", "post")
    assert (told(lead), told(twin)) == ([("unsubscribed", None)], [("unsubscribed", None)])


@pytest.mark.django_db
def test_ten_hits_cost_a_counted_number_of_queries_each(lead, django_assert_max_num_queries):
    message = sent(lead)
    ask(pixel(message))
    judge()
    with django_assert_max_num_queries(8 * 10):
        for _again in range(10):
            ask(pixel(message))


@pytest.mark.django_db
def test_a_new_enquiry_does_not_bring_back_who_has_unsubscribed(lead, rep):
    ask(f"/u/{sent(lead).token}/", "post")
    again = LeadFactory(owner=rep, email=lead.email, person=lead.person)
    message = letters.write(again, kind="welcome", subject="S", text="T")
    drain()
    message.refresh_from_db()
    assert (message.state, Suppression.objects.count()) == ("skipped", 1)


# --- Leads that are no longer what they were, and askers who try something ---------------------------------------------
@pytest.mark.django_db
def test_a_merged_leads_letter_counts_on_the_one_that_stayed(lead, rep, admin):
    other = LeadFactory(owner=rep, email="other@example.test")
    message = sent(other)
    merging.merge(lead.person, other.person, {}, by=admin)
    assert ask(pixel(message)).status_code == 200
    ask(link(message))
    judge(apart=20)
    assert told(lead) == [("email_opened", None), ("email_clicked", "https://example.test/price")]
    assert told(other) == []
    ask(f"/u/{message.token}/", "post")
    assert list(Suppression.objects.values_list("value", flat=True)) == ["other@example.test"]
    assert ("unsubscribed", None) in told(lead)


@pytest.mark.django_db
def test_the_way_out_stays_open_when_the_lead_is_gone(lead):
    """Who was deleted may still say that they want no letters; nothing else of theirs is kept."""
    message = sent(lead)
    Message.objects.update(lead=None)
    assert ask(link(message))["Location"] == "https://example.test/price"
    assert ask(f"/u/{message.token}/").status_code == 200
    assert ask(f"/u/{message.token}/", "post", **{"List-Unsubscribe": "One-Click"}).status_code == 200
    assert list(Suppression.objects.values_list("value", flat=True)) == ["client@example.test"]
    assert not Engagement.objects.exists()


@pytest.mark.django_db
def test_nothing_that_the_asker_adds_is_kept_or_shown(lead, rep, signed_in):
    message, evil = sent(lead), "<script>alert(1)</script>"
    for path in (pixel(message), link(message), f"/u/{message.token}/"):
        answer = Client(headers={"User-Agent": f"Mozilla/5.0 {evil}", "Referer": evil}).get(
            path, {"page_title": evil, "url": "https://evil.test/", "id": "1", "token": "x"}
        )
        assert answer.status_code in {200, 302} and b"<script>alert" not in answer.content
        assert "evil.test" not in answer.get("Location", "")
    judge()
    kept = json.dumps(list(Engagement.objects.values()), default=str)
    assert "page_title" not in kept and "evil.test" not in kept
    page = signed_in(rep).get(f"/leads/{lead.pk}/").content.decode()
    assert "<script>alert" not in page


@pytest.mark.django_db
@pytest.mark.parametrize(
    "token", ["1", "00000000001", "%00" * 12, "x" * 41, "x" * 5000, "..%2f..%2fetc", "а" * 20, "-" * 20, "{token}x"]
)
def test_tokens_cannot_be_counted_through(lead, token):
    message = sent(lead)
    token = token.replace("{token}", message.token)
    for path in (f"/u/{token}/", f"/t/c/{token}/1/"):
        for method in ("get", "post"):
            assert ask(path, method).status_code in {404, 405}
    assert ask(f"/t/o/{token}.gif").status_code in {200, 404}
    assert (Suppression.objects.count(), Engagement.objects.count()) == (0, 0)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"),
        ('--b\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b--\r\n', "multipart/form-data; boundary=b"),
        ("", "text/plain"),
        ("\x00\xff{", "application/json"),
    ],
)  # fmt: skip
def test_a_post_is_the_way_out_whatever_its_body(lead, body, kind):
    """RFC 8058 has two forms of it; a program that sends neither means the same."""
    message = sent(lead)
    answer = Client(enforce_csrf_checks=True).post(f"/u/{message.token}/", body, content_type=kind)
    assert (answer.status_code, Suppression.objects.count(), not answer.cookies) == (200, 1, True)
    first = Suppression.objects.get().at
    Client().post(f"/u/{message.token}/", body, content_type=kind)
    assert Suppression.objects.get().at == first


@pytest.mark.django_db
def test_a_list_does_not_bring_back_who_has_unsubscribed(lead, rep, funnels):
    ask(f"/u/{sent(lead).token}/", "post")
    Lead.objects.filter(pk=lead.pk).update(status="rejected", closed_at=django_timezone.now())
    again, _outcome = open_lead(
        fields={"name": "Client"}, identities=[Known("email", lead.email)], source=SourceFactory(), consent=True
    )
    drain()
    assert again.pk != lead.pk
    assert set(Message.objects.filter(lead=again).values_list("state", flat=True)) <= {"skipped"}
    assert Suppression.objects.count() == 1
