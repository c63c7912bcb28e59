"""Whose address counts where proxies stand before the product."""

import logging

import pytest
from django.test import RequestFactory

from crm.core.logs import OneLine
from crm.core.proxies import client_address


@pytest.mark.parametrize(
    ("trusted", "said", "address"),
    [
        (0, "203.0.113.9", "127.0.0.1"),
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "6.6.6.6, 203.0.113.9", "203.0.113.9"),
        (2, "6.6.6.6, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
        (2, "203.0.113.9", "127.0.0.1"),
        (1, "[2001:db8::1]", "2001:db8::1"),
        (1, "unknown", "127.0.0.1"),
        (1, "", "127.0.0.1"),
    ],
)
def test_as_many_hops_are_believed_as_there_are_trusted_proxies(trusted, said, address, settings):
    settings.TRUSTED_PROXIES = trusted
    assert client_address(RequestFactory(headers={"X-Forwarded-For": said}).get("/")) == address


@pytest.mark.django_db
def test_behind_a_proxy_a_stranger_who_guesses_locks_nobody_else_out(rep, client, settings):
    settings.TRUSTED_PROXIES = 1
    rep.set_password("right words here")
    rep.save()

    def sign_in(password, address):
        said = {"username": rep.username, "password": password}
        return client.post("/login/", said, headers={"X-Forwarded-For": address}).status_code

    assert [sign_in("wrong", "203.0.113.66") for _try in range(10)][-1] == 429
    assert sign_in("right words here", "203.0.113.7") == 302


def test_what_a_stranger_sends_is_one_line_of_the_log():
    try:
        raise ValueError("a\nb")
    except ValueError as error:
        record = logging.LogRecord(
            "django.security.DisallowedHost",
            logging.ERROR,
            "",
            0,
            str(error),
            (),
            (ValueError, error, error.__traceback__),
        )
    assert OneLine("%(message)s").format(record) == "a\\nb"
