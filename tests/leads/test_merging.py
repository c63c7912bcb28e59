"""Two cards become one and two again: nothing is lost, what came since goes where it came from."""

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from crm.core.jobs import drain
from crm.core.models import Reason
from deals.models import Deal
from leads.identity import Known
from leads.models import (
    Call,
    Consent,
    Identity,
    Interaction,
    Lead,
    Merge,
    Message,
    PageView,
    Person,
    StageMove,
    Submission,
    Task,
    Touch,
)
from leads.services import intake, merging, tasks, unmerging
from leads.services.funnel import reject
from leads.services.timeline import record
from scoring.models import Evidence
from tests.factories import DealFactory, LeadFactory, PersonFactory, SourceFactory, SubmissionFactory

pytestmark = pytest.mark.django_db
TABLES = (Person, Lead, Identity, Task, Message, Touch, Consent, Call, Submission, StageMove, PageView, Deal, Evidence)


def business():
    """Every table as it stands; the merge's own rows left out."""
    found = {model.__name__: sorted(map(str, model._base_manager.values())) for model in TABLES}
    rows = Interaction.objects.exclude(kind__in=["merged", "unmerged"])
    return found | {"Interaction": sorted(map(str, rows.values()))}


def grown(person, owner, name, leads, source):
    """A person with a life: enquiries, tasks, letters, calls."""
    for number, (open_now, extras) in enumerate(leads):
        lead = LeadFactory(person=person, owner=owner, phone="", email="", name=name, city="Москва" if number else "")
        submission = SubmissionFactory(source=source, person=person, lead=lead, state="lead")
        Touch.objects.create(person=person, lead=lead, submission=submission)
        record(lead, "note", by=owner, text=f"{name} {number}")
        if extras:
            tasks.set_task(lead, title="call", due_at=timezone.now() + timedelta(days=1), assignee=owner, by=owner)
            Call.objects.create(source=source, external_id=f"{name}{number}", person=person, lead=lead)
            Message.objects.create(kind="letter", lead=lead, person=person, sender="a", to="b", subject="s", text="t")
            DealFactory(person=person, owner=owner, lead=lead)
        if not open_now:
            reject(lead, Reason.objects.get_or_create(kind="lead", name="No")[0], by=owner)
    return person


lives = st.lists(st.tuples(st.booleans(), st.booleans()), max_size=3)
fields = st.dictionaries(
    st.sampled_from(["person.name", "person.city", "lead.city", "lead.name", "lead.phone"]),
    st.sampled_from(["own", "other"]),
)


@settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(lives, lives, fields)
def test_merged_and_undone_everything_is_as_before(funnels, admin, rep, one_life, other_life, picks):
    with transaction.atomic():
        source = SourceFactory()
        one, other = PersonFactory(name="Анна"), PersonFactory(name="Аня", city="Пермь")
        Identity.objects.create(person=one, kind="phone", value="+79160000001")
        Identity.objects.create(person=other, kind="phone", value="+79160000002")
        grown(one, rep, "one", one_life, source)
        grown(other, rep, "other", other_life, source)
        before = business()
        merge = merging.merge(one, other, picks, by=admin)
        assert not Lead.objects.filter(person=other).exists()
        assert not Identity.objects.filter(person=other).exists()
        unmerging.undo(merge, by=admin)
        after = business()
        assert {name: rows for name, rows in after.items() if rows != before[name]} == {}
        transaction.set_rollback(True)


@pytest.fixture
def pair(funnels, rep):
    one = LeadFactory(owner=rep, name="Анна Смирнова", phone="+79160000001", email="anna@example.test", city="")
    other = LeadFactory(owner=rep, name="Аня", phone="+79160000002", email="", city="Пермь")
    return one, other


def test_the_survivor_has_all_and_the_other_is_a_duplicate(pair, rep):
    one, other = pair
    record(other, "note", by=rep, text="of the other")
    deal = DealFactory(person=other.person, owner=rep)
    merge = merging.merge(one.person, other.person, {"lead.name": "other"}, by=rep)
    deal.refresh_from_db()
    assert deal.person == one.person
    one.refresh_from_db()
    other.refresh_from_db()
    assert (one.name, one.city, one.phone) == ("Аня", "Пермь", "+79160000001")
    assert (other.status, other.merged_into, other.person) == ("rejected", one, one.person)
    assert set(one.person.identities.values_list("value", flat=True)) == {
        "+79160000001",
        "+79160000002",
        "anna@example.test",
    }
    assert Interaction.objects.filter(lead=one, text="of the other").exists()
    assert (merge.lead, merge.other_lead) == (one, other)
    assert intake.match([Known("phone", "+79160000002")]) == one.person


def test_what_came_since_goes_to_whom_it_came_from(pair, rep):
    one, other = pair
    merge = merging.merge(one.person, other.person, {}, by=rep)
    source = SourceFactory()

    def asks(number, text):
        row = SubmissionFactory(source=source, parsed={"identities": [{"kind": "phone", "value": number}]})
        signs = [Known("phone", number)]
        lead, _state = intake.open_lead(fields={"need": text}, identities=signs, source=source, submission=row)
        Submission.objects.filter(pk=row.pk).update(state="merged", lead=lead, person=lead.person)
        return lead

    assert {asks("+79160000002", "of the other").pk, asks("+79160000001", "own").pk} == {one.pk}
    Call.objects.create(source=source, external_id="c", person=one.person, lead=one, client="+79160000002")
    record(one, "note", by=rep, text="a note since")
    one.city = "Казань"
    Lead.objects.filter(pk=one.pk).update(city="Казань")
    unmerging.undo(merge, by=rep)
    one.refresh_from_db()
    other.refresh_from_db()
    assert (other.status, other.merged_into, one.city, other.city) == ("open", None, "Казань", "Пермь")
    assert list(other.interactions.filter(kind="recaptured").values_list("text", flat=True)) == ["of the other"]
    assert list(one.interactions.filter(kind__in=["recaptured", "note"]).order_by("id").values_list("text", flat=True)) == [
        "own", "a note since",
    ]  # fmt: skip
    assert Call.objects.get().lead == other
    assert Submission.objects.filter(person=other.person).count() == 1
    assert intake.match([Known("phone", "+79160000002")]) == other.person


def test_a_client_who_came_back_after_the_merge_takes_the_new_lead_along(pair, rep):
    one, other = pair
    for lead in pair:
        reject(lead, Reason.objects.get_or_create(kind="lead", name="No")[0], by=rep)
    merge = merging.merge(one.person, other.person, {}, by=rep)
    row = SubmissionFactory(parsed={"identities": [{"kind": "phone", "value": "+79160000002"}]})
    lead, _state = intake.open_lead(
        fields={}, identities=[Known("phone", "+79160000002")], source=row.source, submission=row
    )
    Submission.objects.filter(pk=row.pk).update(lead=lead, person=lead.person)
    assert lead.person == one.person
    unmerging.undo(merge, by=rep)
    lead.refresh_from_db()
    assert lead.person == other.person
    assert set(lead.interactions.values_list("person", flat=True)) == {other.person_id}


def test_scores_follow_both(pair, rep):
    one, other = pair
    drain()
    merge = merging.merge(one.person, other.person, {}, by=rep)
    drain()
    unmerging.undo(merge, by=rep)
    drain()
    for lead in pair:
        lead.refresh_from_db()
        assert lead.score == sum(Evidence.objects.filter(lead=lead).values_list("points", flat=True))


def test_what_cannot_be_merged_says_why(pair, rep, outsider, admin):
    one, other = pair
    with pytest.raises(ValidationError):
        merging.merge(one.person, one.person, {}, by=rep)
    theirs = LeadFactory(owner=outsider)
    with pytest.raises(PermissionDenied):
        merging.merge(one.person, theirs.person, {}, by=rep)
    first = merging.merge(one.person, other.person, {}, by=rep)
    with pytest.raises(ValidationError):
        merging.merge(theirs.person, other.person, {}, by=admin)
    second = merging.merge(theirs.person, one.person, {}, by=admin)
    with pytest.raises(ValidationError):
        unmerging.undo(first, by=admin)
    unmerging.undo(second, by=admin)
    unmerging.undo(first, by=admin)
    assert Merge.objects.filter(undone_at=None).count() == 0
