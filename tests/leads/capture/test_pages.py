"""Receipts, ledger and sources as pages; the commands."""

import json
import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from leads.models import Confirmation, Fetch, Lead, Source, Submission

from .conftest import make_source

PAGES = ["/receipts/", "/receipts/ledger/", "/sources/", "/sources/site/"]


@pytest.fixture
def receipts(source, post, judged):
    """A lead, a merged one, one without a contact, a test; and one of another source."""
    make_source(key="other", name="Other", adapter="json")
    post("site", {"name": "<b>Иван</b>", "phone": "89990000001", "note": "зелёный забор"})
    post("site", {"phone": "8 999 000-00-01"})
    post("site", {"name": "Пётр"})
    post("site", {"test": "test"})
    post("other", json_={"email": "a@b.test"})
    judged()
    return Submission.objects.order_by("id")


def _shown(response):
    return [row.pk for row in response.context["rows"]]


@pytest.mark.parametrize("path", PAGES)
def test_receipts_and_sources_are_for_heads_marketers_and_administrators(
    path, source, signed_in, rep, head, marketer, admin, client
):
    assert [signed_in(user).get(path).status_code for user in (rep, head, marketer, admin)] == [403, 200, 200, 200]
    assert client.get(path).status_code == 302


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("", [4, 3, 2, 1, 0]),
        ("source=other", [4]),
        ("state=rejected", [3, 2]),
        ("reason=no_contact", [2]),
        ("q=забор", [0]),
        ("q=999+000-00-01", [1]),
        ("q=%25", [0, 1, 2]),
        ("q=nothing", []),
        ("since=2999-01-01", []),
    ],
)
def test_receipts_are_found_by_filter_and_by_any_fragment(query, places, receipts, signed_in, admin):
    keys = [row.pk for row in receipts]
    shown = _shown(signed_in(admin).get(f"/receipts/?{query}"))
    if query == "q=%25":  # percent signs stand in urlencoded bodies; test clients send multipart
        assert set(shown) <= set(keys)
    else:
        assert shown == [keys[place] for place in places]


WRITTEN = [
    "{\"name\": \"Преображенская\"}".encode(), json.dumps({"name": "Преображенская"}).encode(),
    urlencode({"name": "Преображенская"}).encode(), "name=ПРЕОБРАЖЕНСКАЯ".encode("cp1251"),
]  # fmt: skip


@pytest.mark.parametrize("fragment", ["преоб", "Преображен", "ПРЕОБРАЖЕНСКАЯ"])
def test_a_fragment_is_found_however_the_body_is_written(fragment, source, signed_in, admin):
    from tests.factories import SubmissionFactory

    made = {SubmissionFactory(source=source, body=body, parsed={}).pk for body in WRITTEN}
    SubmissionFactory(source=source, body="Преснякова".encode(), parsed={})
    assert set(_shown(signed_in(admin).get("/receipts/", {"q": fragment}))) == made


def test_a_wrong_filter_is_422_and_a_wrong_place_is_the_top(receipts, signed_in, admin):
    client = signed_in(admin)
    assert client.get("/receipts/?since=yesterday").status_code == 422
    assert len(_shown(client.get("/receipts/?after=x"))) == 5


def test_pages_go_on_where_the_last_one_ended(source, signed_in, admin):
    from tests.factories import SubmissionFactory

    made = [row.pk for row in SubmissionFactory.create_batch(51, source=source)]
    client = signed_in(admin)
    first = client.get("/receipts/")
    second = client.get(first.context["next_url"])
    assert _shown(first) + _shown(second) == made[::-1]
    assert second.context["next_url"] == ""


@pytest.mark.parametrize("count", [10, 20])
def test_the_list_takes_as_many_queries_for_more_rows(count, source, signed_in, admin, django_assert_max_num_queries):
    from tests.factories import SubmissionFactory

    SubmissionFactory.create_batch(count, source=source)
    client = signed_in(admin)
    with django_assert_max_num_queries(8):
        client.get("/receipts/")


def test_a_receipt_shows_its_body_escaped_and_why_it_is_no_lead(receipts, signed_in, admin):
    lead, _merged, nobody, *_rest = receipts
    html = signed_in(admin).get(f"/receipts/{lead.pk}/").content.decode()
    assert "<b>Иван</b>" not in html
    assert "&lt;b&gt;Иван&lt;/b&gt;" in html
    html = signed_in(admin).get(f"/receipts/{nobody.pk}/").content.decode()
    assert "no phone, email or messenger to answer to" in html


def test_a_receipt_that_waits_says_for_what_and_one_that_failed_folds_the_programs_words(source, signed_in, admin):
    from tests.factories import SubmissionFactory

    row = SubmissionFactory(source=source, state="waiting", parsed=None)
    client = signed_in(admin)
    page = f"/receipts/{row.pk}/"
    assert "It waits in the queue to be read" in client.get(page).content.decode()
    until = timezone.now() + timedelta(days=3)
    asked = Confirmation.objects.create(submission=row, email="a@b.test", expires_at=until)
    assert "It waits until a@b.test is confirmed" in client.get(page).content.decode()
    asked.delete()
    Fetch.objects.create(source=source, submission=row, external_id="1", attempts=2)
    assert "Asked 2 times so far." in client.get(page).content.decode()
    Submission.objects.update(state="error", reason="failed", detail="ValueError: invalid literal for int()")
    told = client.get(page).content.decode()
    assert "Once the cause is mended" in told
    assert re.search(r"<summary[^>]*>Technical detail</summary><p[^>]*>ValueError: invalid literal", told)


def test_an_enquiry_with_several_values_in_one_field_is_shown(receipts, signed_in, admin):
    row = receipts[0]
    Submission.objects.filter(pk=row.pk).update(parsed=row.parsed | {"tags": ["vip", "кровля"]})
    for page in (f"/receipts/{row.pk}/", f"/admin/leads/submission/{row.pk}/change/"):
        assert "vip, кровля" in signed_in(admin).get(page).content.decode()


def test_not_spam_makes_a_lead_and_twice_changes_nothing(source, client, signed_in, admin, rep, judged):
    client.post("/f/site/", {"phone": "89990000001"})  # no token
    judged()
    row = Submission.objects.get()
    assert row.reason == "bot_suspect"
    assert signed_in(rep).post(f"/receipts/{row.pk}/replay/", {"force": "1"}).status_code == 403
    for _n in range(2):
        signed_in(admin).post(f"/receipts/{row.pk}/replay/", {"force": "1"})
    row.refresh_from_db()
    assert (row.state, Lead.objects.count()) == ("lead", 1)


def test_the_filtered_ones_are_read_again(receipts, source, signed_in, admin, marketer, judged):
    source.settings = {"mapping": {"name": "telegram"}}
    source.save()
    Submission.objects.filter(reason="no_contact").update(
        body=b"name=ivanov", content_type="application/x-www-form-urlencoded"
    )
    assert signed_in(marketer).post("/receipts/replay/", {"source": "site"}).status_code == 403
    assert signed_in(admin).post("/receipts/replay/", {"source": "site"}).status_code == 302
    judged()
    assert list(receipts.values_list("state", flat=True)) == ["lead", "merged", "lead", "rejected", "lead"]


def test_the_days_of_the_ledger_add_up(receipts, signed_in, head):
    context = signed_in(head).get("/receipts/ledger/?source=site").context
    assert context["total"] == {
        "received": 4, "lead": 1, "merged": 1, "spam": 0, "rejected": 2, "error": 0, "waiting": 0,
    }  # fmt: skip
    assert [sums for _day, sums in context["days"]] == [context["total"]]


# --- Sources --------------------------------------------------------------------------------------------------------

FILLED = {"name": "Лендинг", "key": "landing", "adapter": "web-form", "channel": "site", "is_active": "on"}


def test_an_administrator_makes_and_edits_a_source(signed_in, admin, db):
    client = signed_in(admin)
    made = client.post("/sources/new/", {**FILLED, "mapping": "payment[orderid] = external_id", "origins": "shop.test"})
    source = Source.objects.get()
    assert (made["Location"], source.origin.name) == ("/sources/landing/", "Лендинг")
    assert source.settings == {"origins": ["shop.test"], "mapping": {"payment[orderid]": "external_id"}}
    client.post("/sources/landing/edit/", {**FILLED, "key": "changed", "name": "Другое", "secret": "s"})
    source.refresh_from_db()
    assert (source.key, source.name, source.secret, source.settings) == ("landing", "Другое", "s", {})
    assert "data-crm-form" in client.get("/sources/landing/").content.decode()


@pytest.mark.parametrize(
    "wrong",
    [{"key": "new"}, {"key": "a b"}, {"adapter": "telepathy"}, {"mapping": "x"}, {"mapping": "x = owner"},
     {"redirect": "https://evil.test/"}, {"origins": "<script>"}],
)  # fmt: skip
def test_a_source_that_has_no_sense_is_refused(wrong, signed_in, admin, db):
    assert signed_in(admin).post("/sources/new/", FILLED | wrong).status_code == 422
    assert Source.objects.count() == 0


def test_only_administrators_change_sources_and_see_secrets(source, signed_in, head, marketer, admin):
    source.secret = "s3cret-value"
    source.save()
    for user in (head, marketer):
        client = signed_in(user)
        assert [client.get("/sources/new/").status_code, client.post("/sources/site/test/").status_code] == [403, 403]
        assert "s3cret-value" not in client.get("/sources/site/").content.decode()
    assert "s3cret-value" in signed_in(admin).get("/sources/site/").content.decode()


def test_a_test_goes_through_the_door_and_is_told_apart(source, program, signed_in, admin, judged):
    program.secret = "s"
    program.save()
    for key in ("site", "program"):
        signed_in(admin).post(f"/sources/{key}/test/")
    judged()
    assert list(Submission.objects.values_list("state", "reason")) == [("rejected", "test")] * 2


# --- Commands -------------------------------------------------------------------------------------------------------


def test_commands_print_one_json_document(receipts, capsys):
    call_command("add_source", "k1", "--adapter", "json", "--secret", "s", "--setting", "per_minute=5",
                 "--setting", 'mapping={"a": "phone"}', "--json")  # fmt: skip
    made = json.loads(capsys.readouterr().out)
    assert (made["key"], made["settings"]) == ("k1", {"per_minute": 5, "mapping": {"a": "phone"}})
    call_command("ledger", "--json")
    assert json.loads(capsys.readouterr().out) == {
        "received": 5, "lead": 2, "merged": 1, "spam": 0, "rejected": 2, "error": 0, "waiting": 0,
    }  # fmt: skip
    call_command("ledger", "--source", "site", "--json")
    assert json.loads(capsys.readouterr().out)["received"] == 4
    call_command("receipts", "other", "--json")
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["state"], row["reason"], row["lead"]) == ("lead", "", Lead.objects.latest("id").pk)
    assert row["parsed"]["identities"] == [{"kind": "email", "value": "a@b.test"}]


@pytest.mark.parametrize(
    "arguments",
    [["add_source", "site", "--adapter", "json"], ["add_source", "new", "--adapter", "json"],
     ["add_source", "x", "--adapter", "none"], ["add_source", "x", "--adapter", "json", "--setting", "per_minute=many"],
     ["add_source", "x", "--adapter", "json", "--setting", "nonsense"], ["ledger", "--source", "x"], ["receipts", "x"]],
)  # fmt: skip
def test_commands_refuse_what_has_no_sense(arguments, source):
    with pytest.raises(CommandError):
        call_command(*arguments)
    assert Source.objects.count() == 1
