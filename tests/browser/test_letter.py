"""A client's letter on the card: what would act in it does not, what would be loaded from elsewhere is not."""

import re

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone
from playwright.sync_api import expect

from leads.capture.letter_html import safe
from leads.models import IncomingLetter, Kind, LetterFile
from leads.services.timeline import record
from tests.factories import LeadFactory, SourceFactory

pytestmark = pytest.mark.django_db(transaction=True)

EVIL = """<p id="words">Смотрите <b>смету</b></p>
<script>top.evil = 1</script><img src=x onerror="top.evil = 2"><svg onload="top.evil = 3"></svg><a href="javascript:top.evil=4">a</a>
<iframe srcdoc="<script>top.evil = 5</script>"></iframe><form action="https://evil.example/"><button>Go</button></form>
<base href="https://evil.example/"><link rel="stylesheet" href="https://evil.example/x.css"><meta http-equiv="refresh" content="0;url=https://evil.example">
<math><mtext><table><mglyph><style><img src=x onerror="top.evil = 6"></style></mglyph></table></mtext></math>
<img src="https://track.example/pixel.gif"><img src="cid:logo"><div style="background:url(https://track.example/b.gif)">x</div>"""
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc000000301010018dd8db00000000049454e44ae426082"
)


@pytest.fixture
def letter(rep, funnels):
    lead = LeadFactory(owner=rep, name="Пётр Иванов", email="petr@romashka.ru")
    row = IncomingLetter.objects.create(
        key="k", source=SourceFactory(), lead=lead, person=lead.person, sort="human", subject="Смета", text="Смотрите смету", sender="petr@romashka.ru",
        sender_name="Пётр Иванов", recipients=["sales@company.ru"], html=safe(EVIL), rest="-- \nПётр", at=timezone.now(), is_claimed=True,
    )  # fmt: skip
    logo = LetterFile(letter=row, position=0, name="logo.png", cid="logo", state="kept", size=len(PNG))
    logo.file.save("x", ContentFile(PNG))
    page = LetterFile(letter=row, position=1, name="page.html", mime="text/html", state="kept", size=30)
    page.file.save("x", ContentFile(b"<script>top.evil=7</script>"))
    record(lead, Kind.EMAIL_IN, text=row.text, letter=row.pk, subject=row.subject, files=2, claimed=True)
    return row


def test_nothing_acts_and_nothing_is_loaded_from_elsewhere(open_as, rep, letter, live_server, tmp_path):
    page = open_as(rep, f"/leads/{letter.lead_id}/")
    asked = []
    page.context.route(
        "**/*",
        lambda route: (
            asked.append(route.request.url),
            route.continue_() if route.request.url.startswith(live_server.url) else route.abort(),
        )[1],
    )
    page.click(f'a[href="/letters/{letter.pk}/"]')
    frame = page.frame_locator("iframe.letter-frame")
    frame.locator("b").wait_for()
    expect(frame.locator("b")).to_have_text("смету")
    page.wait_for_timeout(500)
    assert page.evaluate("window.evil") is None
    assert [url for url in asked if not url.startswith(live_server.url)] == []
    assert frame.locator("body").locator("form, script, iframe, svg, style, link, base").count() == 0
    expect(frame.locator('img[src^="data:image/png"]')).to_have_count(1)
    page.screenshot(path=str(tmp_path / "letter.png"))  # looked at by people
    page.click('a[href$="pictures=1"]')
    expect(page.locator("iframe.letter-frame")).to_have_attribute("src", re.compile("pictures=1"))
    page.wait_for_timeout(500)
    assert [url for url in asked if not url.startswith(live_server.url)] == ["https://track.example/pixel.gif"]
    with page.expect_download() as download:
        page.click("text=page.html")
    assert download.value.suggested_filename == "page.html"


def test_files_are_only_downloaded(client, rep, outsider, letter):
    file = letter.files.get(position=1)
    client.force_login(rep)
    answer = client.get(f"/letters/files/{file.pk}/")
    assert (answer["Content-Type"], answer["X-Content-Type-Options"]) == ("application/octet-stream", "nosniff")
    assert (
        answer["Content-Disposition"] == 'attachment; filename="page.html"'
        and "sandbox" in answer["Content-Security-Policy"]
    )
    answer.close()
    client.force_login(outsider)
    for path in (f"/letters/files/{file.pk}/", f"/letters/{letter.pk}/", f"/letters/{letter.pk}/body/"):
        assert client.get(path).status_code == 404
