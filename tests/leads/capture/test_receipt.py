"""Reliability §3 A and B at the capture address: what is answered, what is stored, what becomes of it."""

import json
import uuid

import pytest
from django.utils import timezone

from crm.core.models import Organisation
from leads.models import Identity, Lead, Submission
from leads.services.ledger import ledger

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"

# id, key, content type, body, status, reason of the receipt ("" where it is taken), phone or e-mail of the card
CASES = [
    ("WF-01", FORM, b"name=Ivan&phone=%2B79990000001&consent=on", 303, "", "+79990000001"),
    ("WF-04", FORM, b"", 422, "no_contact", None),
    ("WF-05", FORM, b"name=Ivan", 422, "no_contact", None),
    ("WF-07a", FORM, b"phone=8 (999) 000-00-03", 303, "", "+79990000003"),
    ("WF-07b", FORM, b"phone=%2B7 999 000 00 03", 303, "", "+79990000003"),
    ("WF-07c", FORM, "phone=＋７９９９０００００03".encode(), 303, "", "+79990000003"),
    ("WF-07d", FORM, "phone=%2B٧٩٩٩٠٠٠٠٠٠٣".encode(), 303, "", "+79990000003"),
    ("WF-13a", FORM, b"name=%C8%E2%E0%ED&phone=89990000001", 303, "", "+79990000001"),
    ("WF-13b", FORM, b"name=%FF%FE&phone=89990000001", 303, "", "+79990000001"),
    ("WF-14", FORM, b"phone=89990000001&name=" + b"x" * 100_000, 422, "too_long", None),
    ("WF-16", FORM, b"&".join(b"f%d=1" % n for n in range(1001)), 400, "unparseable", None),
    ("WF-17a", "multipart/form-data", b"--x\r\n", 400, "unparseable", None),
    ("WF-17b", "multipart/form-data; boundary=y", b"--x\r\n\r\n--x--\r\n", 400, "unparseable", None),
    (
        "WF-17c", "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="phone"\r\n\r\n8999000', 400, "unparseable", None,
    ),
    ("WF-17d", FORM, b"a=" + b"x" * (1024 * 1024 + 1), 413, "too_large", None),
    ("WF-28a", FORM, b"email=a@b.test%0d%0aBcc:x@y.test", 422, "no_contact", None),
    ("WF-28b", FORM, b"name=x%0d%0aSubject:y&phone=89990000001", 303, "", "+79990000001"),
    ("WF-34", FORM, ("phone=" + ",".join(f"8999000{n:04d}" for n in range(50)) + "&email=a@b,c@d").encode(), 303, "",
     "+79990000000"),
    ("API-01", JSON, b'{"name": "Ivan", "phone": "89990000001"}', 202, "", "+79990000001"),
    ("API-07a", JSON, b'{"a":', 400, "unparseable", None),
    ("API-07b", JSON, b"[1,", 400, "unparseable", None),
    ("API-07c", JSON, b"", 400, "unparseable", None),
    ("API-07d", JSON, b'\xef\xbb\xbf{"phone": "89990000001"}', 202, "", "+79990000001"),
    ("API-07e", JSON, b'{"phone": "89990000001"} {}', 400, "unparseable", None),
    ("API-07f", JSON, b"[" * 100_000, 400, "unparseable", None),
    ("API-07g", JSON, b'"text"', 422, "invalid", None),
    ("API-08", JSON, b'{"email": "a@x.test", "email": "b@x.test"}', 400, "unparseable", None),
    ("API-10a", JSON, b'{"phone": "89990000001", "budget": 1e400}', 422, "invalid", None),
    ("API-10b", JSON, b'{"phone": "89990000001", "budget": NaN}', 422, "invalid", None),
    ("API-10c", JSON, b'{"phone": "89990000001", "budget": -Infinity}', 422, "invalid", None),
    ("API-10d", JSON, b'{"phone": 9223372036854775808}', 422, "no_contact", None),
    ("API-10e", JSON, b'{"phone": -0}', 422, "no_contact", None),
    ("API-10f", JSON, b'{"phone": "89990000001", "company_size": 1.0}', 202, "", "+79990000001"),
    ("API-10g", JSON, b'{"phone": ' + b"9" * 5000 + b"}", 422, "invalid", None),
    ("API-11a", JSON, b'{"email": ["a"]}', 422, "no_contact", None),
    ("API-11b", JSON, b'{"email": {"$gt": ""}}', 422, "no_contact", None),
    ("API-11c", JSON, b'{"email": null}', 422, "no_contact", None),
    ("API-11d", JSON, b'{"email": true}', 422, "no_contact", None),
    ("API-11e", JSON, b'{"email": 0}', 422, "no_contact", None),
    ("NUL", JSON, b'{"name": "a\\u0000b\\ud800", "phone": "89990000001"}', 202, "", "+79990000001"),
    ("number", JSON, b'{"phone": 79990000001}', 202, "", "+79990000001"),
    ("XML", "application/xml", b"<a/>", 415, "unparseable", None),
    ("beacon", "text/plain;charset=UTF-8", b'{"phone": "89990000001"}', 202, "", "+79990000001"),
    ("charset", FORM + "; charset=koi8-r", b"name=%E9%D7%C1%CE&phone=89990000001", 303, "", "+79990000001"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "body", "status", "reason", "phone"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_every_body_is_answered_and_kept_as_the_catalogue_says(kind, body, status, reason, phone, source, post, judged):
    response = post("site", raw=body, type_=kind)
    judged()
    (row,) = Submission.objects.all()
    assert response.status_code == status
    assert (row.state, row.reason) == (("rejected", reason) if reason else ("lead", ""))
    assert bytes(row.body) == (b"" if reason == "too_large" else body)
    assert [lead.phone for lead in Lead.objects.all()] == ([phone] if phone else [])
    if reason:
        assert response.json()["error"] == reason
        assert response.json()["receipt"] == str(row.receipt)
        assert response.json()["detail"] == row.detail
    totals = ledger()
    assert totals["received"] == 1 == sum(count for name, count in totals.items() if name != "received")


def test_json_is_told_the_receipt_and_a_form_goes_to_the_thank_you_page(source, post):
    told = post("site", json_={"email": "a@b.test"})
    assert (told.status_code, told.json()) == (
        202,
        {"receipt": str(Submission.objects.get().receipt), "state": "waiting"},
    )
    thanked = post("site", {"email": "a@b.test"})
    assert (thanked.status_code, thanked["Location"]) == (303, "/f/site/thanks/")
    asked = post("site", {"email": "a@b.test"}, headers={"Accept": "application/json"})
    assert (asked.status_code, asked.json()["state"]) == (202, "waiting")


def test_any_path_below_the_address_takes_enquiries(source, post):
    for path in ("/capture/{}", "/capture/{}/", "/capture/{}/tilda/form-1", "/capture/{}/a%00b"):
        assert post("site", json_={"email": "a@b.test"}, path=path).status_code == 202
    assert list(Submission.objects.order_by("id").values_list("path", flat=True)) == [
        "/capture/site", "/capture/site/", "/capture/site/tilda/form-1", "/capture/site/ab",
    ]  # fmt: skip


def test_unknown_address_is_404_and_a_closed_one_410_with_a_receipt(source, post):
    assert post("nobody", {"phone": "89990000001"}).status_code == 404
    assert Submission.objects.count() == 0
    source.is_active = False
    source.save()
    response = post("site", {"phone": "89990000001"})
    assert (response.status_code, response.json()["error"]) == (410, "source_off")
    assert list(Submission.objects.values_list("state", "reason")) == [("rejected", "source_off")]


def test_only_post_is_taken(source, client):
    assert [client.get("/capture/site/").status_code, client.put("/capture/site/").status_code] == [405, 405]


def test_protected_fields_cannot_be_set_by_the_sender(source, post, judged):
    plain = {"name": "Ivan", "phone": "89990000001"}
    forged = {
        "owner": "1", "status": "converted", "score": "100", "created_at": "1970-01-01", "is_deleted": "0", "id": "1",
        "consent_ip": "1.2.3.4", "stage": "3", "team": "1", "band": "hot", "person": "1", "version": "9",
    }  # fmt: skip
    post("site", {**plain, **forged, "phone": "89990000002"})
    post("site", plain)
    judged()
    columns = ("owner", "status", "score", "band", "stage", "team", "version", "custom", "fit", "is_imported")
    left, right = Lead.objects.order_by("id").values(*columns)
    assert left == right
    assert all(lead.created_at > timezone.now() - timezone.timedelta(minutes=1) for lead in Lead.objects.all())


def test_markup_and_formulas_are_kept_letter_by_letter(source, post, judged):
    names = [
        "<img src=x onerror=alert(1)>", '=HYPERLINK("http://evil","x")', "Robert'); DROP TABLE lead;--", "';alert(1)//",
    ]  # fmt: skip
    for n, name in enumerate(names):
        post("site", {"name": name, "phone": f"8999000000{n}"})
    judged()
    assert list(Lead.objects.order_by("id").values_list("name", flat=True)) == names


def test_a_header_smuggled_into_a_field_stays_one_line_with_a_warning(source, post, judged):
    post("site", raw=b"name=x%0d%0aSubject:y&phone=89990000001&email=a@b.test%0d%0aBcc:x@y.test", type_=FORM)
    judged()
    row = Submission.objects.get()
    lead = Lead.objects.get()
    assert (lead.name, lead.email) == ("x Subject:y", "")
    assert row.warnings == ["email:a@b.test Bcc:x@y.test", "name:x Subject:y"]


def test_windows_1251_is_read_with_a_warning_and_the_raw_bytes_stay(source, post, judged):
    post("site", raw=b"name=%C8%E2%E0%ED&phone=89990000001", type_=FORM)
    judged()
    assert Lead.objects.get().name == "Иван"
    assert "decoded_as:cp1251" in Submission.objects.get().warnings


def test_bad_fields_are_warnings_and_the_other_contact_is_enough(source, post, judged):
    post("site", {"phone": "12", "email": "Ivan <IVAN@Example.TEST>", "budget": "много", "name": "ИВАН"})
    judged()
    lead, row = Lead.objects.get(), Submission.objects.get()
    assert (lead.name, lead.phone, lead.email, lead.budget) == ("Иван", "", "ivan@example.test", None)
    assert row.warnings == ["phone:12", "budget:много"]


def test_the_first_of_several_contacts_is_used_and_the_others_are_known_too(source, post, judged):
    post("site", {"phone": "8 999 000-00-01, 8 999 000-00-02", "email": "a@b.test; c@d.test"})
    judged()
    lead = Lead.objects.get()
    assert (lead.phone, lead.email) == ("+79990000001", "a@b.test")
    assert set(Identity.objects.values_list("kind", "value")) == {
        ("phone", "+79990000001"), ("phone", "+79990000002"), ("email", "a@b.test"), ("email", "c@d.test"),
    }  # fmt: skip


def test_multipart_with_a_file_is_read_and_the_file_named(source, client, judged):
    from django.core.files.uploadedfile import SimpleUploadedFile

    client.post(
        "/capture/site/", {"phone": "89990000001", "name": "Иван", "brief": SimpleUploadedFile("тз.pdf", b"%PDF")}
    )
    judged()
    assert list(Lead.objects.values_list("name", "phone")) == [("Иван", "+79990000001")]
    assert Submission.objects.get().warnings == ["file:тз.pdf"]


def test_a_body_that_declares_no_length_is_measured_as_it_is_read(source, rf):
    from io import BytesIO

    from leads.views.capture import capture

    request = rf.post("/capture/site/", b"", content_type=FORM)
    request._stream, request.META["CONTENT_LENGTH"] = BytesIO(b"phone=" + b"1" * 3_000_000), ""
    assert capture(request, "site").status_code == 413
    assert [(row.reason, bytes(row.body)) for row in Submission.objects.all()] == [("too_large", b"")]


def test_compressed_bodies_are_refused(source, post):
    response = post("site", raw=b"\x1f\x8b" + b"0" * 100, type_=JSON, headers={"Content-Encoding": "gzip"})
    assert response.status_code == 415
    assert list(Submission.objects.values_list("state", "reason")) == [("rejected", "unparseable")]


def test_posts_from_other_sites_are_refused_where_the_source_names_its_own(source, post):
    source.settings = {"origins": ["shop.test"]}
    source.save()
    good = post("site", {"phone": "89990000001"}, headers={"Origin": "https://shop.test"})
    bad = post("site", {"phone": "89990000001"}, headers={"Origin": "https://evil.test"})
    none = post("site", {"phone": "89990000001"})
    assert (good.status_code, good["Access-Control-Allow-Origin"]) == (303, "https://shop.test")
    assert (bad.status_code, "Access-Control-Allow-Origin" in bad, bad.json()["error"]) == (403, False, "origin")
    assert none.status_code == 303
    assert sorted(Submission.objects.values_list("state", "reason")) == [
        ("rejected", "origin"), ("waiting", ""), ("waiting", ""),
    ]  # fmt: skip


@pytest.mark.parametrize("origin", ["http://[::1", "http://[", "null", "::", "javascript://shop.test"])
@pytest.mark.parametrize("origins", [[], ["shop.test"]])
def test_an_origin_that_is_none_is_like_any_other_site(origins, origin, source, post):
    source.settings = {"origins": origins}
    source.save()
    said = post("site", {"phone": "89990000001"}, headers={"Origin": origin})
    assert (said.status_code, "Access-Control-Allow-Origin" in said) == (403 if origins else 303, False)
    assert list(Submission.objects.values_list("reason", flat=True)) == ["origin" if origins else ""]


def test_too_many_posts_get_429_with_the_time_to_wait(source, post):
    source.settings = {"per_minute": 2}
    source.save()
    codes = [post("site", {"phone": "89990000001"}) for _n in range(4)]
    assert [c.status_code for c in codes] == [303, 303, 429, 429]
    assert 20 < int(codes[-1]["Retry-After"]) <= 30  # one more half a minute later
    assert Submission.objects.count() == 2


def test_a_browser_without_script_is_told_in_words(source, post):
    response = post("site", {"name": "Ivan"}, headers={"Accept": "text/html", "Accept-Language": "ru"})
    assert response.status_code == 422
    assert "Нужен телефон" in response.content.decode()


# --- Secrets --------------------------------------------------------------------------------------------------------


def _signed(body, secret="s3cret"):
    import hashlib
    import hmac

    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        ({}, 401, "unsigned"),
        ({"Authorization": "Bearer wrong"}, 401, "bad_signature"),
        ({"Authorization": "Bearer s3cre"}, 401, "bad_signature"),
        ({"Authorization": "Bearer s3cret"}, 202, ""),
        ({"X-Signature": "0" * 64}, 401, "bad_signature"),
        ({"X-Signature": "ü"}, 401, "bad_signature"),
        ({"X-Signature": _signed(b'{"phone":"89990000001"}')}, 202, ""),
        ({"X-Signature": "sha256=" + _signed(b'{"phone":"89990000001"}')}, 202, ""),
        ({"X-Signature": "0" * 64 + ", " + _signed(b'{"phone":"89990000001"}')}, 202, ""),
        ({"X-Signature": _signed(b'{"phone": "89990000001"}')}, 401, "bad_signature"),
    ],
)
def test_a_source_with_a_secret_takes_only_who_knows_it(headers, status, reason, program, post):
    program.secret = "s3cret"
    program.save()
    response = post("program", raw=b'{"phone":"89990000001"}', type_=JSON, headers=headers)
    assert response.status_code == status
    assert list(Submission.objects.values_list("state", "reason")) == [("rejected" if reason else "waiting", reason)]


def test_a_wrong_secret_is_told_before_a_broken_body(program, post):
    program.secret = "s3cret"
    program.save()
    assert post("program", raw=b"{", type_=JSON).status_code == 401


def test_a_form_may_carry_the_secret_in_a_field_but_never_in_the_address(source, post):
    source.secret = "s3cret"
    source.save()
    assert post("site", {"phone": "89990000001", "secret": "s3cret"}).status_code == 303
    assert post("site", {"phone": "89990000001"}, path="/capture/{}/?secret=s3cret").status_code == 401


def test_in_production_a_program_without_a_secret_is_refused_and_a_form_is_not(source, program, post, settings):
    settings.LOCAL = False
    assert post("program", json_={"phone": "89990000001"}).status_code == 401
    assert post("site", {"phone": "89990000001"}).status_code == 303


def test_why_it_is_refused_is_told_in_the_senders_language_and_kept_in_the_companys(source, post):
    Organisation.objects.update_or_create(pk=1, defaults={"language": "ru"})
    said = post("site", json_={"name": "Ivan"}, headers={"Accept-Language": "en"}).json()["detail"]
    assert said == "A phone, an email or a messenger to answer to is needed."
    kept = Submission.objects.get().detail
    assert kept == "Нужен телефон, почта или мессенджер, чтобы ответить."
    assert post("site", json_={"name": "Иван"}, headers={"Accept-Language": "ru"}).json()["detail"] == kept


# --- Idempotency ----------------------------------------------------------------------------------------------------


def test_the_same_key_and_body_get_the_same_answer_for_a_day(source, post, judged):
    first = post("site", json_={"phone": "89990000001"}, headers={"Idempotency-Key": "k1"})
    judged()
    again = post("site", json_={"phone": "89990000001"}, headers={"Idempotency-Key": "k1"})
    assert (again.status_code, again.content, again["Idempotent-Replayed"]) == (202, first.content, "true")
    assert "Idempotent-Replayed" not in first
    Submission.objects.update(received_at=timezone.now() - timezone.timedelta(hours=25))
    late = post("site", json_={"phone": "89990000001"}, headers={"Idempotency-Key": "k1"})
    judged()
    assert late.json()["receipt"] != first.json()["receipt"]
    assert sorted(Submission.objects.values_list("state", flat=True)) == ["lead", "merged"]


def test_the_same_key_with_another_body_is_422(source, post):
    post("site", json_={"phone": "89990000001"}, headers={"Idempotency-Key": "k1"})
    other = post("site", json_={"phone": "89990000002"}, headers={"Idempotency-Key": "k1"})
    assert (other.status_code, other.json()["error"]) == (422, "invalid")
    assert sorted(Submission.objects.values_list("state", "reason")) == [("rejected", "invalid"), ("waiting", "")]


def test_a_refused_post_does_not_use_its_key_up(source, post):
    assert post("site", json_={"name": "x"}, headers={"Idempotency-Key": "k1"}).status_code == 422
    assert post("site", json_={"phone": "89990000001"}, headers={"Idempotency-Key": "k1"}).status_code == 202


@pytest.mark.parametrize("key", ["", "x" * 129, "ключ", "a\tb"])
def test_an_impossible_key_is_400(key, source, post):
    said = post("site", json_={"phone": "89990000001"}, headers={"Idempotency-Key": key, "Accept-Language": "ru"})
    assert (said.status_code, said.json()["detail"]) == (400, "Idempotency-Key — от 1 до 128 печатных символов ASCII.")


def test_the_receipt_number_is_a_uuid_told_by_the_command_too(source, post, capsys):
    from django.core.management import call_command

    told = post("site", json_={"phone": "89990000001", "name": "Ivan"}).json()["receipt"]
    assert str(uuid.UUID(told)) == told
    call_command("receipts", "site", "--json")
    assert json.loads(capsys.readouterr().out) == [
        {"id": told, "state": "waiting", "reason": "", "lead": None, "parsed": None}
    ]
