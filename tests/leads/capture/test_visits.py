"""Page views: kept, linked after a form is sent, on the timeline once in half an hour; they merge nobody."""

import json
import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from leads.models import Identity, Interaction, Lead, PageView

VISITOR = str(uuid.UUID(int=7))


@pytest.fixture
def see(client):
    def send(url="https://shop.test/a", visitor=VISITOR, key="site", **headers):
        body = json.dumps({"v": visitor, "u": url, "t": "Окна", "r": ""})
        return client.post(f"/v/{key}/", body, content_type="text/plain;charset=UTF-8", **headers)

    return send


def test_views_are_kept_and_become_the_persons_when_a_form_is_sent(source, see, post, judged):
    assert see().status_code == 204
    assert list(PageView.objects.values_list("url", "title", "person")) == [("https://shop.test/a", "Окна", None)]
    post("site", {"phone": "89990000001", "visitor_id": VISITOR})
    judged()
    lead = Lead.objects.get()
    assert list(PageView.objects.values_list("person", flat=True)) == [lead.person_id]
    for url in ("https://shop.test/b", "https://shop.test/b#part", "https://shop.test/c"):
        see(url)
    rows = Interaction.objects.filter(lead=lead, kind="page_view").order_by("id")
    assert [row.details["url"] for row in rows] == ["https://shop.test/b", "https://shop.test/c"]
    PageView.objects.update(at=timezone.now() - timedelta(minutes=31))
    see("https://shop.test/b")
    assert rows.all().count() == 3


def test_one_computer_of_two_people_merges_nobody(source, see, post, judged):
    for n in (1, 2):
        post("site", {"phone": f"8999000000{n}", "visitor_id": VISITOR})
    judged()
    one, two = Lead.objects.order_by("id")
    assert one.person_id != two.person_id
    assert list(Identity.objects.filter(kind="visitor").values_list("person", flat=True)) == [two.person_id]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"v": "x", "u": "https://a.test"}', b'{"v": 1, "u": []}',
                                  b'{"v": "%s", "u": "javascript:alert(1)"}' % VISITOR.encode(),
                                  b'{"v": "%s", "u": "http://[::1"}' % VISITOR.encode()])  # fmt: skip
def test_what_is_no_page_view_is_400(body, source, client):
    assert client.post("/v/site/", body, content_type="text/plain").status_code == 400
    assert PageView.objects.count() == 0


def test_views_from_other_sites_of_closed_sources_and_too_many_are_not_kept(source, see):
    source.settings = {"origins": ["shop.test"], "visits_per_minute": 2}
    source.save()
    assert see(HTTP_ORIGIN="https://evil.test").status_code == 403
    assert see(HTTP_ORIGIN="https://shop.test").status_code == 204
    assert see().status_code == 429
    assert see(key="nobody").status_code == 404
    assert PageView.objects.count() == 1
