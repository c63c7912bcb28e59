"""Steps that the journeys share: what a client does outside, what a colleague sees inside."""

import json
from urllib.parse import urlencode, urlsplit

from django.utils import translation

from tests.journeys.world import PEOPLE
from tests.product import wait_for

LEAD = """
    select l.*, u.username as owner_name, u.email as owner_email
    from leads_lead l left join core_user u on u.id = l.owner_id"""


def said(language, text, **values):
    """What the product says in this language; a text without a translation fails."""
    with translation.override(language):
        words = translation.gettext(text)
    assert language == "en" or words != text, f"not translated: {text}"
    return words % values if values else words


def latest(product, email):
    """The newest card of this address; None while there is none."""
    rows = product.rows(f"{LEAD} where l.email = %s order by l.id desc limit 1", email)
    return rows[0] if rows else None


def ready(product, email, besides=()):
    """The card of this address, scored and with an owner; ``besides`` older ones."""

    def found():
        lead = latest(product, email)
        return lead and lead["id"] not in besides and lead["owner_id"] and lead["score"] and lead

    return wait_for(found, f"the card of {email} with score and owner")


def post_form(visitor, key, **fields):
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return visitor.ask("POST", f"/capture/{key}/", urlencode(fields), **kind)


def post_json(visitor, key, **fields):
    return visitor.ask("POST", f"/capture/{key}/", json.dumps(fields), **{"Content-Type": "application/json"})


def name_of(username):
    kind, _line, team = username.partition("_")
    return " ".join(PEOPLE[team][["rep", "colleague", "head"].index(kind)])


def letters_to(mailbox, address):
    return [letter for letter, to in list(mailbox.letters) if to == [address]]


def local(url):
    """Path and query of an address of the product."""
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def no_differences(product):
    """Every stored number equals its recount; returns the names that were recounted."""
    found = product.json("check_numbers", allowed=(0, 1))
    wrong = {name: count for name, count in found.items() if count}
    assert wrong == {}, wrong
    return set(found)
