"""What every request passes through."""

import pytest

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "address",
    [
        "/admin/core/user/?role__exact=%00",
        "/admin/core/user/?date_joined__year=99999999999",
        "/admin/autocomplete/?app_label=leads&model_name=lead&field_name=owner&term=%00",
    ],
)
def test_a_value_that_the_database_cannot_hold_is_a_bad_request(address, admin, signed_in):
    client = signed_in(admin)
    page = client.get(address, headers={"Accept": "text/html"})
    assert (page.status_code, page.templates[0].name) == (400, "400.html")
    told = client.get(address)
    assert (told.status_code, told.json()) == (400, {"error": "invalid"})


@pytest.mark.django_db(transaction=True)
def test_a_name_longer_than_any_is_no_sign_in(client):
    assert client.post("/login/", {"username": "x" * 1000, "password": "x"}).status_code == 400
