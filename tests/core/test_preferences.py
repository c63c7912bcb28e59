"""What a person sets for themselves."""

import pytest

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("name", ["theme", "language"])
@pytest.mark.parametrize(
    "back", ["-1", "a\0b", "leads:list", "x:y", "//evil.test/", "https://evil.test/", "javascript:alert(1)", ""]
)
def test_whatever_a_form_says_one_comes_back_to_a_page_of_ours(name, back, rep, signed_in):
    answer = signed_in(rep).post(f"/preferences/{name}/", {name: "dark", "next": back})
    assert (answer.status_code, answer["Location"]) == (302, "/")


@pytest.mark.parametrize("back", ["/leads/?q=1", "http://testserver/leads/"])
def test_one_comes_back_to_where_one_was(back, rep, signed_in):
    assert signed_in(rep).post("/preferences/theme/", {"theme": "dark", "next": back})["Location"] == back
    rep.refresh_from_db()
    assert rep.theme == "dark"
