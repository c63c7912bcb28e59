"""The set-up page of each exchange: its guide with the address, its settings, its test."""

import pytest

from leads.models import Submission
from tests.leads.capture.telephony import exchange


@pytest.mark.parametrize("adapter", ["mango", "zadarma", "uis", "twilio", "asterisk"])
def test_the_guide_says_what_to_paste_where_and_the_test_is_taken(funnels, admin, signed_in, adapter):
    exchange(adapter, secret="S")
    client = signed_in(admin)
    page = client.get(f"/sources/{adapter}/").content.decode()
    assert f"/capture/{adapter}/" in page and "/admin/leads/extension/" in page and '<ol class="steps-list">' in page
    assert client.get(f"/sources/{adapter}/edit/").status_code == 200
    client.post(f"/sources/{adapter}/test/")
    assert Submission.objects.get().state in {"waiting", "rejected"}
