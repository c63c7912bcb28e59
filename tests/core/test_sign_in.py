"""Signing in: one password on many accounts; a forgotten password from the form to the new one."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.test import Client
from django.utils import timezone
from django.utils.http import urlsafe_base64_encode

from crm.core import sign_in
from crm.core.jobs import drain
from crm.core.models import Job, User

pytestmark = pytest.mark.django_db
RIGHT, NEW = "right words here", "quite another 7 words"


@pytest.fixture
def person(rep):
    rep.email = "Mike@example.com"
    rep.set_password(RIGHT)
    rep.save()
    return rep


def tried(username, password=RIGHT, address="203.0.113.66", client=None):
    said = {"username": username, "password": password}
    return (client or Client()).post("/login/", said, REMOTE_ADDR=address).status_code


# --- One password, many accounts ----------------------------------------------------------------------------------------


def test_one_password_on_many_accounts_is_stopped_and_other_addresses_go_on(person):
    """AUTH-01: names that do not exist count like others; the right password is of no use there any more."""
    codes = [tried(f"user{number}", "Summer2026!") for number in range(sign_in.NAMES + 5)]
    assert codes == [200] * sign_in.NAMES + [429] * 5
    assert tried(person.username) == 429
    assert tried(person.username, address="203.0.113.7") == 302
    with time_machine.travel(timezone.now() + sign_in.WINDOW + timedelta(seconds=5), tick=False):
        assert tried(person.username) == 302


def test_an_office_behind_one_address_goes_on_signing_in(person, colleague):
    colleague.set_password(RIGHT)
    colleague.save()
    assert tried(person.username) == 302
    for number in range(sign_in.NAMES):
        tried(f"user{number}", "Summer2026!")
    assert (tried(colleague.username), tried(person.username)) == (429, 302)
    assert tried(person.username, "wrong") == 200  # and the limit of their own account is still there
    assert [tried(person.username, "wrong") for _try in range(9)][-1] == 429


def test_colleagues_who_mistype_are_no_attack(db):
    people = [User.objects.create_user(username=f"u{number}", password=RIGHT) for number in range(sign_in.NAMES + 5)]
    assert {tried(one.username) for one in people} == {302}
    assert {tried(one.username, "wrong") for one in people} == {200}
    assert {tried(one.username) for one in people} == {302}


def test_behind_a_proxy_it_is_the_sender_who_counts(person, settings):
    settings.TRUSTED_PROXIES = 1

    def behind(username, address):
        said = {"username": username, "password": RIGHT}
        return Client().post("/login/", said, headers={"X-Forwarded-For": address}).status_code

    for number in range(sign_in.NAMES):
        behind(f"user{number}", "203.0.113.66")
    assert [behind(person.username, address) for address in ("203.0.113.66", "203.0.113.7")] == [429, 302]


# --- A forgotten password -----------------------------------------------------------------------------------------------


def asked(email, client=None):
    page = (client or Client()).post("/password/reset/", {"email": email}, follow=True)
    drain()
    return page


def link():
    (letter,) = mail.outbox
    mail.outbox.clear()
    return re.search(r"https?://[^/]+(/password/reset/\S+)", letter.body)[1]


def opened(address, client=None):
    """(client, the page behind the link): the token goes into the session, out of the address."""
    client = client or Client()
    return client, client.get(address, follow=True)


def works(address):
    return opened(address)[1].context["validlink"]


def set_new(address, password=NEW):
    client, page = opened(address)
    fields = {"new_password1": password, "new_password2": password}
    return client.post(page.redirect_chain[-1][0], fields, follow=True)


def test_from_the_form_to_signing_in_with_the_new_password(person):
    elsewhere = Client()
    assert tried(person.username, client=elsewhere) == 302
    assert elsewhere.get("/preferences/").status_code == 200
    asked("mike@example.com")
    assert mail.outbox[0].to == ["Mike@example.com"]
    address = link()
    done = set_new(address)
    assert done.redirect_chain[-1][0] == "/password/reset/done/"
    assert elsewhere.get("/preferences/").status_code == 302  # who knew the old one is out
    assert (tried(person.username, RIGHT), tried(person.username, NEW)) == (200, 302)
    assert works(address) is False


def test_whoever_asks_is_not_told_whether_there_is_such_an_account(person):
    person.is_active = False
    person.save()
    pages = [re.sub(r"csrf\S+|nonce\S+", "", asked(e).content.decode()) for e in ("mike@example.com", "no@example.com")]
    assert pages[0] == pages[1]
    assert mail.outbox == []


def test_asking_sends_nothing_itself_and_twice_is_one_letter(person, settings):
    """AUTH-12: how long the answer takes says nothing; the link names the product's own address, not the request's."""
    settings.PUBLIC_URL = "https://crm.example"
    for _time in range(2):
        Client().post("/password/reset/", {"email": "mike@example.com"}, headers={"Host": "testserver"})
    assert (mail.outbox, Job.objects.filter(task="core.reset_letter").count()) == ([], 1)
    drain()
    (letter,) = mail.outbox
    assert "https://crm.example/password/reset/" in letter.body


def test_a_mail_server_that_is_down_for_a_moment_loses_no_letter(person, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("django.core.mail.EmailMessage.send", lambda self: (_ for _ in ()).throw(OSError("down")))
        asked("mike@example.com")
    Job.objects.update(due_at=timezone.now())
    drain()
    assert len(mail.outbox) == 1


@pytest.mark.parametrize(
    "said", ["mıke@example.com", "mike@example.com\nBcc: x@example.com", "mike@example.com,x@example.com"]
)
def test_a_letter_goes_to_the_stored_address_alone(said, person):
    """AUTH-13"""
    asked(said)
    assert mail.outbox == []


@pytest.mark.parametrize("said", ["MIKE@EXAMPLE.COM", " mike@example.com "])
def test_other_spellings_of_the_address_bring_the_letter_to_the_stored_one(said, person):
    asked(said)
    assert [letter.recipients() for letter in mail.outbox] == [["Mike@example.com"]]


def signed_in_since(person, colleague):
    assert tried(person.username) == 302


def password_changed(person, colleague):
    person.set_password(RIGHT + "!")
    person.save()


def email_changed(person, colleague):
    User.objects.filter(pk=person.pk).update(email="new@example.com")


def switched_off(person, colleague):
    User.objects.filter(pk=person.pk).update(is_active=False)


@pytest.mark.parametrize("meanwhile", [signed_in_since, password_changed, email_changed, switched_off])
def test_a_link_ends_with_what_it_was_made_for(meanwhile, person, colleague):
    """AUTH-14"""
    asked("mike@example.com")
    address = link()
    assert works(address) is True
    meanwhile(person, colleague)
    assert works(address) is False


def test_a_link_used_twice_old_or_of_another(person, colleague):
    asked("mike@example.com")
    address = link()
    uid, token = address.rstrip("/").split("/")[-2:]
    asked("mike@example.com")
    other = link().rstrip("/").split("/")[-2]
    assert other == uid
    with time_machine.travel(
        timezone.now() + timedelta(hours=28), tick=False
    ):  # in UTC, local time is three hours ahead
        assert works(address) is False
    assert works(f"/password/reset/{uid}/{token[:-1]}{'1' if token[-1] == '0' else '0'}/") is False
    assert works(f"/password/reset/{urlsafe_base64_encode(str(colleague.pk).encode())}/{token}/") is False
    assert works(f"/password/reset/!!!/{token}/") is False
    first, page = opened(address)  # two windows with one link: the second comes too late
    assert set_new(address).redirect_chain[-1][0] == "/password/reset/done/"
    late = first.post(
        page.redirect_chain[-1][0], {"new_password1": "too late 12345", "new_password2": "too late 12345"}
    )
    assert late.context["validlink"] is False
    person.refresh_from_db()
    assert person.check_password(NEW)
