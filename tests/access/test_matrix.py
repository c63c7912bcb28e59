import pytest

from deals.models import DealQuerySet
from leads.models import Lead
from leads.models.lead import LeadQuerySet
from leads.models.tasks import TaskQuerySet
from tests.access import matrix, world
from tests.access.walk import walk

pytestmark = pytest.mark.django_db


@pytest.fixture
def places(rep, colleague, head, outsider, marketer, admin, funnels):
    return world.build(rep, colleague, head, outsider, marketer, admin)


def test_every_pattern_is_classified():
    code = {pattern.name for pattern in walk() if not pattern.is_admin}
    assert (code - set(matrix.REGISTRY), set(matrix.REGISTRY) - code) == (set(), set())


def test_public_patterns_are_listed_and_no_others():
    code = {pattern.name for pattern in walk() if pattern.public and not pattern.is_admin}
    listed = {name for name, entry in matrix.REGISTRY.items() if entry.get("public")}
    assert code == listed


AREAS = sorted({pattern.name.partition(":")[0] for pattern in walk() if not pattern.is_admin})


@pytest.mark.parametrize("area", AREAS)
def test_each_role_gets_what_the_registry_says_and_nothing_else(places, area):
    patterns = [
        pattern
        for pattern in walk()
        if not pattern.is_admin
        and pattern.name.partition(":")[0] == area
        and not matrix.REGISTRY[pattern.name].get("elsewhere")
    ]
    found = matrix.violations(places, patterns)
    assert not found, "\n" + "\n".join(found)


def test_the_admin_is_for_administrators(places):
    refused = []
    for pattern in walk():
        if not pattern.is_admin or pattern.name in {"admin:login", "admin:logout", "admin:jsi18n"}:
            continue
        url = "/" + pattern.route.replace("<path:object_id>", "1").replace("<int:content_type_id>", "1")
        url = url.replace("<path:object_id>", "1").replace("<id>", "1").replace("(?P<app_label>auth)", "auth")
        for actor in ("anonymous", "rep", "head", "marketer"):
            for method in ("GET", "POST"):
                status, body, written = matrix.send(places, actor, method, url, {})
                if status not in {401, 403, 404} or written or "CANARY" in body:
                    refused.append((actor, method, url, status, written))
    assert refused == []


def everything(self, user):
    return self


def all_shares(self, user):
    return [(self, None)]


MUTANTS = {
    "leads without visible_to": (LeadQuerySet, "visible_to", everything, "leads:card"),
    "editable_by without visible_to": (LeadQuerySet, "editable_by", everything, "leads:note"),
    "marketers edit": (LeadQuerySet, "editable_by", LeadQuerySet.visible_to, "leads:reject"),
    "deals without visible_to": (DealQuerySet, "visible_to", everything, "deals:card"),
    "deals without editable_by": (DealQuerySet, "editable_by", everything, "deals:win"),
    "tasks without editable_by": (TaskQuerySet, "editable_by", everything, "leads:task_done"),
    "the list shows all": (LeadQuerySet, "shares", all_shares, "leads:list"),
    "the deals board shows all": (DealQuerySet, "shares", all_shares, "deals:board"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_the_matrix_catches_seeded_mutants(places, monkeypatch, name):
    owner, method, mutant, pattern_name = MUTANTS[name]
    pattern = next(pattern for pattern in walk() if pattern.name == pattern_name)
    assert matrix.violations(places, [pattern]) == []
    monkeypatch.setattr(owner, method, mutant)
    assert matrix.violations(places, [pattern]) != []
    assert Lead.objects.count() == 4
