"""The menu of the settings: every name breaks between words alone, and "Add" says so to whoever does not see its cross."""

import pytest

from crm.core.models import User

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

BROKEN = """root => [...document.querySelectorAll(root + ' :is(th, caption) a')].flatMap(link => {
  const text = link.firstChild
  return [...text.data.matchAll(/\\p{L}+/gu)].filter(word => {
    const range = document.createRange()
    range.setStart(text, word.index)
    range.setEnd(text, word.index + word[0].length)
    return new Set([...range.getClientRects()].map(rect => rect.top)).size > 1
  }).map(word => word[0])
})"""


@pytest.mark.parametrize("language", ["ru", "en"])
def test_no_name_of_a_table_breaks_within_a_word(language, admin, open_as):
    User.objects.filter(pk=admin.pk).update(language=language)
    page = open_as(admin, "/admin/routing/debtentry/")
    assert page.locator("#nav-sidebar th a").count() > 20
    assert page.evaluate(BROKEN, "#nav-sidebar") == []
    add = page.locator("#nav-sidebar .model-rule").get_by_role("link", name={"ru": "Добавить", "en": "Add"}[language])
    assert add.first.bounding_box()["width"] >= 24
    page.set_viewport_size({"width": 360, "height": 800})
    page.goto("/admin/")
    assert page.evaluate(BROKEN, "#content-main") == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
