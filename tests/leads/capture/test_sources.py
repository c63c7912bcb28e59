"""Set-up pages of sources: kinds, settings of adapters, secrets and their change."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from leads.capture import ADAPTERS, PSEUDO
from leads.models import Source, Submission
from leads.services.intake import pseudo_source
from tests.leads.capture.conftest import make_source

FORM = "application/x-www-form-urlencoded"
PLAIN = {"name": "Источник", "key": "door", "channel": "site", "is_active": "on"}


@pytest.fixture
def office(signed_in, admin, funnels):
    return signed_in(admin)


@pytest.mark.parametrize("name", sorted(ADAPTERS))
def test_every_kind_is_set_up_on_pages(name, office):
    assert f"?adapter={name}" in office.get("/sources/new/").content.decode()
    page = office.get(f"/sources/new/?adapter={name}")
    assert page.status_code == 200
    stated = {
        field.html_name: field.value() for field in page.context["form"] if field.value() not in (None, "", False)
    }
    assert bool(stated.get("secret")) is (ADAPTERS[name].NEEDS_SECRET and not hasattr(ADAPTERS[name], "GIVEN_SECRET"))
    given = {"secret": "given"} if hasattr(ADAPTERS[name], "GIVEN_SECRET") else {}
    assert office.post("/sources/new/", stated | PLAIN | given | {"adapter": name}).status_code == 302
    source = Source.objects.get()
    assert (source.adapter, bool(source.secret) or not ADAPTERS[name].NEEDS_SECRET) == (name, True)
    page = office.get("/sources/door/").content.decode()
    assert ("/capture/door/" in page) is (name != "imap")  # a mailbox is read: nobody posts to it
    assert office.get("/sources/door/edit/").status_code == 200


def test_a_secret_of_an_adapter_is_kept_and_never_shown(office):
    make_source(key="door", name="Meta", adapter="meta", settings={"access_token": "t0ken-value"})
    assert "t0ken-value" not in office.get("/sources/door/edit/").content.decode()
    assert "t0ken-value" not in office.get("/sources/door/").content.decode()
    office.post("/sources/door/edit/", PLAIN | {"set_version": "v25.0"})
    assert Source.objects.get().settings == {"access_token": "t0ken-value", "version": "v25.0"}
    office.post("/sources/door/edit/", PLAIN | {"set_access_token": "-"})
    assert Source.objects.get().settings == {}


def test_a_secret_is_changed_without_loss(office, post):
    source = make_source(key="door", adapter="json", secret="first")
    office.post("/sources/door/secret/")
    source.refresh_from_db()
    assert source.secret not in {"", "first"}

    def answers(secret):
        return post("door", json_={"phone": "89030001122"}, headers={"Authorization": f"Bearer {secret}"}).status_code

    assert [answers("first"), answers(source.secret), answers("other")] == [202, 202, 401]
    with time_machine.travel(timezone.now() + timedelta(days=8)):
        assert [answers("first"), answers(source.secret)] == [401, 202]


def test_only_administrators_change_secrets(signed_in, head, funnels):
    make_source(key="door", adapter="json", secret="first")
    assert signed_in(head).post("/sources/door/secret/").status_code == 403
    assert Source.objects.get().secret == "first"


def test_a_door_without_a_secret_says_so_in_red(office):
    make_source(key="door", adapter="google-ads")
    assert 'data-tone="danger"' in office.get("/sources/door/").content.decode()
    Source.objects.update(secret="s")
    assert 'data-tone="danger"' not in office.get("/sources/door/").content.decode()


@pytest.mark.parametrize(
    ("adapter", "wrong"),
    [
        ("meta", {"set_base_url": "ftp://graph.test/"}),
        ("meta", {"set_base_url": "http://user@127.0.0.1/"}),
        ("meta", {"set_base_url": "http://169.254.169.254/"}),
        ("meta", {"set_base_url": "http://127.0.0.1:5432/"}),
        ("referral", {"set_landing": "https://evil.test/"}),
        ("newsletter", {"redirect": "https://evil.test/"}),
        ("newsletter", {"redirect": "http://[::1"}),
        ("referral", {"set_landing": "http://[::1", "origins": "shop.test"}),
        ("referral", {"set_landing": "javascript://shop.test/%0aalert(1)", "origins": "shop.test"}),
        ("newsletter", {"set_confirm_days": "400"}),
        ("mapping", {"set_proof": "header"}),
        ("mapping", {"set_proof": "telepathy"}),
    ],
)
def test_settings_without_sense_are_refused(adapter, wrong, office):
    make_source(key="door", adapter=adapter)
    assert office.post("/sources/door/edit/", PLAIN | wrong).status_code == 422
    assert Source.objects.get().settings == {}


@pytest.mark.parametrize(
    "name", ["tilda", "typeform", "meta", "google-ads", "vk", "mapping", "newsletter", "event", "referral"]
)
def test_a_test_passes_the_door_with_its_proof(name, office, judged):
    make_source(key="door", adapter=name, secret="s3cret")
    office.post("/sources/door/test/")
    judged()
    row = Submission.objects.get()
    assert (row.state, row.reason in {"test", "not_enquiry", "no_contact"}) == ("rejected", True)


@pytest.mark.parametrize(
    "settings",
    [{"proof": "header", "proof_name": "X-Key"}, {"proof": "query", "proof_name": "key"}, {"proof": "field", "proof_name": "key"},
     {"proof": "hmac", "proof_name": "X-Sign", "hmac_algorithm": "sha512", "hmac_encoding": "base64"}],
)  # fmt: skip
def test_the_test_of_a_mapping_knows_its_proof(settings, office, judged):
    make_source(key="door", adapter="mapping", secret="s3cret", settings=settings)
    office.post("/sources/door/test/")
    judged()
    assert Submission.objects.get().reason == "test"


def test_the_ledger_adds_up_by_source(office, post):
    for key in ("one", "two"):
        make_source(key=key, name=key)
        post(key, {"phone": "89030001122"})
    post("two", {"name": "x"})
    context = office.get("/receipts/ledger/").context
    assert [(row.key, sums["received"]) for row, sums in context["sources"]] == [("one", 1), ("two", 2)]
    assert context["total"]["received"] == 3


def test_the_word_agreed_with_a_provider_is_read_by_administrators_alone(office, signed_in, marketer):
    page = office.get("/sources/new/?adapter=meta")
    word = page.context["form"]["set_verify_token"].value()
    assert len(word) >= 16
    office.post("/sources/new/", PLAIN | {"adapter": "meta", "secret": "app", "set_verify_token": word})
    assert Source.objects.get().settings == {"verify_token": word}
    assert f'data-copy="{word}"' in office.get("/sources/door/").content.decode()
    assert word in office.get("/sources/door/edit/").content.decode()
    assert word not in signed_in(marketer).get("/sources/door/").content.decode()


def test_a_secret_is_asked_for_by_the_providers_own_name_or_not_at_all(office):
    asked = {
        name: office.get(f"/sources/new/?adapter={name}").context["form"].fields.get("secret")
        for name in ("whatsapp", "imap", "newsletter")
    }
    assert asked["imap"] is None
    assert "App Secret" in str(asked["whatsapp"].help_text)
    assert "программы" in str(asked["newsletter"].help_text)


def test_the_largest_letter_is_asked_in_megabytes_and_kept_in_bytes(office):
    make_source(key="door", adapter="imap", settings={"max_letter": 20_000})
    assert office.get("/sources/door/edit/").context["form"]["set_max_letter"].value() == 1
    office.post("/sources/door/edit/", PLAIN | {"set_max_letter": "1"})
    assert Source.objects.get().settings == {"max_letter": 20_000}
    office.post("/sources/door/edit/", PLAIN | {"set_max_letter": "10"})
    assert Source.objects.get().settings == {"max_letter": 10 * 1024 * 1024}
    assert office.post("/sources/door/edit/", PLAIN | {"set_max_letter": "31"}).status_code == 422


def test_a_secret_that_the_provider_gives_is_not_made_anew_here(office):
    make_source(key="door", adapter="sms-ru", secret="their-api-id")
    make_source(key="other", adapter="json", secret="ours")
    assert "/sources/door/secret/" not in office.get("/sources/door/").content.decode()
    assert "/sources/other/secret/" in office.get("/sources/other/").content.decode()


def test_a_source_of_our_own_is_shown_in_the_settings_and_not_edited(office):
    for kind in PSEUDO:
        page = office.get(f"/admin/leads/source/{pseudo_source(kind).pk}/change/")
        assert page.status_code == 200
        assert str(PSEUDO[kind]) in page.content.decode()
        assert 'name="_save"' not in page.content.decode()
