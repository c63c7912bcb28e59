"""What a letter is and what of it is new, measured on real letters: `pytest -s tests/leads/capture/test_letters_sorted.py`."""

import os
from collections import Counter
from pathlib import Path

import pytest

from leads.capture.base import Refused
from leads.capture.letter import parse
from leads.capture.letter_html import plain
from leads.capture.quotation import split
from leads.capture.sorting import sort
from tests.leads.capture import autoreplies, replies

SHARED = Path(os.environ.get("CRM_SHARED", Path(__file__).resolve().parents[4] / "shared")) / "real" / "emails"
NOT_LETTERS = {"_reply_text", ".html"}
# What stands in a folder of letters by people although no person wrote it, and the other way round; each was read.
EXCEPTIONS = {
    "cpython/msg_05.txt": "bounce", "cpython/msg_16.txt": "bounce", "cpython/msg_25.txt": "bounce",
    "cpython/msg_43.txt": "bounce", "flanker/disposition-notification.eml": "auto_reply",
    "mikel_mail/mime_emails/raw_email_with_mimepart_without_content_type.eml": "bounce",
    "webklex_imap/example_bounce.eml": "bounce",
    "cpython/msg_42.txt": "human",  # a made-up letter "from" a mailer without a word of a bounce
    "sisimai/lhost-sendmail-14.eml": "human",  # a person passes a bounce on
    "sisimai/lhost-amazonses-11.eml": "complaint",
}  # fmt: skip
FOLDERS = {
    "sisimai/rfc3834": "auto_reply",
    "sisimai/": "bounce",
    "flanker/bounce/": "bounce",
    "mikel_mail/multipart_report": "bounce",
}


@pytest.fixture(scope="module")
def files():
    if not SHARED.exists():
        pytest.skip(f"NO SHARED DATA: {SHARED} is not there")
    found = {}
    for path in sorted(SHARED.rglob("*")):
        name = path.relative_to(SHARED).as_posix()
        if (
            path.is_file()
            and not name.startswith(("email_reply_trimmer", "talon/signature"))
            and not name.endswith(tuple(NOT_LETTERS))
        ):
            found[name] = path.read_bytes()
    return found


def expected(name):
    return EXCEPTIONS.get(name) or next((kind for start, kind in FOLDERS.items() if name.startswith(start)), "human")


def seen(letter):
    """Lists, invitations and encrypted letters are told apart elsewhere; here they are no machine's answer."""
    kind = sort(letter).kind
    return kind if kind in {"auto_reply", "bounce", "complaint"} else "human"


def test_people_automatic_replies_and_bounces_are_told_apart(files):
    tally, wrong, unread = Counter(), [], []
    for name, raw in files.items():
        try:
            letter = parse(raw)
        except Refused:
            unread.append(name)
            continue
        right = expected(name) == seen(letter)
        tally[(expected(name), right)] += 1
        wrong += [] if right else [(name, expected(name), seen(letter))]
    total, good = sum(tally.values()), sum(n for (_kind, right), n in tally.items() if right)
    for kind in ("human", "auto_reply", "bounce", "complaint"):
        print(f"\n{kind}: {tally[(kind, True)]} of {tally[(kind, True)] + tally[(kind, False)]}", end="")
    print(f"\naccuracy {good}/{total} = {good / total:.1%}; no letters at all: {len(unread)}; wrong: {wrong}")
    assert good / total >= 0.98
    assert set(unread) == {
        "cpython/msg_19.txt", "mime4j/testmsgs/malformedHeader-noheader.msg",
        "mime4j/testmsgs/malformedHeaderStartsBody-noheader.msg",
    }  # fmt: skip


def test_a_bounce_says_whom_it_is_about(files):
    """And whether for good: 4.x.x and full mailboxes are not."""
    bounces = {name: sort(parse(raw)) for name, raw in files.items() if name.startswith("sisimai/lhost")}
    bounces = {name: found for name, found in bounces.items() if found.kind == "bounce"}
    nameless = [name for name, found in bounces.items() if not any(r.recipient for r in found.returned)]
    print(
        "\nbounces by severity:",
        dict(Counter(found.severity for found in bounces.values())),
        "without address:",
        nameless,
    )
    assert len(nameless) / len(bounces) <= 0.02


def test_lists_and_invitations(files):
    kinds = {name: sort(parse(files[name])).kind for name in (
        "data_hub_calendar/valid/gmail/sample.eml", "data_hub_calendar/valid/gmail/no_vcalendar.eml",
        "webklex_imap/1366671050@github.com.eml", "cpython/msg_02.txt", "cpython/msg_32.txt",
        "flanker/apache-message-news-mime.eml", "mail_parser/mail_test_5", "sisimai_not_bounces/is-not-bounce-01.eml",
    )}  # fmt: skip
    assert list(kinds.values()) == ["calendar", "calendar", *["mailing_list"] * 5, "human"]


@pytest.mark.parametrize(("program", "raw"), autoreplies.AUTOMATIC, ids=[name for name, _raw in autoreplies.AUTOMATIC])
def test_automatic_replies_of_many_programs(program, raw):
    assert sort(parse(raw.encode())).kind == "auto_reply"


@pytest.mark.parametrize(
    ("what", "kind", "raw"), autoreplies.OTHERS, ids=[what for what, _kind, _raw in autoreplies.OTHERS]
)
def test_letters_that_only_look_like_it(what, kind, raw):
    assert sort(parse(raw.encode())).kind == kind


# --- What is new ----------------------------------------------------------------------------------------------------------


def trimmed():
    """(name, reply, expected) of email_reply_trimmer."""
    folder = SHARED / "email_reply_trimmer"
    for file in sorted((folder / "emails").glob("*.txt")):
        text = file.read_bytes().decode()
        yield f"trimmer/{file.name}", split(text).reply, (folder / "trimmed" / file.name).read_text(encoding="utf-8")


def talon():
    """Talon's own tests say: "Hello" (with the iPhone's line it is part of the text there), and of HTML three lines."""
    folder = SHARED / "talon"
    for file in sorted((folder / "standard_replies").glob("*.eml")):
        found = split(parse(file.read_bytes()).text)
        said = folder / "standard_replies" / f"{file.stem}_reply_text"
        if said.exists():
            yield f"talon/{file.name}", f"{found.reply}\n\n{found.signature}", said.read_text(encoding="utf-8")
        else:
            yield f"talon/{file.name}", found.reply, "Hello"
    for file in sorted((folder / "html_replies").glob("*.html")):
        found = split(plain(file.read_bytes().decode("utf-8", "replace"))).reply
        yield f"talon/{file.name}", " ".join(found.split()), "Hi. I am fine. Thanks, Alex"


def test_the_reply_is_separated_from_the_quotation(files):
    rows = [(name, got.strip() == want.strip()) for name, got, want in [*trimmed(), *talon()]]
    wrong = [name for name, right in rows if not right]
    print(f"\nreplies exactly as expected: {len(rows) - len(wrong)} of {len(rows)}; wrong: {wrong}")
    assert len(rows) == 41
    assert 1 - len(wrong) / len(rows) >= 0.9


@pytest.mark.parametrize("language", ["RUSSIAN", "OTHERS"])
def test_replies_of_many_programs(language):
    rows = getattr(replies, language)
    wrong = [program for program, text, want in rows if split(text).reply != want]
    print(f"\n{language.lower()} replies: {len(rows) - len(wrong)} of {len(rows)}; wrong: {wrong}")
    assert wrong == []
