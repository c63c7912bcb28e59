"""Pages of the settings against forms that no page of theirs would send."""

import pytest

from deals.models import Product
from leads.models import Extension, Origin

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("key", ["x", "a\0b", "-1", "9" * 30, "(a+)+$", "١x"])
@pytest.mark.parametrize(("page", "field"), [("origin", "same_as"), ("extension", "user")])
def test_a_key_that_is_none_is_refused_in_the_form(page, field, key, admin, signed_in):
    answer = signed_in(admin).post(f"/admin/leads/{page}/add/", {"name": "x", "number": "1", field: key})
    assert (answer.status_code, list(answer.context["adminform"].form.errors).count(field)) == (200, 1)
    assert (Origin.objects.filter(name="x").count(), Extension.objects.count()) == (0, 0)


def test_the_searched_field_keeps_who_was_chosen(admin, signed_in):
    origin = Origin.objects.create(name="Old")
    page = signed_in(admin).post("/admin/leads/origin/add/", {"name": "", "same_as": origin.pk}).content.decode()
    assert f'<option value="{origin.pk}" selected>Old' in page


def test_a_product_has_no_price_below_nothing(admin, signed_in):
    client = signed_in(admin)
    said = {"name": "x", "unit": "pc", "is_active": "on"}
    assert "price" in client.post("/admin/deals/product/add/", said | {"price": "-1"}).context["adminform"].form.errors
    assert client.post("/admin/deals/product/add/", said | {"price": "0"}).status_code == 302
    assert list(Product.objects.values_list("name", "price")) == [("x", 0)]
