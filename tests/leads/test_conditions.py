"""The one language of conditions."""

from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import override
from hypothesis import given
from hypothesis import strategies as st

from leads.conditions import FIELDS, OF_SCORE, OPS, all_in_words, check, facts_of, holds, uses, validate
from leads.forms.conditions import ConditionField
from tests.factories import LeadFactory


def one(field, op, value=None):
    return {"field": field, "op": op, "value": value}


@pytest.mark.parametrize(
    "have, op, want, expected",
    [
        ("Орёл", "eq", "орел ", True),
        ("Орёл", "ne", "Орел", False),
        ("Орёл", "in", ["Тула", "орёл"], True),
        ("", "in", ["Тула"], False),
        (None, "not_in", ["Тула"], True),
        ("Генеральный директор", "contains", ["ceo", "директор"], True),
        ("", "contains", ["x"], False),
        ("  ", "filled", None, True),
        ("", "filled", None, False),
        (None, "empty", None, True),
        ([], "empty", None, True),
    ],
)
def test_words_compare_without_case_or_yo(have, op, want, expected):
    assert holds(one("city", op, want), {"city": have}) is expected


@pytest.mark.parametrize(
    "have, op, want, expected",
    [
        (Decimal("100000.00"), "eq", "100000", True),
        (Decimal("100000.00"), "in", ["5", "1e5"], True),
        (Decimal("99999.99"), "gte", "100000", False),
        (100000, "gte", "100000", True),
        (None, "lte", "5", False),
        (0, "filled", None, True),
        ("many", "gte", "5", False),
    ],
)
def test_numbers_compare_as_numbers(have, op, want, expected):
    assert holds(one("budget", op, want), {"budget": have}) is expected


def test_any_of_the_tags_counts():
    assert holds(one("tags", "in", ["vip"]), {"tags": ["VIP", "new"]})
    assert not holds(one("tags", "not_in", ["vip"]), {"tags": ["VIP", "new"]})


def test_a_condition_tells_which_test_failed_and_what_is_there_instead():
    outcome = check([one("city", "filled"), one("budget", "gte", 5)], {"city": "Уфа", "budget": 4})
    assert (outcome.holds, outcome.failed, outcome.have) == (False, one("budget", "gte", 5), 4)
    assert check([], {}).holds


@pytest.mark.parametrize(
    "condition",
    [
        "city = Kazan",
        None,
        [one("city", "filled")] * 21,
        ["city"],
        [{"op": "eq"}],
        [one("pk", "eq", 1)],
        [one(["city"], "eq", 1)],
        [one("city", "like", "x")],
        [one("city", ["eq"], "x")],
        [one("city", "eq", "")],
        [one("city", "eq", "  ")],
        [one("city", "in", [])],
        [one("city", "eq", {"a": 1})],
        [one("city", "in", [["x"]])],
        [one("budget", "gte", "much")],
        [one("budget", "gte", "NaN")],
        [one("budget", "gte", "Infinity")],
        [one("url", "contains", "/prices")],
    ],
)
def test_what_cannot_be_evaluated_is_refused(condition):
    with pytest.raises(ValidationError):
        validate(condition)


def test_events_own_fields_and_forbidden_ones():
    validate([one("url", "contains", "/prices")], event=True)
    validate([one("custom.contract", "eq", "7")])
    with pytest.raises(ValidationError):
        validate([one("score", "gte", 5)], without=OF_SCORE)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["field", "op", "value"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(condition=JSON | st.lists(st.builds(one, st.sampled_from([*FIELDS, "x"]), st.sampled_from([*OPS, "?"]), JSON)))
def test_whatever_passes_the_check_can_be_evaluated_and_worded(condition):
    try:
        validate(condition)
    except ValidationError:
        return
    assert isinstance(check(condition, {"city": "Уфа", "tags": ["a"], "budget": Decimal(5)}).why, str)


@pytest.mark.django_db
def test_own_fields_cannot_pass_for_the_leads():
    facts = facts_of(LeadFactory(city="Уфа", custom={"city": "Казань", "contract": 7}))
    assert (facts["city"], facts["custom.city"], facts["custom.contract"]) == ("Уфа", "Казань", 7)
    assert set(FIELDS) <= set(facts)


def test_what_costs_a_query_is_looked_for():
    assert uses([[one("city", "filled")], [one("enquiries", "gte", 2)]], "enquiries")
    assert not uses([[], [one("city", "filled")]], "enquiries")


def test_the_editor_gives_back_what_it_was_given():
    field = ConditionField()
    condition = [one("city", "in", ["Казань", "Уфа"]), {"field": "need", "op": "filled"}, one("budget", "gte", "5")]
    rows = field.widget.get_context("condition", condition, {})["widget"]["rows"]
    data = QueryDict(mutable=True)
    for row in rows:
        data[f"{row['name']}-field"] = next((key for key, _label, chosen in row["fields"] if chosen), "")
        data[f"{row['name']}-op"] = next((key for key, _label, chosen in row["ops"] if chosen), "eq")
        data[f"{row['name']}-value"] = row["value"]
    assert field.clean(field.widget.value_from_datadict(data, {}, "condition")) == condition


@override("ru")
def test_known_values_are_read_and_written_in_words():
    field = ConditionField()
    data = QueryDict(mutable=True)
    data.update({"c-0-field": "band", "c-0-op": "in", "c-0-value": "Горячий, тёплый"})
    stored = field.clean(field.widget.value_from_datadict(data, {}, "c"))
    assert stored == [one("band", "in", ["hot", "warm"])]
    assert all_in_words(stored) == "готовность: горячий, тёплый"
    assert 'value="горячий, тёплый"' in field.widget.render("c", stored)
    data["c-0-value"] = "кипящий"
    with pytest.raises(ValidationError) as refused:
        field.clean(field.widget.value_from_datadict(data, {}, "c"))
    assert refused.value.messages == ["Значения «кипящий» здесь нет; есть: холодный, тёплый, горячий."]
