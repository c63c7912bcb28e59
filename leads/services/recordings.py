"""The recording of a call as its provider keeps it: asked for when somebody listens, passed through, kept nowhere."""

import re
from contextlib import ExitStack

from asgiref.sync import sync_to_async
from django.utils.translation import gettext as _

from crm.core import outbound
from leads.capture import ADAPTERS, calling

MAX_BYTES = 100 * 1024 * 1024  # half a day of talk as these exchanges record it
TIMEOUT = 15.0  # seconds
KINDS = {
    "audio/mpeg", "audio/mp3", "audio/wav", "audio/x-wav", "audio/wave", "audio/ogg", "audio/mp4", "audio/aac",
    "audio/webm", "audio/opus",
}  # fmt: skip
ENDINGS = {".wav": "audio/wav", ".ogg": "audio/ogg", ".opus": "audio/ogg", ".m4a": "audio/mp4"}
RANGE = re.compile(r"bytes=(\d{1,12})-(\d{0,12})")


class Unavailable(Exception):
    """The recording cannot be had now; why, in words."""


class Piece:
    """Bytes of a recording on their way: ``status``, ``headers`` and, iterated either way, the bytes."""

    def __init__(self, stack, status, headers, pieces):
        self._stack, self.status, self.headers, self._pieces = stack, status, headers, pieces

    def __iter__(self):
        try:
            yield from self._pieces
        except outbound.Unreachable:
            return  # the player asks for the rest again
        finally:
            self.close()

    async def __aiter__(self):
        pieces = iter(self)
        fetch = sync_to_async(lambda: next(pieces, None), thread_sensitive=False)
        while (piece := await fetch()) is not None:
            yield piece

    def close(self):
        self._stack.close()


def opened(call, wanted=""):
    """The Piece of a call's recording that ``wanted`` (a Range header) names; raises Unavailable."""
    span = RANGE.fullmatch(wanted.strip())
    stack = ExitStack()
    try:
        url, headers, trusted = _address(call)
        headers = dict(headers) | ({"Range": span[0]} if span else {})
        flow = outbound.stream(url, headers=headers, timeout=TIMEOUT, max_bytes=MAX_BYTES, trusted=trusted)
        status, told, pieces = stack.enter_context(flow)
        if status not in {200, 206, 416}:
            raise Unavailable(_("The exchange does not give the recording out: %s") % f"HTTP {status}")
        return Piece(stack, *_shaped(status, told, pieces, span, call.recording))
    except (outbound.Refused, outbound.Unreachable, calling.Failed, ValueError) as error:
        stack.close()
        raise Unavailable(_("The exchange does not give the recording out: %s") % error) from None
    except Unavailable:
        stack.close()
        raise


def _address(call):
    """(url, headers, trusted) of the file; some exchanges are asked for a link first."""
    source = call.source
    adapter = ADAPTERS.get(source.adapter)
    if not hasattr(adapter, "recording"):
        raise calling.Failed(source.adapter)
    ask = adapter.recording(source, call, call.recording)
    if not hasattr(adapter, "recording_link"):
        return ask.url, ask.headers, ask.trusted
    answer = outbound.fetch(
        ask.method, ask.url, headers=dict(ask.headers), params=ask.params, json=ask.json, data=ask.data,
        timeout=TIMEOUT, trusted=ask.trusted,
    )  # fmt: skip
    return adapter.recording_link(answer), {}, ask.trusted


def _shaped(status, told, pieces, span, name):
    """(status, headers, bytes) as a player wants them, also where the exchange knows no ranges."""
    kind = told.get("content-type", "").partition(";")[0].strip().lower()
    ending = name[name.rfind(".") :].lower()
    headers = {"Content-Type": kind if kind in KINDS else ENDINGS.get(ending, "audio/mpeg"), "Accept-Ranges": "bytes"}
    length = told.get("content-length", "")
    if status == 200 and span and length.isdecimal():
        first, last = int(span[1]), min(int(span[2] or length), int(length) - 1)
        if first > last:
            return 416, headers | {"Content-Range": f"bytes */{length}"}, iter(())
        headers |= {"Content-Range": f"bytes {first}-{last}/{length}", "Content-Length": str(last - first + 1)}
        return 206, headers, _cut(pieces, first, last)
    headers |= {name: told[name.lower()] for name in ("Content-Length", "Content-Range") if told.get(name.lower())}
    return status, headers, pieces if status != 416 else iter(())


def _cut(pieces, first, last):
    place = 0
    for piece in pieces:
        begin, end = max(first - place, 0), last + 1 - place
        place += len(piece)
        if part := piece[begin : max(end, 0)]:
            yield part
        if place > last:
            return
