"""One body that brings several enquiries: each a receipt, each a card once, the body stored once."""

import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from crm.core.jobs import drain
from leads.capture import several
from leads.capture.base import JSON, Refused
from leads.capture.several import tree
from leads.models import Interaction, Lead, Person, Source, Submission
from leads.services import erasing, judging
from leads.services.ledger import ledger
from tests.leads.capture.bodies import packed
from tests.leads.capture.conftest import make_source

ANNA, BORIS = {"name": "Анна", "phone": "+79030001101"}, {"name": "Борис", "phone": "+79030001102"}
NOBODY = {"name": "Никто"}
STATES = ("lead", "merged", "spam", "rejected", "error", "waiting")


@pytest.fixture
def any_provider(funnels):
    return make_source(key="any", name="Any", adapter="mapping")


def cards():
    return sorted(Lead.objects.values_list("name", "phone"))


def rows(*fields):
    return list(Submission.objects.order_by("id").values_list(*fields))


# --- Where they stand -------------------------------------------------------------------------------------------------

ONE = [
    {"phone": "1", "items": [{"name": "Стол", "price": 5}, {"name": "Стул", "price": 2}]},
    {"contacts": [{"phone": "1"}, {"phone": "2"}], "email": "a@b.ru"},
    [{"name": "email", "value": "a@b.ru"}, {"name": "phone", "value": "1"}],
    {"data": [{"name": "email", "value": "a@b.ru"}, {"name": "phone", "value": "1"}]},
    [ANNA], {"leads": [ANNA]}, {"leads": []}, [], {}, [1, 2], "text", None, {"leads": "two"},
]  # fmt: skip
SEVERAL = [
    ([ANNA, BORIS], ["0", "1"]),
    ({"leads": [ANNA, NOBODY, 5]}, ["leads.0", "leads.1", "leads.2"]),
    ({"Заявки": [{"fields": ANNA}, {"fields": BORIS}]}, ["Заявки.0", "Заявки.1"]),
    ({"data": [ANNA, BORIS], "ok": True}, ["data.0", "data.1"]),
]


@pytest.mark.parametrize("value", ONE)
def test_one_enquiry_is_not_divided(value):
    assert several.places(value) == []


@pytest.mark.parametrize(("value", "expected"), SEVERAL)
def test_several_are_found(value, expected):
    assert several.places(value) == expected
    assert several.places_in(JSON, packed(value), "-") == []


def test_a_list_that_is_stated_counts_whatever_it_is_called():
    value = {"event": {"rows": [ANNA, BORIS]}, "items": [ANNA, BORIS]}
    assert several.places(value, "event[rows]") == ["event.rows.0", "event.rows.1"]
    assert several.places(value, "nothing.there") == []
    assert several.only(value, "event.rows.1") == {"event": {"rows": [BORIS]}, "items": [ANNA, BORIS]}
    assert several.without(value, "event.rows.0")["event"] == {"rows": [None, BORIS]}


def test_contacts_beside_the_list_are_of_nobody_in_it():
    value = {
        "email": "agency@example.com",
        "contact": {"phone": "1", "city": "Тверь"},
        "utm_source": "x",
        "leads": [ANNA],
    }
    assert several.only(value, "leads.0") == {"contact": {"city": "Тверь"}, "utm_source": "x", "leads": [ANNA]}
    assert several.alone(value, "leads.0") == {"utm_source": "x", **ANNA}


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["leads", "data", "name", "phone", "value", "a.b", ""]), inner, max_size=4
    ),
    max_leaves=15,
)  # fmt: skip


@given(value=JSONS, each=st.sampled_from(["", "leads", "data.leads", "-", "a.b", "0"]))
def test_whatever_is_divided_can_be_read_again(value, each):
    for path in several.places(value, each if each != "-" else ""):
        assert several.alone(value, path) is not None
        assert several.only(value, path)
        assert several.only(several.without(value, path), path)
    with pytest.raises(Refused):
        several.only(value, "nowhere.7")


# --- Through the door -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [[ANNA, BORIS], {"leads": [ANNA, BORIS], "utm_source": "yandex"}])
def test_an_array_becomes_as_many_cards_and_the_answer_names_every_receipt(program, post, judged, value):
    answer = post("program", json_=value)
    said = answer.json()
    assert answer.status_code == 202
    assert [one["state"] for one in said["receipts"]] == ["waiting", "waiting"]
    assert [one["receipt"] for one in said["receipts"]] == [str(number) for (number,) in rows("receipt")]
    assert said["receipt"] == said["receipts"][0]["receipt"]
    judged()
    assert cards() == [("Анна", "+79030001101"), ("Борис", "+79030001102")]
    assert [bytes(body) for (body,) in rows("body")] == [json.dumps(value).encode(), b""]
    assert {row["state"] for row in Submission.objects.values("state")} == {"lead"}
    assert ledger() == {"received": 2} | dict.fromkeys(STATES, 0) | {"lead": 2}


def test_a_part_that_is_refused_is_seen_and_stops_nobody(program, post, judged):
    said = post("program", json_=[ANNA, NOBODY, None, BORIS]).json()["receipts"]
    assert [(one["state"], one.get("error")) for one in said] == [
        ("waiting", None), ("rejected", "no_contact"), ("rejected", "no_contact"), ("waiting", None),
    ]  # fmt: skip
    judged()
    assert cards() == [("Анна", "+79030001101"), ("Борис", "+79030001102")]
    assert rows("state", "part") == [("lead", "0"), ("rejected", "1"), ("rejected", "2"), ("lead", "3")]
    assert ledger()["received"] == 4


def test_a_body_of_which_nothing_can_be_taken_is_one_refused_receipt(program, post):
    answer = post("program", json_=[NOBODY, NOBODY])
    assert (answer.status_code, answer.json()["error"]) == (422, "no_contact")
    assert rows("state", "part") == [("rejected", "")]


def test_too_many_at_once_are_refused_as_a_whole(program, post):
    answer = post("program", json_=[ANNA] * (several.MOST + 1))
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid")
    assert post("program", json_=[ANNA | {"x": n} for n in range(several.MOST)]).status_code == 202
    assert Submission.objects.filter(state="waiting").count() == several.MOST


def batch(size, wrong=()):
    return [
        {"name": f"Клиент {n}", "comment": "Нужен расчёт " * 12} | ({} if n in wrong else {"phone": f"+7903{n:07d}"})
        for n in range(size)
    ]


def statements(send):
    with CaptureQueriesContext(connection) as found:
        answer = send()
    return answer, len(found)


def test_a_thousand_at_once_of_which_three_are_wrong(program, post, judged):
    """API-25: a list that names every receipt; as many statements for a thousand as for ten."""
    post("program", json_=batch(2))  # what is read once is known
    Submission.objects.all().delete()
    _few, for_ten = statements(lambda: post("program", json_=batch(10, wrong={0})))
    Submission.objects.all().delete()
    answer, for_thousand = statements(lambda: post("program", json_=batch(1000, wrong={0, 499, 999})))
    said = answer.json()["receipts"]
    assert (answer.status_code, len(said), for_thousand) == (202, 1000, for_ten)
    assert {n: one["error"] for n, one in enumerate(said) if one["state"] != "waiting"} == dict.fromkeys(
        (0, 499, 999), "no_contact"
    )
    assert [one["receipt"] for one in said] == [str(number) for (number,) in rows("receipt")]
    assert ledger() == {"received": 1000} | dict.fromkeys(STATES, 0) | {"waiting": 997, "rejected": 3}


def test_the_body_is_read_once_for_all_its_parts(program, post, judged, monkeypatch):
    post("program", json_=batch(20))
    looks = []
    monkeypatch.setattr(several, "tree", lambda *given: looks.append(1) or tree(*given))
    judged()
    assert ({state for (state,) in rows("state")}, len(cards()), len(looks)) == ({"lead"}, 20, 1)


def test_sent_twice_no_card_is_made_twice(program, post, judged):
    headers = {"Idempotency-Key": "batch-1"}
    first, again = (post("program", json_=[ANNA, BORIS], headers=headers).json() for _n in range(2))
    assert first == again
    judged()
    post("program", json_=[ANNA, BORIS])
    judged()
    assert [state for (state,) in rows("state")] == ["lead", "lead", "merged", "merged"]
    assert len(cards()) == 2


def test_replay_of_a_part_changes_nothing_twice(program, post, judged, admin):
    post("program", json_=[ANNA, NOBODY])
    judged()
    before = Interaction.objects.count()
    for row in Submission.objects.all():
        judging.replay(row, by=admin)
        judging.replay(row, by=admin, force=True)
    drain()
    assert (cards(), rows("state"), Interaction.objects.count()) == (
        [("Анна", "+79030001101")], [("lead",), ("rejected",)], before,
    )  # fmt: skip


def test_a_receipt_that_turns_out_to_hold_several_is_divided_when_read_again(any_provider, post, judged, admin):
    value = {"batch": {"people": [{"p": "8 903 000-11-01", "n": "Анна"}, {"p": "8 903 000-11-02", "n": "Борис"}]}}
    post("any", json_=value)
    judged()
    assert rows("state", "reason") == [("rejected", "no_contact")]
    mapping = {"batch.people.0.p": "phone", "batch.people.0.n": "name"}
    Source.objects.update(settings={"each": "batch.people", "mapping": mapping})
    judging.replay(Submission.objects.get(), by=admin)
    drain()
    assert cards() == [("Анна", "+79030001101"), ("Борис", "+79030001102")]
    assert rows("state", "part") == [("lead", "batch.people.0"), ("lead", "batch.people.1")]
    post("any", json_=value)
    drain()
    assert [state for (state,) in rows("state")] == ["lead", "lead", "merged", "merged"]


def test_the_list_is_picked_on_the_page(any_provider, post, judged, signed_in, admin):
    post("any", json_={"batch": {"people": [{"p": "8 903 000-11-01"}, {"p": "8 903 000-11-02"}]}})
    page = signed_in(admin).get("/sources/any/mapping/")
    assert [name for name, _label in page.context["form"].fields["each"].choices] == ["", "-", "batch.people"]
    data = {"receipt": Submission.objects.get().pk, "each": "batch.people", "t0": "phone"}
    shown = signed_in(admin).post("/sources/any/mapping/", data | {"preview": "1"}).context["preview"]
    assert (shown["count"], [value for _kind, value in shown["contacts"]]) == (2, ["+79030001101"])
    signed_in(admin).post("/sources/any/mapping/", data | {"save": "1"})
    assert Source.objects.get().settings == {"each": "batch.people", "mapping": {"batch.people.0.p": "phone"}}
    judged()
    assert [state for (state,) in rows("state")] == ["lead", "lead"]


def test_the_receipts_page_shows_a_part_with_its_kin_and_finds_it_by_its_text(program, post, judged, signed_in, admin):
    post("program", json_=[ANNA, BORIS])
    judged()
    first, second = Submission.objects.order_by("id")
    page = signed_in(admin).get(f"/receipts/{second.pk}/")
    assert [one.pk for one in page.context["family"]] == [first.pk, second.pk]
    assert json.loads(page.context["raw"]) == [BORIS]
    found = signed_in(admin).get("/receipts/", {"q": "79030001102"}).context["rows"]
    assert {row.pk for row in found} == {first.pk, second.pk}


def test_one_erased_person_leaves_the_others_of_the_body(program, post, judged, admin):
    post("program", json_=[ANNA, BORIS])
    judged()
    erasing.erase(Person.objects.get(leads__name="Анна"), by=admin)
    whole = Submission.objects.get(part="0")
    assert json.loads(bytes(whole.body)) == [None, BORIS]
    assert whole.parsed is None
    assert judging.read(Submission.objects.get(part="1")).fields["name"] == "Борис"
    post("program", json_=[ANNA, BORIS])
    judged()
    assert rows("state", "reason")[2:] == [("rejected", "erased"), ("merged", "")]
