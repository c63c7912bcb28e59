"""Many hands on one row, against the real database."""

from threading import Barrier, Thread

import pytest
from django.db import connection

from crm.core.funnel import StaleCard
from crm.core.models import Stage
from deals import services
from deals.models import Deal, DealStageMove
from leads.models import Interaction
from tests.factories import DealFactory, LeadFactory, UserFactory, make_funnels

pytestmark = pytest.mark.django_db(transaction=True)
HANDS = 8


def at_once(work):
    """Run ``work(n)`` in HANDS threads from one moment on; what each returned, or the error it raised."""
    barrier, results = Barrier(HANDS), [None] * HANDS

    def hand(n):
        barrier.wait()
        try:
            results[n] = work(n)
        except Exception as error:
            results[n] = error
        finally:
            connection.close()

    threads = [Thread(target=hand, args=(n,)) for n in range(HANDS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_one_of_eight_conversions_opens_the_deal_and_all_return_it():
    rep = UserFactory()
    lead = LeadFactory(owner=rep)
    results = at_once(lambda n: services.convert(lead, by=rep))
    assert {deal.pk for deal in results} == {Deal.objects.get().pk}
    assert list(lead.stage_moves.order_by("id").values_list("kind", flat=True)) == ["entered", "converted"]
    assert Interaction.objects.filter(lead=lead, kind="converted").count() == 1


def test_one_of_eight_moves_wins_and_the_others_are_told():
    make_funnels()
    rep, deal = UserFactory(), DealFactory()
    targets = list(Stage.objects.filter(pipeline__kind="deal").order_by("position"))[1:]
    results = at_once(lambda n: services.move_stage(deal, targets[n % 2], by=rep, version=0))
    assert [type(result) for result in results].count(StaleCard) == HANDS - 1
    deal.refresh_from_db()
    assert (deal.version, DealStageMove.objects.filter(deal=deal).count()) == (1, 2)
    assert Interaction.objects.filter(deal_ref=deal.pk).count() == 1


def test_one_of_eight_wins_books_the_money():
    make_funnels()
    rep, deal = UserFactory(), DealFactory()
    at_once(lambda n: services.win(deal, by=rep))
    assert list(DealStageMove.objects.filter(deal=deal).order_by("id").values_list("kind", flat=True)) == [
        "entered",
        "won",
    ]
