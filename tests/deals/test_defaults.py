"""What a new installation starts with, and the administrator's page of pipelines."""

import pytest
from django.test import override_settings
from django.utils import translation

from crm.automation.defaults import ensure_defaults
from crm.core.admin_funnel import flaws, join, set_moves
from crm.core.models import Calendar, Hours, Organisation, Pipeline, Reason, Stage, StageEdge
from leads import conditions
from leads.letters import check_template
from leads.models import Kind, Source, Template
from nurturing.models import Sequence
from routing.models import Rule as RoutingRule
from scoring.models import Rule

pytestmark = pytest.mark.django_db


def stages(kind):
    return list(Stage.objects.filter(pipeline__kind=kind).order_by("position"))


def edges(kind):
    rows = StageEdge.objects.filter(source__pipeline__kind=kind)
    return {(row.source.position, row.target.position) for row in rows.select_related("source", "target")}


@override_settings(LANGUAGE_CODE="ru")
def test_a_russian_company_starts_with_everything_it_needs():
    ensure_defaults()
    assert [stage.name for stage in stages("lead")] == ["Новый", "Контакт установлен", "Квалифицирован"]
    assert [(s.name, s.probability, s.required_fields) for s in stages("deal")] == [
        ("Квалификация", 10, []),
        ("КП отправлено", 40, ["amount"]),
        ("Переговоры", 60, ["amount"]),
        ("Договор", 80, ["amount", "expected_close"]),
    ]
    assert edges("lead") == {(0, 1), (0, 2), (1, 0), (1, 2), (2, 1)}
    assert edges("deal") == {(0, 1), (0, 2), (1, 0), (1, 2), (2, 1), (2, 3), (3, 2)}
    assert {kind: Reason.objects.filter(kind=kind).count() for kind in ("lead", "deal")} == {"lead": 8, "deal": 7}
    assert Hours.objects.filter(calendar=Calendar.objects.get(is_default=True)).count() == 10
    assert (Organisation.get().name, RoutingRule.objects.get().strategy) == ("Моя компания", "evenly")
    assert (Source.objects.get().key, Source.objects.get().consent.version) == ("site", 1)
    assert not [text for pipeline in Pipeline.objects.all() for text in flaws(pipeline)]


def test_what_is_made_passes_the_checks_that_administrators_pass():
    ensure_defaults()
    for rule in Rule.objects.all():
        conditions.validate(rule.condition, event=rule.kind == "engagement")
        assert set(rule.on) <= set(Kind.values)
    for sequence in Sequence.objects.all():
        conditions.validate(sequence.condition)
        assert not sequence.is_active and sequence.steps.count() == 6
    for template in Template.objects.filter(kind="letter"):
        check_template(template.subject, template.body)


def test_a_second_run_makes_nothing_and_brings_nothing_back():
    ensure_defaults()
    Stage.objects.filter(pipeline__kind="lead", position=0).update(name="Первый")
    Reason.objects.filter(kind="lead").exclude(name=Reason.objects.filter(kind="lead").first().name).delete()
    before = (Stage.objects.count(), Reason.objects.count(), Template.objects.count(), StageEdge.objects.count())
    assert ensure_defaults() == []
    assert (
        Stage.objects.count(),
        Reason.objects.count(),
        Template.objects.count(),
        StageEdge.objects.count(),
    ) == before
    assert stages("lead")[0].name == "Первый"


def test_the_pipeline_page_says_what_would_hold_cards_up(funnels):
    _leads, deals = funnels
    first, second, third = stages("deal")
    set_moves(first, {})
    set_moves(second, {third.pk: True})
    Stage.objects.filter(pk=third.pk).update(required_fields=["weather"])
    with translation.override("en"):
        found = flaws(deals)
    assert found == [
        "From “Proposal” there is no move: cards stay there.",
        "“Contract” asks for “weather”, which no card has.",
    ]
    assert StageEdge.objects.get(source=second).heads_only
    new = Stage.objects.create(pipeline=deals, name="Invoice", position=3)
    join(new)
    assert set(StageEdge.objects.filter(target=new).values_list("source__name", flat=True)) == {"Contract"}


def test_the_administrator_edits_stages_moves_and_requirements(signed_in, admin, funnels):
    _leads, deals = funnels
    client, url = signed_in(admin), f"/admin/core/pipeline/{deals.pk}/change/"
    page = client.get(url).content.decode()
    assert "Amount" in page and "Expected close" in page and 'name="stages-0-to_all"' in page
    first, second, third = stages("deal")
    data = {"name": "Продажи", "position": 0, "is_default": "on", "is_active": "on",
            "stages-TOTAL_FORMS": 4, "stages-INITIAL_FORMS": 3, "stages-MIN_NUM_FORMS": 0, "stages-MAX_NUM_FORMS": 1000}  # fmt: skip
    for n, stage in enumerate((first, second, third)):
        data |= {f"stages-{n}-{key}": value for key, value in {
            "id": stage.pk, "pipeline": deals.pk, "position": n, "name": stage.name, "probability": 10 * n, "norm_days": 5,
        }.items()}  # fmt: skip
    data |= {"stages-0-to_all": [second.pk], "stages-0-to_heads": [third.pk], "stages-1-to_all": [third.pk],
             "stages-1-required_fields": ["amount"], "stages-2-to_all": [second.pk],
             "stages-3-id": "", "stages-3-pipeline": deals.pk, "stages-3-position": 3, "stages-3-name": "Счёт",
             "stages-3-probability": 90, "stages-3-norm_days": 2}  # fmt: skip
    answer = client.post(url, data)
    assert answer.status_code == 302, answer.context["errors"]
    assert [s.name for s in stages("deal")] == ["Proposal", "Negotiation", "Contract", "Счёт"]
    assert Stage.objects.get(pk=second.pk).required_fields == ["amount"]
    rows = StageEdge.objects.filter(source__pipeline=deals).order_by("source__position", "target__position")
    assert [(e.source.position, e.target.position, e.heads_only) for e in rows] == [
        (0, 1, False), (0, 2, True), (1, 2, False), (2, 1, False), (2, 3, False), (3, 2, False),
    ]  # fmt: skip
