"""The script for the company's own site, in a real browser: marks go into the form, visits only after consent."""

import pytest

from leads.models import PageView, Submission

from .conftest import make_source

PAGE = """<!doctype html><title>Окна</title><form action="{crm}/capture/site/" method="post" data-crm-form>
<input name="phone" value="89990000001"><button>Send</button></form>
<script src="{crm}/static/js/capture/visits.js" data-visits="{crm}/v/site/" defer></script>"""


@pytest.fixture
def shop(page, live_server):
    make_source()
    html = PAGE.format(crm=live_server.url)
    # A page of another site may not reach this machine in Chromium, so the shop stands under our own address.
    page.route("**/shop/**", lambda route: route.fulfill(body=html, content_type="text/html; charset=utf-8"))
    return page


def _kept(page):
    return page.evaluate("Object.keys(localStorage).length + document.cookie.length")


@pytest.mark.django_db(transaction=True)
def test_marks_of_the_first_page_go_with_the_form_and_nothing_is_kept_before_consent(shop):
    shop.goto("/shop/?utm_source=vk&yclid=7&other=1")
    shop.goto("/shop/contacts")
    assert (_kept(shop), PageView.objects.count()) == (0, 0)
    shop.get_by_role("button").click()
    shop.wait_for_url("**/f/site/thanks/")
    body = bytes(Submission.objects.get().body).decode()
    assert {part.split("=")[0] for part in body.split("&")} == {"phone", "utm_source", "yclid", "landing"}


@pytest.mark.django_db(transaction=True)
def test_after_consent_pages_are_noted_and_the_form_names_the_visitor(shop, live_server):
    shop.goto("/shop/a")
    with shop.expect_request("**/v/site/"):
        shop.evaluate("crmConsent(true)")
    with shop.expect_response("**/v/site/") as answer:
        shop.goto("/shop/b")
    assert answer.value.status == 204
    shop.get_by_role("button").click()
    shop.wait_for_url("**/f/site/thanks/")
    assert sorted(PageView.objects.values_list("url", flat=True)) == [f"{live_server.url}/shop/{page}" for page in "ab"]
    assert f"visitor_id={PageView.objects.first().visitor}" in bytes(Submission.objects.get().body).decode()
