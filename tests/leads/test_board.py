"""The leads board: order, visibility, moves, places to drop on."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm.core.models import Stage
from leads.models import Lead
from tests.factories import LeadFactory

pytestmark = pytest.mark.django_db


def stages():
    return list(Stage.objects.filter(pipeline__kind="lead").order_by("position"))


def cards(html):
    return [int(key) for key in re.findall(r'<li class="board-card" id="card-(\d+)"', html)]


def drop(client, lead, stage, version=0):
    headers = {"HX-Request": "true", "HX-Target": f"card-{lead.pk}", "HX-Current-URL": "http://testserver/leads/board/"}
    return client.post(f"/leads/{lead.pk}/stage/", {"stage": stage, "version": version}, headers=headers)


def test_the_highest_score_stands_first_and_closed_leads_nowhere(signed_in, rep):
    leads = [LeadFactory(owner=rep, score=score) for score in (10, 90, 50)]
    LeadFactory(owner=rep, status="converted", closed_at="2026-01-01T00:00Z")
    html = signed_in(rep).get("/leads/board/").content.decode()
    assert cards(html) == [leads[1].pk, leads[2].pk, leads[0].pk]
    assert re.findall(r'<span class="count">(\d+)</span>', html)[:3] == ["3", "0", "0"]


def test_a_board_without_cards_says_what_to_do(signed_in, rep, marketer, funnels):
    client, hint = signed_in(rep), "There are no open leads yet."
    bare = client.get("/leads/board/").text
    assert hint in bare and 'href="/leads/new/"' in bare.split(hint)[1][:300]
    assert 'href="/leads/new/"' not in signed_in(marketer).get("/leads/board/").text
    client = signed_in(rep)
    LeadFactory(owner=rep, name="Иван")
    assert hint not in client.get("/leads/board/").text
    filtered = client.get("/leads/board/?band=hot").text
    assert hint not in filtered and "No lead matches these filters" in filtered


def test_own_team_pool_and_all_are_shown_to_whom_they_belong(
    signed_in, rep, colleague, head, outsider, admin, marketer
):
    own, other, alien, pool = (LeadFactory(owner=user) for user in (rep, colleague, outsider, None))
    rep_team = {own.pk}
    expected = {
        rep: rep_team, outsider: {alien.pk}, head: {own.pk, other.pk, pool.pk},
        admin: {own.pk, other.pk, alien.pk, pool.pk}, marketer: {own.pk, other.pk, alien.pk, pool.pk},
    }  # fmt: skip
    for user, keys in expected.items():
        assert set(cards(signed_in(user).get("/leads/board/").content.decode())) == keys, user


def test_twice_the_cards_take_no_more_queries(signed_in, head, rep):
    client, counts = signed_in(head), []
    for _round in range(2):
        for _n in range(10):
            LeadFactory(owner=rep)
        with CaptureQueriesContext(connection) as queries:
            client.get("/leads/board/")
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 15


def test_a_move_answers_with_the_card_and_both_heads(signed_in, rep):
    lead = LeadFactory(owner=rep)
    first, second, _third = stages()
    answer = drop(signed_in(rep), lead, second.pk)
    html = answer.content.decode()
    assert (answer.status_code, cards(html)) == (200, [lead.pk])
    assert re.findall(r'id="column-head-(\d+)" hx-swap-oob', html) == [str(first.pk), str(second.pk)]
    assert Lead.objects.get(pk=lead.pk).stage == second
    assert drop(signed_in(rep), lead, stages()[2].pk, version=0).status_code == 409


def test_the_places_to_drop_on_open_their_dialogs(signed_in, rep):
    lead, client = LeadFactory(owner=rep), signed_in(rep)
    convert, reject = drop(client, lead, "convert"), drop(client, lead, "reject")
    assert (convert.status_code, f'hx-get="/leads/{lead.pk}/conversion/"' in convert.content.decode()) == (422, True)
    assert (reject.status_code, f'action="/leads/{lead.pk}/rejection/"' in reject.content.decode()) == (422, True)
    assert Lead.objects.get(pk=lead.pk).status == "open"


def test_a_card_past_its_norm_is_marked(signed_in, rep):
    fresh, late, very = LeadFactory(owner=rep), LeadFactory(owner=rep), LeadFactory(owner=rep)
    for lead, days in ((late, 4), (very, 9)):
        with connection.cursor() as cursor:
            cursor.execute(
                "update leads_lead set stage_entered_at = now() - %s * interval '1 day' where id = %s", [days, lead.pk]
            )
    html = signed_in(rep).get("/leads/board/").content.decode()
    tones = {int(key): tone for key, tone in re.findall(r'id="card-(\d+)"[^>]*?data-tone="(\w+)"', html)}
    assert tones == {late.pk: "warning", very.pk: "danger"} and fresh.pk in cards(html)
