"""UI-14: two merges of the same cards at the same instant: one comes about, the other is told; nothing is lost."""

import threading

import pytest
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from crm.core.jobs import drain
from leads.models import Identity, Interaction, Lead, Merge, Person
from leads.services.timeline import record
from nurturing.models import Enrolment, Sequence
from tests.factories import LeadFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def leads(funnels, rep):
    """Three cards of one human being, each with a note and a running sequence of the same name."""
    sequence = Sequence.objects.create(name="Прогрев", is_active=True)
    found = []
    for number in range(3):
        lead = LeadFactory(owner=rep, name=f"Анна {number}", phone=f"+7916000000{number}")
        Identity.objects.get_or_create(person=lead.person, kind="phone", value=lead.phone)
        record(lead, "note", by=rep, text=f"note {number}")
        Enrolment.objects.create(lead=lead, sequence=sequence)
        found.append(lead)
    return found


def at_once(user, *pairs):
    """[(status, words)] of merges posted while somebody holds all the cards: they go off together."""
    gate, answers = threading.Barrier(len(pairs) + 1), []

    def merge(person, other):
        client = Client()
        client.force_login(user)
        gate.wait()
        answer = client.post(reverse("leads:merge", args=[person.pk, other.pk]), {}, follow=False)
        answers.append((answer.status_code, answer.content.decode()))
        connection.close()

    threads = [threading.Thread(target=merge, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    with transaction.atomic():
        list(Person.objects.select_for_update().order_by("pk"))
        gate.wait()
        threads[0].join(1)  # by then all of them wait for the cards
    for thread in threads:
        thread.join()
    return sorted(answers)


@pytest.mark.parametrize("turned", [False, True], ids=["twice", "both ways"])
def test_two_merges_of_the_same_two_are_one(turned, leads, admin):
    one, other = leads[0].person, leads[1].person
    events = Interaction.objects.filter(kind="note").count()
    (done, _words), (refused, words) = at_once(admin, (one, other), (other, one) if turned else (one, other))
    assert (done, refused) == (302, 409)
    assert "merged already" in words or "уже объединена" in words
    drain()
    merge = Merge.objects.get()
    assert {merge.person_id, merge.other_id} == {one.pk, other.pk}
    assert Lead.objects.filter(person=merge.person_id, status="open").count() == 1
    assert set(Identity.objects.filter(person=merge.person_id, kind="phone").values_list("value", flat=True)) == {
        "+79160000000", "+79160000001",
    }  # fmt: skip
    assert Interaction.objects.filter(kind="note", lead__person=merge.person_id).count() == events - 1  # of the third
    assert Enrolment.objects.filter(lead__person=merge.person_id, state="running").count() == 1


def test_a_chain_of_merges_ends_with_every_card_in_one_place(leads, admin):
    """A with B while B goes into C: whoever is second is told, or B was still there to be merged."""
    a, b, c = (lead.person for lead in leads)
    answers = at_once(admin, (a, b), (b, c))
    statuses = [status for status, _words in answers]
    assert statuses in ([302, 302], [302, 409])
    kept = Person.objects.filter(merged_into=None, pk__in=[a.pk, b.pk, c.pk])
    assert kept.count() == 3 - statuses.count(302)
    assert Lead.objects.filter(status="open").count() == kept.count()
    assert not Identity.objects.exclude(person__in=kept).exists()
    assert Interaction.objects.filter(kind="note", lead__person__in=kept).count() == 3


def test_a_card_with_itself_is_refused(leads, admin):
    person = leads[0].person
    ((status, _words),) = at_once(admin, (person, person))
    assert (status, Merge.objects.count()) == (409, 0)
