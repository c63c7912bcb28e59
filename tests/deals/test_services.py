"""The life of a deal: conversion, moves, gates, outcomes, lines."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django_fsm import TransitionNotAllowed

from crm.core.funnel import GateRefused, StaleCard
from crm.core.models import Reason, Stage, StageEdge
from deals import services
from deals.models import Deal, DealLine, DealStageMove, Product
from leads.models import Interaction, Lead, Task
from leads.services.tasks import finish, set_task
from tests.factories import DealFactory, LeadFactory

pytestmark = pytest.mark.django_db


def stages(kind):
    return list(Stage.objects.filter(pipeline__kind=kind).order_by("position"))


def moves(deal):
    rows = DealStageMove.objects.filter(deal=deal).order_by("id")
    return [(row.kind, row.from_stage and row.from_stage.name, row.to_stage.name, row.amount) for row in rows]


def kinds(deal):
    return list(Interaction.objects.filter(deal_ref=deal.pk).order_by("id").values_list("kind", flat=True))


def immediately():
    """Deferred triggers run at commit, which a test never reaches."""
    with connection.cursor() as cursor:
        cursor.execute("set constraints all immediate")


# --- Conversion -----------------------------------------------------------------------------------------------------
def test_conversion_opens_a_prefilled_deal_and_closes_the_lead(rep):
    lead = LeadFactory(owner=rep, product="CRM", company_name="ООО «Ромашка»", budget=Decimal("120000"))
    deal = services.convert(lead, by=rep)
    assert (deal.title, deal.amount, deal.owner, deal.team, deal.person, deal.currency) == (
        "CRM — ООО «Ромашка»", Decimal("120000"), rep, rep.team, lead.person, "RUB",
    )  # fmt: skip
    lead.refresh_from_db()
    assert (lead.status, lead.closed_at is not None, lead.waiting_since) == ("converted", True, None)
    assert list(lead.stage_moves.order_by("id").values_list("kind", flat=True)) == ["entered", "converted"]
    assert moves(deal) == [("entered", None, "Proposal", Decimal("120000"))]
    assert kinds(deal) == ["converted"]


def test_a_second_conversion_returns_the_same_deal(rep):
    lead = LeadFactory(owner=rep)
    first = services.convert(lead, by=rep)
    assert services.convert(lead, by=rep, title="another") == first
    assert (Deal.objects.count(), kinds(first)) == (1, ["converted"])


def test_a_reopened_lead_converts_into_the_deal_that_it_has(rep):
    from leads.services.funnel import reopen

    lead = LeadFactory(owner=rep)
    deal = services.convert(lead, by=rep)
    reopen(lead, by=rep)
    assert services.convert(Lead.objects.get(pk=lead.pk), by=rep) == deal
    lead.refresh_from_db()
    assert (lead.status, Deal.objects.count()) == ("converted", 1)


def test_conversion_asks_for_what_the_stages_ahead_ask_for(rep):
    Stage.objects.filter(pipeline__kind="lead", name="Qualified").update(required_fields=["need", "budget"])
    lead = LeadFactory(owner=rep, stage=stages("lead")[0] if stages("lead") else LeadFactory().stage)
    Stage.objects.filter(pipeline__kind="lead", name="Qualified").update(required_fields=["need", "budget"])
    with pytest.raises(GateRefused) as refusal:
        services.convert(lead, by=rep)
    assert refusal.value.missing == ["need", "budget"]
    lead.refresh_from_db()
    assert (lead.status, Deal.objects.count()) == ("open", 0)
    deal = services.convert(lead, by=rep, facts={"need": "Сайт", "budget": "50 000".replace(" ", "")})
    lead.refresh_from_db()
    assert (lead.need, lead.status, deal.amount) == ("Сайт", "converted", Decimal("50000"))


def test_a_rejected_lead_does_not_convert(rep, funnels):
    from leads.services.funnel import reject

    lead = reject(LeadFactory(owner=rep), Reason.objects.get(kind="lead"), by=rep)
    with pytest.raises(TransitionNotAllowed):
        services.convert(lead, by=rep)
    assert Deal.objects.count() == 0


def test_an_impossible_amount_leaves_the_lead_open(rep):
    lead = LeadFactory(owner=rep)
    for amount in (Decimal(-1), Decimal(10) ** 30, Decimal("NaN"), Decimal("0.001")):
        with pytest.raises(ValidationError), transaction.atomic():
            services.convert(lead, by=rep, amount=amount)
    lead.refresh_from_db()
    assert (lead.status, Deal.objects.count(), lead.stage_moves.count()) == ("open", 0, 1)


def test_the_database_holds_one_deal_a_lead(rep):
    lead = LeadFactory(owner=rep)
    deal = services.convert(lead, by=rep)
    with pytest.raises(IntegrityError, match="deals_deal_once_a_lead"), transaction.atomic():
        DealFactory(lead=lead, person=deal.person)


# --- Moves: the same on every path ------------------------------------------------------------------------------------
def test_a_move_books_kind_amount_time_and_history(rep):
    deal = DealFactory(owner=rep)
    first, second, third = stages("deal")
    moved = services.move_stage(deal, second, by=rep)
    assert (moved.stage, moved.version) == (second, 1)
    moved = services.move_stage(moved, first, by=rep)
    moved = services.move_stage(moved, third, by=rep)
    assert [row[:3] for row in moves(deal)] == [
        ("entered", None, "Proposal"),
        ("moved", "Proposal", "Negotiation"),
        ("returned", "Negotiation", "Proposal"),
        ("skipped", "Proposal", "Contract"),
    ]
    assert kinds(deal) == ["deal_moved"] * 3
    details = Interaction.objects.filter(deal_ref=deal.pk).latest("id").details
    assert (details["from"], details["to"], details["move"]) == ("Proposal", "Contract", "skipped")


def test_the_stage_cannot_be_assigned(rep):
    deal, other = DealFactory(), stages("deal")[1]
    for name, value in (("stage", other), ("stage_id", other.pk), ("status", "won")):
        with pytest.raises(AttributeError):
            setattr(deal, name, value)
    deal.refresh_from_db()
    assert (deal.stage, deal.status) == (stages("deal")[0], "open")


def test_the_database_refuses_a_move_that_is_not_allowed():
    deal = DealFactory()
    first, second, _third = stages("deal")
    StageEdge.objects.filter(source=first, target=second).delete()
    with pytest.raises(IntegrityError, match="is not allowed"), transaction.atomic():
        Deal.objects.filter(pk=deal.pk).update(stage=second)
    deal.refresh_from_db()
    assert deal.stage == first


def test_a_move_without_an_edge_is_refused(rep):
    deal = DealFactory(owner=rep)
    first, second, _third = stages("deal")
    StageEdge.objects.filter(source=first, target=second).delete()
    with pytest.raises(TransitionNotAllowed):
        services.move_stage(deal, second, by=rep)
    assert len(moves(deal)) == 1


def test_heads_only_moves_are_for_heads_and_administrators(rep, head, admin):
    first, second, _third = DealFactory() and stages("deal")
    StageEdge.objects.filter(source=first, target=second).update(heads_only=True)
    with pytest.raises(PermissionDenied):
        services.move_stage(DealFactory(owner=rep), second, by=rep)
    for user in (head, admin):
        assert services.move_stage(DealFactory(owner=rep), second, by=user).stage == second


def test_a_gate_says_what_lacks(rep):
    deal = DealFactory(owner=rep, amount=None)
    second = stages("deal")[1]
    Stage.objects.filter(pk=second.pk).update(required_fields=["amount", "expected_close"])
    second.refresh_from_db()
    with pytest.raises(GateRefused) as refusal:
        services.move_stage(deal, second, by=rep)
    assert refusal.value.missing == ["amount", "expected_close"]
    assert (Deal.objects.get().stage, len(moves(deal))) == (stages("deal")[0], 1)


def test_a_stale_card_is_refused(rep, colleague):
    deal = DealFactory(owner=rep)
    services.move_stage(deal, stages("deal")[1], by=rep, version=0)
    with pytest.raises(StaleCard):
        services.move_stage(deal, stages("deal")[2], by=colleague, version=0)
    deal.refresh_from_db()
    assert (deal.stage, deal.version) == (stages("deal")[1], 1)


# --- What was planned -------------------------------------------------------------------------------------------------
def ends(deal_pk=None, lead=None):
    """(title, why it was closed, by whom) of tasks closed with a reason."""
    rows = Interaction.objects.filter(kind="task_done", deal_ref=deal_pk, lead=lead).order_by("id")
    return [(row.details["title"], row.details.get("because"), row.by) for row in rows]


@pytest.mark.parametrize("outcome", ["won", "lost"])
def test_a_closed_deal_leaves_nothing_in_anybodys_day(rep, colleague, outcome):
    deal, other = DealFactory(owner=rep), DealFactory(owner=rep)
    due = timezone.now() + timedelta(days=1)
    set_task(deal.person, title="Договор", due_at=due, assignee=rep, by=rep, deal=deal.pk)
    stays = set_task(other.person, title="КП", due_at=due, assignee=rep, by=rep, deal=other.pk)
    if outcome == "won":
        services.win(deal, by=colleague)
    else:
        services.lose(deal, Reason.objects.filter(kind="deal").first(), by=colleague)
    assert list(Task.objects.open()) == [stays]
    assert ends(deal.pk) == [("Договор", outcome, colleague)]
    assert Deal.objects.get(pk=deal.pk).next_step_at is None


def test_conversion_closes_what_was_planned_for_the_lead(rep):
    lead = LeadFactory(owner=rep)
    set_task(lead, title="Позвонить", due_at=timezone.now() + timedelta(days=1), assignee=rep, by=rep)
    services.convert(lead, by=rep)
    lead.refresh_from_db()
    assert (Task.objects.open().count(), lead.next_step_at) == (0, None)
    assert ends(lead=lead) == [("Позвонить", "converted", rep)]


# --- Outcomes -------------------------------------------------------------------------------------------------------
def test_won_lost_and_reopened(rep):
    deal = DealFactory(owner=rep)
    reason = Reason.objects.get(kind="deal")
    lost = services.lose(deal, reason, by=rep, note="дорого")
    assert (lost.status, lost.lost_reason, lost.closed_at is not None) == ("lost", reason, True)
    again = services.reopen(lost, by=rep)
    assert (again.status, again.lost_reason, again.closed_at) == ("open", None, None)
    won = services.win(again, by=rep, amount=Decimal("70000"))
    assert (won.status, won.amount) == ("won", Decimal("70000"))
    assert [(row[0], row[3]) for row in moves(deal)] == [
        ("entered", Decimal(50000)), ("lost", Decimal(50000)), ("reopened", Decimal(50000)), ("won", Decimal(70000)),
    ]  # fmt: skip
    assert DealStageMove.objects.get(deal=deal, kind="lost").reason == reason
    assert kinds(deal) == ["deal_lost", "deal_reopened", "edited", "deal_won"]


def test_a_deal_is_lost_with_a_reason_of_deals_only(rep):
    deal = DealFactory(owner=rep)
    for reason in (None, "дорого", Reason.objects.get(kind="lead")):
        with pytest.raises(ValidationError):
            services.lose(deal, reason, by=rep)
    assert Deal.objects.get().status == "open"


def test_closed_deals_do_not_move_and_do_not_close_twice(rep):
    deal = services.win(DealFactory(owner=rep), by=rep)
    with pytest.raises(TransitionNotAllowed):
        services.move_stage(deal, stages("deal")[1], by=rep)
    with pytest.raises(TransitionNotAllowed):
        services.win(deal, by=rep)
    with pytest.raises(TransitionNotAllowed):
        services.lose(deal, Reason.objects.get(kind="deal"), by=rep)
    assert [row[0] for row in moves(deal)] == ["entered", "won"]


def test_winning_early_asks_for_what_the_stages_ahead_ask_for(rep):
    deal = DealFactory(owner=rep, amount=None)
    Stage.objects.filter(pk=stages("deal")[1].pk).update(required_fields=["amount"])
    with pytest.raises(GateRefused) as refusal:
        services.win(deal, by=rep)
    assert refusal.value.missing == ["amount"]
    assert services.win(deal, by=rep, amount=Decimal(10)).status == "won"


def test_a_won_deal_is_repeated_for_the_same_client(rep, colleague):
    deal = DealFactory(owner=rep)
    product = Product.objects.create(name="Лицензия", price=Decimal("100.00"))
    services.add_line(deal, by=rep, product=product, quantity=Decimal(3))
    services.win(deal, by=rep)
    Product.objects.update(price=Decimal("120.00"))
    new = services.repeat(Deal.objects.get(), by=rep)
    assert (new.person, new.status, new.lead, new.stage) == (deal.person, "open", None, stages("deal")[0])
    assert [(line.title, line.quantity, line.price) for line in new.lines.all()] == [("Лицензия", 3, Decimal("120.00"))]
    assert Deal.objects.get(pk=new.pk).amount == Decimal("360.00")
    assert kinds(new)[0] == "deal_opened"


# --- Lines and fields -------------------------------------------------------------------------------------------------
def test_the_amount_is_the_sum_of_the_lines(rep):
    deal = DealFactory(owner=rep, amount=None)
    first = services.add_line(deal, by=rep, title="Услуга", quantity=Decimal("0.1"), price=Decimal("0.30"))
    services.add_line(deal, by=rep, title="Ещё", quantity=Decimal("3"), price=Decimal("33.33"), discount=Decimal("10"))
    assert [line.total for line in deal.lines.all()] == [Decimal("0.03"), Decimal("89.99")]
    assert Deal.objects.get().amount == Decimal("90.02")
    services.change_line(first, {"quantity": Decimal(2)}, by=rep)
    assert Deal.objects.get().amount == Decimal("90.59")
    services.remove_line(first, by=rep)
    assert Deal.objects.get().amount == Decimal("89.99")
    with pytest.raises(ValidationError):
        services.edit(deal, {"amount": Decimal(1)}, by=rep)


@pytest.mark.parametrize(
    "wrong",
    [
        {"quantity": Decimal(-1)}, {"quantity": Decimal(0)}, {"price": Decimal(-5)}, {"price": Decimal(10) ** 30},
        {"discount": Decimal(101)}, {"price": Decimal("NaN")}, {"quantity": Decimal(10) ** 8, "price": Decimal(10) ** 9},
    ],
)  # fmt: skip
def test_impossible_lines_are_refused_in_words(rep, wrong):
    deal = DealFactory(owner=rep)
    with pytest.raises(ValidationError), transaction.atomic():
        services.add_line(deal, by=rep, **({"title": "Услуга", "price": Decimal(1)} | wrong))
    assert (DealLine.objects.count(), Deal.objects.get().amount) == (0, 50_000)


def test_edits_are_kept_with_before_and_after(rep):
    deal = DealFactory(owner=rep)
    services.edit(deal, {"title": "Новый сайт", "amount": Decimal("12345678.90")}, by=rep)
    row = Interaction.objects.get(deal_ref=deal.pk)
    assert row.details["fields"] == {"title": [deal.title, "Новый сайт"], "amount": ["50000.00", "12345678.90"]}
    won = services.win(Deal.objects.get(), by=rep)
    with pytest.raises(ValidationError):
        services.edit(won, {"amount": Decimal(1)}, by=rep)


def test_a_new_owner_takes_the_open_tasks_along_and_is_told(rep, colleague, head):
    deal = DealFactory(owner=rep)
    task = services.plan(deal, {"title": "Позвонить", "due_at": tomorrow()}, by=rep)
    services.change_owner(deal, colleague, by=head)
    deal.refresh_from_db()
    task.refresh_from_db()
    assert (deal.owner, deal.team, task.assignee) == (colleague, colleague.team, colleague)
    assert [n.kind for n in colleague.notices.all()] == ["assigned"]


def tomorrow(days=1):
    from datetime import timedelta

    from django.utils import timezone

    return timezone.now() + timedelta(days=days)


def test_the_next_step_is_the_soonest_open_task_of_the_deal(rep):
    deal = DealFactory(owner=rep)
    later = set_task(deal.person, title="Б", due_at=tomorrow(2), assignee=rep, by=rep, deal=deal.pk)
    soon = set_task(deal.person, title="А", due_at=tomorrow(1), assignee=rep, by=rep, deal=deal.pk)
    immediately()
    assert Deal.objects.get().next_step_at == soon.due_at
    finish(soon, by=rep)
    assert Deal.objects.get().next_step_at == later.due_at
    Task.objects.all().delete()
    assert Deal.objects.get().next_step_at is None
