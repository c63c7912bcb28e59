"""A marked test as each provider would send it: proves that a door is open, and makes no lead. Pure.

An adapter whose provider signs or writes in a way of its own has ``canary(source, mark, url) -> Canary``; the others are
sent JSON with the source's secret.
"""

import json
from dataclasses import dataclass, field

from leads.capture.base import FORM, JSON, Envelope

MARK = "canary"


@dataclass(frozen=True)
class Canary:
    """``query``: what must stand in the address, where the proof does."""

    content_type: str
    raw: bytes = field(repr=False)
    headers: dict = field(default_factory=dict, repr=False)
    query: str = field(default="", repr=False)


def bearer(source):
    return {"Authorization": f"Bearer {source.secret}"} if source.secret else {}


def json_of(value, headers=None):
    return Canary(JSON, json.dumps(value).encode(), headers or {})


def plain(source, mark, url):
    return json_of({"test": True, MARK: mark}, bearer(source))


def form(source, mark, url):
    """How site builders try an address when it is entered."""
    return Canary(FORM, b"test=test", bearer(source))


def of(adapter, source, mark, url):
    """The Canary of a source at this address; ``mark``: by which its receipt is found."""
    return getattr(adapter, "canary", plain)(source, mark, url)


def headers_of(sent, mark):
    return {"X-Request-Id": mark, **sent.headers}


def envelope(adapter, source, path, root):
    """The test as if it had come by HTTP."""
    sent = of(adapter, source, MARK, f"{root}{path}")
    return Envelope(
        method="POST", path=path, content_type=sent.content_type, headers=headers_of(sent, MARK), raw=sent.raw,
        url=f"{root}{path}{sent.query}",
    )  # fmt: skip
