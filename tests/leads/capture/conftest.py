"""A source of each kind, and short ways to post to it."""

import json

import pytest

from crm.core.jobs import drain
from leads.capture import limits
from leads.models import Origin, Source


@pytest.fixture(autouse=True)
def full_buckets():
    limits.reset()


def make_source(**values):
    origin, _made = Origin.objects.get_or_create(name="Site")
    return Source.objects.create(**{"key": "site", "name": "Site", "adapter": "web-form", "origin": origin} | values)


@pytest.fixture
def source(funnels):
    return make_source()


@pytest.fixture
def program(funnels):
    return make_source(key="program", name="Program", adapter="json")


@pytest.fixture
def post(client):
    """A form by ``post("site", {…})``, JSON by ``json_={…}``, bytes by ``raw=b"…", type_="…"``."""

    def send(key, data=None, *, json_=None, raw=None, type_=None, path="/capture/{}/", **headers):
        names = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.pop("headers", {}).items()}
        address = path.format(key)
        if raw is not None:
            return client.generic("POST", address, raw, content_type=type_, **{"CONTENT_TYPE": type_, **names})
        if json_ is not None:
            return client.post(address, json.dumps(json_), content_type="application/json", **names)
        return client.post(address, data or {}, **names)

    return send


@pytest.fixture
def judged():
    """Run what waits, as workers would."""
    return drain
