"""The deals board and its moves, as a browser asks for them."""

import json
import re
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm.core.models import Stage, StageEdge
from deals.models import Deal
from leads.models import Interaction
from tests.factories import DealFactory

pytestmark = pytest.mark.django_db
BOARD = {"HX-Request": "true", "HX-Current-URL": "http://testserver/deals/board/"}


def stages():
    return list(Stage.objects.filter(pipeline__kind="deal").order_by("position"))


def cards(html):
    """{stage key: [deal keys]} as the page shows them."""
    found = {}
    for column in re.split(r'<section class="board-column"', html)[1:]:
        stage = int(re.search(r'data-stage="(\d+)"', column)[1])
        found[stage] = [int(key) for key in re.findall(r'<li class="board-card" id="card-(\d+)"', column)]
    return found


def drop(client, deal, stage, version=0, **data):
    headers = BOARD | {"HX-Target": f"card-{deal.pk}"}
    return client.post(f"/deals/{deal.pk}/stage/", {"stage": stage, "version": version} | data, headers=headers)


def test_the_board_shows_open_deals_by_stage_with_count_and_sum(signed_in, rep):
    first, second = DealFactory(owner=rep, amount=12_345_678), DealFactory(owner=rep, amount=Decimal("0.50"))
    DealFactory(owner=rep, status="lost", closed_at="2026-01-01T00:00Z", lost_reason=None)
    html = signed_in(rep).get("/deals/board/").content.decode()
    columns = cards(html)
    assert {key: set(keys) for key, keys in columns.items()} == {
        stages()[0].pk: {first.pk, second.pk}, stages()[1].pk: set(), stages()[2].pk: set(),
    }  # fmt: skip
    assert "12,345,678.50" in html
    assert re.findall(r'<span class="count">(\d+)</span>', html)[:3] == ["2", "0", "0"]


def test_everybody_sees_on_the_board_what_the_list_shows(signed_in, rep, colleague, head, outsider, admin, marketer):
    deals = {user: DealFactory(owner=user) for user in (rep, colleague, outsider)}
    pool = DealFactory()
    everything = {deal.pk for deal in deals.values()} | {pool.pk}
    expected = {
        rep: {deals[rep].pk},
        outsider: {deals[outsider].pk},
        head: {deals[rep].pk, deals[colleague].pk, pool.pk},
        admin: everything,
        marketer: everything,
    }
    for user, keys in expected.items():
        html = signed_in(user).get("/deals/board/").content.decode()
        assert set(sum(cards(html).values(), [])) == keys, user
        assert ("data-move-url" in html) == user.can_edit_leads


def test_a_column_pages_by_key_and_ends(signed_in, rep):
    made = [DealFactory(owner=rep).pk for _n in range(45)]
    client, shown = signed_in(rep), []
    html = client.get("/deals/board/").content.decode()
    while True:
        shown += cards(html)[stages()[0].pk]
        more = re.search(r'hx-get="(/deals/board/\d+/\?[^"]*after=[^"]+)"', html)
        if not more:
            break
        html = client.get(more[1].replace("&amp;", "&"), headers={"HX-Request": "true"}).content.decode()
    assert (len(shown), set(shown)) == (45, set(made))


def test_twice_the_cards_take_no_more_queries(signed_in, head, rep):
    client, counts = signed_in(head), []
    for _round in range(2):
        for _n in range(10):
            DealFactory(owner=rep)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            client.get("/deals/board/")
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 15


def test_filters_narrow_the_board_and_wrong_ones_are_named(signed_in, head, rep, colleague):
    mine, other = DealFactory(owner=rep, amount=10), DealFactory(owner=colleague, amount=5_000_000)
    client = signed_in(head)
    for query, keys in {
        f"owner={rep.pk}": {mine.pk},
        "amount_from=1000": {other.pk},
        "attention=no_step": {mine.pk, other.pk},
        f"team={head.team_id}": {mine.pk, other.pk},
        "since=2199-01-01": set(),
    }.items():
        assert set(sum(cards(client.get(f"/deals/board/?{query}").content.decode()).values(), [])) == keys, query
    for query in ("owner=99999", "since=yesterday", "nonsense=1", "amount_from=NaN", "pipeline=999999", "team=x",
                  "close_from=2026-02-01&close_to=2026-01-01"):  # fmt: skip
        response = client.get(f"/deals/board/?{query}")
        assert (response.status_code, 'role="alert"' in response.content.decode()) == (400, True), query
    assert client.get(f"/deals/board/{stages()[0].pk}/?after=abc").status_code == 400
    assert client.get("/deals/board/999999/").status_code == 404


def test_a_dropped_card_comes_back_in_its_new_column_with_both_heads(signed_in, rep):
    deal = DealFactory(owner=rep, amount=700)
    first, second, _third = stages()
    response = drop(signed_in(rep), deal, second.pk)
    html = response.content.decode()
    assert response.status_code == 200
    assert re.findall(r'id="(column-head-\d+)" hx-swap-oob="true"', html) == [
        f"column-head-{s.pk}" for s in (first, second)
    ]
    assert f'data-card="{deal.pk}"' in html and 'data-version="1"' in html and "700" in html
    deal.refresh_from_db()
    assert (deal.stage, deal.version) == (second, 1)


def test_a_gate_asks_and_its_form_fills_and_moves_in_one_action(signed_in, rep):
    deal, (_first, second, _third) = DealFactory(owner=rep, amount=None), stages()
    Stage.objects.filter(pk=second.pk).update(required_fields=["amount"])
    client = signed_in(rep)
    refused = drop(client, deal, second.pk)
    assert refused.status_code == 422 and 'name="amount"' in refused.content.decode()
    assert not Interaction.objects.filter(deal_ref=deal.pk).exists()
    for wrong in ("-1", "1e30", "NaN", "", "много", "1.001"):
        answer = drop(client, deal, second.pk, fill="amount", amount=wrong)
        assert answer.status_code == 422 and 'aria-invalid="true"' in answer.content.decode(), wrong
    headers = {"HX-Request": "true", "HX-Target": "dialog"}
    data = {"stage": second.pk, "version": 0, "fill": "amount", "amount": "1 500 000,50"}
    done = client.post(f"/deals/{deal.pk}/stage/", data, headers=headers)
    assert (done.status_code, json.loads(done["HX-Trigger"])["board:refresh"]) == (
        204,
        {"columns": [deal.stage_id, second.pk]},
    )
    deal.refresh_from_db()
    assert (deal.stage, deal.amount) == (second, Decimal("1500000.50"))


def test_moves_that_are_not_allowed_change_nothing(signed_in, rep, colleague, marketer):
    deal, (first, second, third) = DealFactory(owner=rep), stages()
    lead_stage = Stage.objects.filter(pipeline__kind="lead").first()
    StageEdge.objects.filter(source=first, target=third).delete()
    StageEdge.objects.filter(source=first, target=second).update(heads_only=True)
    client = signed_in(rep)
    answers = [
        drop(client, deal, third.pk), drop(client, deal, second.pk), drop(client, deal, lead_stage.pk),
        drop(client, deal, "x"), drop(client, deal, second.pk, version="x"), drop(client, deal, ""),
        drop(signed_in(colleague), deal, second.pk), drop(signed_in(marketer), deal, second.pk),
    ]  # fmt: skip
    assert [answer.status_code for answer in answers] == [403, 403, 404, 404, 404, 404, 404, 404]
    deal.refresh_from_db()
    assert (deal.stage, deal.version, Interaction.objects.filter(deal_ref=deal.pk).count()) == (first, 0, 0)


def test_the_second_of_two_is_told(signed_in, rep, head):
    deal, (_first, second, third) = DealFactory(owner=rep), stages()
    assert drop(signed_in(rep), deal, second.pk).status_code == 200
    late = drop(signed_in(head), deal, third.pk)
    assert (late.status_code, "Negotiation" in late.content.decode()) == (409, True)
    assert Deal.objects.get().version == 1


def test_the_zones_open_the_dialogs_of_the_outcome(signed_in, rep):
    deal, client = DealFactory(owner=rep), signed_in(rep)
    for zone, action in (("won", "win"), ("lost", "loss")):
        answer = drop(client, deal, zone)
        assert (answer.status_code, f'action="/deals/{deal.pk}/{action}/"' in answer.content.decode()) == (422, True)
    assert Deal.objects.get().status == "open"


def test_without_javascript_the_menu_moves_and_comes_back(signed_in, rep):
    deal, second = DealFactory(owner=rep), None
    second = stages()[1]
    answer = signed_in(rep).post(
        f"/deals/{deal.pk}/stage/", {"stage": second.pk}, headers={"Referer": "http://testserver/deals/board/"}
    )
    assert (answer.status_code, answer["Location"]) == (302, "http://testserver/deals/board/")
    assert Deal.objects.get().stage == second


def test_board_questions_read_indexes(rep):
    from crm.core.board import Board

    DealFactory(owner=rep)
    stage = stages()[0]
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into deals_deal (person_id, title, amount, currency, terms, pipeline_id, stage_id, status, version,"
            " is_imported, owner_id, active_at, closed_at) select person_id, 'x', n, 'RUB', '', pipeline_id, stage_id,"
            " case when n % 5 = 0 then 'open' else 'won' end, 0, false, owner_id, now() - n * interval '1 minute',"
            " case when n % 5 > 0 then now() end from deals_deal, generate_series(1, 10000) n"
        )
        cursor.execute("analyze deals_deal")
    cards = Deal.objects.open()
    board = Board(stages=[stage], arms=[(cards, None)], cards=cards, order="active_at", url="deals:board_column", card_url="deals:card",
                  money=("amount", "currency"), cap=1000)  # fmt: skip
    part = board._part(stage, cards, None)
    assert "Seq Scan" not in part.explain() and "_board" in part.explain()
    sql, params = board._total_part(stage.pk)
    with connection.cursor() as cursor:
        cursor.execute("explain " + sql, params)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "Seq Scan" not in plan and "_board" in plan
    total = board.totals()[stage.pk]
    assert (total.count, total.capped) == (1000, True)
