"""The main job through HTTP with real workers: an enquiry becomes a lead, a deal, money, and a number in the report."""

import re

import pytest

from tests.journeys import steps
from tests.journeys.world import CASES, GREETING
from tests.product import wait_for

pytestmark = pytest.mark.slow

CLIENTS = {"ru": "Мария Волкова", "en": "Mary Wolf"}
PHONES = {"ru": "+79161112233", "en": "+442079460123"}
KINDS = """
    select kind from leads_interaction
    where lead_id = %s and kind in ('email_opened', 'email_clicked') order by id"""
OLD = """
    select count(*) from leads_message
    where lead_id = %s and kind = 'welcome' and state = 'sent' and sent_at < now() - interval '3 seconds'"""
TOLD = {"captured", "owner_changed", "email_out", "email_opened", "email_clicked", "call", "stage_moved", "converted"}
TITLE = "Ремонт офиса"
EMPTY = {"merged": 0, "spam": 0, "rejected": 0, "error": 0, "waiting": 0}


@pytest.mark.parametrize("language", ["ru", "en"])
def test_an_enquiry_becomes_a_won_deal_and_a_number_in_the_report(product, mailbox, person, language):
    client = person(language=language)
    lead = captured(product, client, language)
    letter = welcomed(product, mailbox, lead, language)
    read(product, mailbox, client, letter, lead, language)
    owner = person(lead["owner_name"])
    called(product, owner, lead, language)
    moved(product, owner, lead, language)
    deal = sold(product, owner, lead, language)
    reported(product, person(f"head_{language}"), deal, language)
    left(product, client, letter, lead, language)
    assert len(steps.letters_to(mailbox, lead["email"])) == 1
    adds_up(product, lead, language)


# --- the client -----------------------------------------------------------------------------------------------------


def captured(product, visitor, language):
    """Two anonymous posts, a form and JSON, become cards with a score and an owner at work; returns the first."""
    email, key = f"main.{language}@client.test", f"form-{language}"
    answer = steps.post_form(
        visitor, key, name=CLIENTS[language], phone=PHONES[language], email=email, language=language,
        company="Horns and Hooves", budget="700000", utm_source="yandex",
    )  # fmt: skip
    assert (answer.status, answer.headers["Location"]) == (303, f"/f/{key}/thanks/")
    answer = steps.post_json(visitor, key, name="Json", email=f"json.{language}@client.test", company="Acme")
    assert (answer.status, '"state": "waiting"' in answer.text) == (202, True)
    lead, other = steps.ready(product, email), steps.ready(product, f"json.{language}@client.test")
    assert (lead["name"], lead["phone"]) == (CLIENTS[language], PHONES[language])
    assert {lead["owner_name"], other["owner_name"]} == {f"rep_{language}", f"colleague_{language}"}
    assert (lead["score"], lead["fit"], lead["engagement"], lead["status"]) == (50, 50, 0, "open")
    return lead


def welcomed(product, mailbox, lead, language):
    """Exactly one letter, from the owner's name, with a way out; returns it."""
    (letter,) = wait_for(lambda: steps.letters_to(mailbox, lead["email"]), "the welcome email")
    owner = steps.name_of(lead["owner_name"])
    assert letter["From"].addresses[0].display_name == owner
    assert letter["Subject"].strip() == GREETING[language][0]
    assert owner in letter.get_body(("plain",)).get_content()
    assert letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert letter["List-Unsubscribe"].startswith(f"<{product.url}/u/")
    wait_for(lambda: product.value(OLD, lead["id"]) == 1, "the letter to be sent and three seconds old")
    return letter


def read(product, mailbox, visitor, letter, lead, language):
    """A person opens the letter and follows its link: the score rises by both, and the owner hears of a hot lead."""
    html = letter.get_body(("html",)).get_content()
    (pixel,) = re.findall(r'src="([^"]*/t/o/[^"]+)"', html)
    (link,) = re.findall(r'href="([^"]*/t/c/[^"]+)"', html)
    opened = visitor.ask("GET", steps.local(pixel))
    assert (opened.status, opened.headers["Content-Type"]) == (200, "image/gif")
    wait_for(lambda: product.rows(KINDS, lead["id"]) == [{"kind": "email_opened"}], "the open on the timeline")
    clicked = visitor.ask("GET", steps.local(link))
    assert (clicked.status, clicked.headers["Location"]) == (302, CASES)
    wait_for(lambda: len(product.rows(KINDS, lead["id"])) == 2, "the click on the timeline")
    scored(product, lead, 50 + 5 + 10)
    (alarm,) = wait_for(lambda: steps.letters_to(mailbox, lead["owner_email"]), "the letter about the hot lead")
    assert alarm["Subject"].strip() == steps.said(language, "Hot lead: %(name)s", name=CLIENTS[language])


def scored(product, lead, points):
    wait_for(lambda: steps.latest(product, lead["email"])["score"] == points, f"a score of {points}")


# --- the manager ----------------------------------------------------------------------------------------------------


def called(product, owner, lead, language):
    """The owner opens the card and records a call with a next step."""
    address = f"/leads/{lead['id']}/"
    assert steps.said(language, "My day") in owner.get("/").words
    card = owner.get(address)
    assert f'<html lang="{language}"' in card.text
    assert (CLIENTS[language] in card.words, GREETING[language][0] in card.words) == (True, True)
    after = owner.send(owner.get(f"{address}calls/"), f"{address}calls/", result="reached", text="…", next="tomorrow")
    assert steps.said(language, "Call logged.") in after.words
    assert steps.said(language, "Call back") in after.words
    scored(product, lead, 75)


def moved(product, owner, lead, language):
    """Stage by stage; the last one asks for the need, gets it, and takes the lead at once."""
    address = f"/leads/{lead['id']}/"
    stages = product.rows(
        "select id, name, required_fields from core_stage where pipeline_id = %s order by position", lead["pipeline_id"]
    )
    assert [stage["required_fields"] for stage in stages] == [[], [], ["need"]]
    _new, contacted, qualified = stages
    owner.send(owner.get(address), f"{address}stage/", stage=contacted["id"])
    form = owner.get(address).form(f"{address}stage/")
    gate = owner.post(f"{address}stage/", **form | {"stage": qualified["id"]})
    asked = steps.said(language, "To enter “%(to)s”", to=qualified["name"])
    assert (gate.status, asked in gate.words) == (422, True)
    assert steps.latest(product, lead["email"])["stage_id"] == contacted["id"]
    owner.send(gate, f"{address}stage/", need=TITLE)
    after = steps.latest(product, lead["email"])
    assert (after["stage_id"], after["need"]) == (qualified["id"], TITLE)
    scored(product, lead, 80)  # the need is described


def sold(product, owner, lead, language):
    """Converted, moved on, won; returns the deal."""
    dialog = f"/leads/{lead['id']}/conversion/"
    card = owner.send(owner.get(dialog), dialog, title=TITLE, amount="650 000,50")
    (deal,) = product.rows("select id, stage_id, pipeline_id, amount from deals_deal where lead_id = %s", lead["id"])
    address = f"/deals/{deal['id']}/"
    assert (card.url, str(deal["amount"])) == (address, "650000.50")
    (next_stage,) = product.rows(
        "select id from core_stage where pipeline_id = %s and position = 1", deal["pipeline_id"]
    )
    owner.send(card, f"{address}stage/", stage=next_stage["id"])
    after = owner.send(owner.get(f"{address}win/"), f"{address}win/", expected_close="2026-12-01")
    assert steps.said(language, "Won: %s").replace("%s", TITLE) in after.words
    (state,) = product.rows("select status, stage_id from deals_deal where id = %s", deal["id"])
    assert state == {"status": "won", "stage_id": next_stage["id"]}
    assert steps.latest(product, lead["email"])["status"] == "converted"
    return deal


# --- the head -------------------------------------------------------------------------------------------------------


SEEN = """
    select count(*) from leads_lead l where l.owner_id is null or l.team_id in (
      select h.team_id from core_team_heads h join core_user u on u.id = h.user_id where u.username = %s)"""


def reported(product, head, deal, language):
    """The funnel counts the enquiries of the head's teams and one won deal; the number opens exactly this deal."""
    report = head.get("/reports/funnel/")
    counted = {row[0]: row[1] for row in report.document.rows if len(row) > 1}
    names = [steps.said(language, "Enquiries"), steps.said(language, "Won deals")]
    assert [counted[name] for name in names] == [str(product.value(SEEN, f"head_{language}")), "1"]
    (link,) = set(report.links("/reports/rows/funnel_won/"))
    behind = head.get(link)
    assert set(behind.links("/deals/")) - set(report.links("/deals/")) == {f"/deals/{deal['id']}/"}


# --- the way out ----------------------------------------------------------------------------------------------------


def left(product, client, letter, lead, language):
    """Looking at the page does nothing; one click of the mail program unsubscribes."""
    address = steps.local(re.match("<([^>]+)>", letter["List-Unsubscribe"])[1])
    suppressed = "select count(*) from leads_suppression where value = %s"
    page = client.get(address)
    assert steps.said(language, "Unsubscribe from emails?") in page.words
    assert product.value(suppressed, lead["email"]) == 0
    body, kind = "List-Unsubscribe=One-Click", {"Content-Type": "application/x-www-form-urlencoded"}
    answer = client.ask("POST", address, body, **kind)
    assert (answer.status, answer.text, product.value(suppressed, lead["email"])) == (200, "OK\n", 1)
    assert steps.said(language, "You are unsubscribed") in client.get(address).words


def adds_up(product, lead, language):
    """What the commands say agrees with what was done."""
    key = f"form-{language}"
    assert product.json("ledger", "--source", key) == {"received": 2, "lead": 2, **EMPTY}
    receipts = product.json("receipts", key)
    assert [(row["state"], row["reason"]) for row in receipts] == [("lead", ""), ("lead", "")]
    assert lead["id"] in {row["lead"] for row in receipts}
    shown = product.json("show_lead", str(lead["id"]))
    assert shown["score"]["shown"] == shown["score"]["sum"]
    assert {entry["kind"] for entry in shown["timeline"]} >= TOLD
    (given,) = shown["assignments"]
    assert [step["matched"] for step in given["trace"]][-1] is True
    assert {(m["kind"], m["state"]) for m in shown["messages"]} == {("welcome", "sent")}
    assert steps.no_differences(product) >= {"scores", "debts", "lead_stages", "funnel", "ledger"}
