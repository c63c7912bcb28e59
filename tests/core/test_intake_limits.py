import asyncio

from django.urls import reverse

from crm.core.intake_limits import SMALL, BodyLimits
from tests.core.loops import in_a_loop


def answer_to(pieces, *, length=None, patience=0.2, path="/capture/x/", pause=0.0):
    """(status, bytes that reached the application) for a body that comes in pieces; then nothing more comes."""
    sent, got = [], []

    async def receive():
        if not pieces:
            await asyncio.sleep(0.5)
            return {"type": "http.disconnect"}
        await asyncio.sleep(pause)
        return {"type": "http.request", "body": pieces.pop(0), "more_body": True}

    async def send(message):
        sent.append(message)

    async def app(scope, receive, send):
        while True:
            message = await receive()
            got.append(len(message["body"]))
            if message["body"] == b"end":
                await send({"type": "http.response.start", "status": 200, "headers": []})
                return

    headers = [] if length is None else [(b"content-length", str(length).encode())]
    scope = {"type": "http", "path": path, "headers": headers}
    in_a_loop(BodyLimits(app, patience)(scope, receive, send))
    assert not sent[-1].get("more_body")
    return sent[0]["status"], sum(got)


def test_a_body_within_the_limit_passes():
    assert answer_to([b"x" * 1000, b"end"]) == (200, 1003)


def test_two_declared_gigabytes_are_refused_before_a_byte_is_read():
    assert answer_to([b"x"], length=2 * 1024**3) == (413, 0)


def test_a_body_that_grows_beyond_the_limit_is_cut_off():
    piece = b"x" * (1024 * 1024)
    status, taken = answer_to([piece] * 50)
    assert (status, taken <= SMALL) == (413, True)


def test_a_body_that_stops_coming_is_given_up():
    assert answer_to([b"x"]) == (408, 1)


def test_a_body_that_drips_is_given_up():
    status, taken = answer_to([b"x"] * 100, pause=0.05)
    assert (status, taken < 10) == (408, True)


def test_a_body_that_comes_slowly_enough_is_taken():
    assert answer_to([b"x" * 1024] * 6 + [b"end"], pause=0.1) == (200, 6147)


def test_the_rest_of_a_refused_body_passes_by():
    pieces = [b"x" * 1024] * 50
    assert answer_to(pieces, length=2 * 1024**3) == (413, 0)
    assert pieces == []


def test_lists_may_be_larger():
    piece = b"x" * (1024 * 1024)
    assert answer_to([piece] * 20 + [b"end"], path=reverse("leads:imports")) == (200, 20 * 1024 * 1024 + 3)
