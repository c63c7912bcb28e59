"""The score panel and the rules in the admin."""

import pytest

from leads.models import Interaction, Kind, Lead
from scoring import services
from scoring.models import Evidence, Rescoring, Rule, Thresholds
from tests.factories import LeadFactory

pytestmark = pytest.mark.django_db

FORM = {
    "name": "Kazan", "kind": "fit", "points": "10", "cap": "0", "half_life": "0", "position": "1", "is_active": "on",
    "condition-0-field": "city", "condition-0-op": "in", "condition-0-value": "Казань, Набережные Челны",
}  # fmt: skip

HX = {"HX-Request": "true"}


@pytest.fixture
def lead(rep):
    Rule.objects.create(
        name="Kazan", kind="fit", condition=[{"field": "city", "op": "eq", "value": "Казань"}], points=35
    )
    Rule.objects.create(name="Prices", kind="engagement", on=["page_view"], points=10, half_life=10)
    lead = LeadFactory(city="Казань", owner=rep)
    for _visit in range(2):
        event = Interaction.objects.create(lead=lead, person=lead.person, kind=Kind.PAGE_VIEW, details={"url": "/x"})
        services.rescore(Lead.objects.get(pk=lead.pk), event)
    return Lead.objects.get(pk=lead.pk)


def test_the_panel_shows_each_row_and_their_sum(lead, rep, signed_in):
    page = signed_in(rep).get(f"/leads/{lead.pk}/score/", headers=HX)
    assert page.status_code == 200 and page.context["statement"].total == lead.score == 55
    shown = [
        (kind, total, [(group.rule.name, group.total, [item.left for item in group.items]) for group in groups])
        for kind, total, groups in page.context["statement"].kinds
    ]
    assert shown == [("fit", 35, [("Kazan", 35, [35])]), ("engagement", 20, [("Prices", 20, [10, 10])])]
    events = Evidence.objects.filter(rule__name="Prices").values_list("interaction_id", flat=True)
    text = page.content.decode()
    assert [f"/leads/{lead.pk}/#entry-{pk}" in text for pk in events] == [True, True]


def test_faded_points_stand_beside_what_they_were(lead, rep, signed_in):
    row = Evidence.objects.filter(rule__name="Prices").first()
    services.decay(now=row.decays_at)
    page = signed_in(rep).get(f"/leads/{lead.pk}/score/", headers=HX)
    groups = {group.rule.name: group for _kind, _total, groups in page.context["statement"].kinds for group in groups}
    assert sorted((item.row.points, item.left) for item in groups["Prices"].items) == [(10, 5), (10, 10)]


def test_strangers_do_not_see_the_score(lead, outsider, colleague, head, marketer, signed_in):
    seen = {user.username: signed_in(user).get(f"/leads/{lead.pk}/score/", headers=HX).status_code for user in
            (outsider, colleague, head, marketer)}  # fmt: skip
    assert seen == {"outsider": 404, "colleague": 404, "head": 200, "marketer": 200}


def test_an_administrator_writes_a_rule_by_rows(admin, signed_in):
    answer = signed_in(admin).post("/admin/scoring/rule/add/", FORM)
    assert answer.status_code == 302
    rule = Rule.objects.get()
    assert rule.condition == [{"field": "city", "op": "in", "value": ["Казань", "Набережные Челны"]}]
    page = signed_in(admin).get(f"/admin/scoring/rule/{rule.pk}/change/")
    assert 'value="Казань, Набережные Челны"' in page.content.decode()


@pytest.mark.parametrize(
    "change, field, words",
    [
        ({"points": "0"}, "points", "A rule of 0 points changes nothing."),
        ({"points": "99999"}, "points", "At most 1000 points either way."),
        ({"half_life": "5"}, "half_life", "Only for engagement: fit counts once and for as long as it holds."),
        ({"condition-0-field": ""}, "condition", "A value has no field: choose the field or empty the value."),
        ({"condition-0-field": "score", "condition-0-op": "gte", "condition-0-value": "5"}, "condition", "score"),
        ({"condition-0-field": "budget", "condition-0-op": "gte", "condition-0-value": "much"}, "condition", "number"),
        ({"condition-0-field": "url", "condition-0-value": "x"}, "condition", "A fit rule cannot ask"),
        ({"condition-0-op": "drop table"}, "condition", "Unknown comparison"),
        ({"kind": "engagement"}, "on", "Choose at least one event that gives the points."),
    ],
)
def test_mistakes_in_a_rule_are_named(admin, signed_in, change, field, words):
    page = signed_in(admin).post("/admin/scoring/rule/add/", FORM | change)
    assert page.status_code == 200 and not Rule.objects.exists()
    assert words in " ".join(page.context["adminform"].form.errors[field])


def test_applying_the_rules_is_an_action_with_progress(admin, lead, signed_in):
    rule = Rule.objects.first()
    data = {"action": "apply", "_selected_action": [rule.pk]}
    answer = signed_in(admin).post("/admin/scoring/rule/", data, follow=True)
    assert answer.redirect_chain == [("/admin/scoring/rescoring/", 302)]
    assert list(Rescoring.objects.values_list("by", "total")) == [(admin.pk, 1)]


def test_a_rule_that_gave_points_is_not_deleted(admin, lead, signed_in):
    rule = Rule.objects.get(name="Kazan")
    assert signed_in(admin).post(f"/admin/scoring/rule/{rule.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Rule.objects.filter(pk=rule.pk).exists()


def test_limits_must_rise(admin, signed_in):
    page = signed_in(admin).post("/admin/scoring/thresholds/add/", {"warm": 50, "hot": 40, "mql": 1, "sql": 2})
    assert page.context["adminform"].form.errors == {"hot": ["Must be more than the limit before it."]}
    signed_in(admin).post("/admin/scoring/thresholds/add/", {"warm": 20, "hot": 40, "mql": 1, "sql": 2})
    assert list(Thresholds.objects.values_list("warm", "hot")) == [(20, 40)] and Rescoring.objects.count() == 1
