"""What the senders share: the verdict on an attempt, and the way to a provider's address."""

from dataclasses import dataclass, field

from crm.core import outbound

SENT, LATER, FAILED, UNSURE = "sent", "later", "failed", "unsure"
TIMEOUT = 15.0  # seconds
UPLOAD = 60.0  # seconds for a file
LONGEST = 3600  # seconds that a provider may ask us to wait


@dataclass(frozen=True)
class Verdict:
    """``why``: a key of Message.WHY with what the provider said behind; ``after``: seconds to wait at least.

    ``doubt``: of LATER: it may have arrived all the same, and a second copy is told apart for a while only.
    """

    state: str
    provider_id: str = ""
    why: str = ""
    after: int = 0
    blocked: bool = False
    doubt: bool = False


@dataclass(frozen=True)
class Place:
    """Where a file can be fetched; ``problem`` where it cannot."""

    url: str = ""
    headers: dict = field(default_factory=dict, repr=False)
    trusted: str = ""
    problem: str = ""
    size: int | None = None


def base_url(source, official):
    return str(source.settings.get("base_url") or official).rstrip("/")


def call(source, method, url, *, repeatable=False, timeout=TIMEOUT, **options):
    """(answer, None), or (None, Verdict) where there is no answer.

    ``repeatable``: the provider itself tells a second copy, so that a lost answer is no harm.
    """
    trusted = str(source.settings.get("base_url") or "")
    try:
        return outbound.fetch(method, url, timeout=timeout, max_bytes=256 * 1024, trusted=trusted, **options), None
    except outbound.Refused as refused:
        return None, Verdict(FAILED, why=f"refused {refused}")
    except outbound.Unreachable as error:
        if repeatable or not error.sent:
            return None, Verdict(LATER, why=str(error), doubt=error.sent)
        return None, Verdict(UNSURE, why="no_answer")


def sent_file(message):
    """(name, type, bytes) of the file that goes with a message; None where none does."""
    row = getattr(message, "attachment", None)
    if row is None:
        return None
    with row.file.open("rb") as opened:
        return row.name, row.mime, opened.read()


def post_file(source, url, fields, name, file, *, headers=None, repeatable=False):
    """``call`` with a form that carries a file."""
    kind, raw = outbound.multipart(fields, name, file)
    return call(
        source, "POST", url, data=raw, headers={**(headers or {}), "Content-Type": kind}, timeout=UPLOAD,
        repeatable=repeatable,
    )  # fmt: skip


def payload(answer):
    """The answer's JSON object; empty for anything else."""
    try:
        found = answer.json()
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def pause(answer, stated=None):
    """Seconds that the provider asks us to wait."""
    for given in (stated, answer.headers.get("retry-after")):
        if str(given or "").isdecimal():
            return min(int(given), LONGEST)
    return 0


def broken(answer, words="", stated=None):
    """The Verdict on an answer that is no answer to the message; None for one that is.

    A gateway that failed may have handed it over before; only "too many" and "out of service" say that it did not.
    Nor is a "yes" without what was asked for an answer: nobody knows what it says yes to.
    """
    if answer.status in {429, 503}:
        return Verdict(LATER, why=words or str(answer.status), after=pause(answer, stated))
    if answer.status >= 500 or (answer.status < 300 and not payload(answer)):
        return Verdict(UNSURE, why=f"no_answer {words or answer.status}"[:300])
    return None


def refused(words):
    return Verdict(FAILED, why=f"refused {words}"[:300])


def blocked(words=""):
    return Verdict(FAILED, why=f"blocked {words}".strip()[:300], blocked=True)
