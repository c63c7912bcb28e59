import asyncio
import json
import re

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient

from crm.core import live
from crm.core.models import Heartbeat, Notice
from crm.core.notices import notify
from tests.core.loops import in_a_loop

pytestmark = [
    pytest.mark.django_db(transaction=True),
    # asyncio.run ends the thread of the test client's views without closing its connection
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


async def first_notice(response):
    async for chunk in response.streaming_content:
        text = chunk.decode()
        if "event: notice" in text:
            return text
    return None


def test_a_notice_reaches_the_open_page_in_the_readers_language(rep, colleague):
    rep.language = "ru"
    rep.save()

    async def scene():
        client = AsyncClient()
        await client.aforce_login(rep, backend="django.contrib.auth.backends.ModelBackend")
        response = await client.get("/live/")
        waiting = asyncio.create_task(first_notice(response))
        await asyncio.sleep(2 * live.PERIOD + 0.3)
        await sync_to_async(notify)(colleague, "hot", name="not for rep")
        await sync_to_async(notify)(rep, "hot", url="/leads/5/", name="Иванов", lead=5)
        return await asyncio.wait_for(waiting, 5)

    text = in_a_loop(scene())
    head, _, data = text.partition("data: ")
    got = json.loads(data.splitlines()[0])
    assert (got["href"], got["level"], got["lead"]) == ("/leads/5/", "hot", 5)
    assert "Иванов" in got["text"]
    assert f"id: {Notice.objects.get(user=rep).pk}" in head


def test_a_page_that_comes_back_gets_what_it_missed(rep):
    missed = notify(rep, "assigned", name="Anna")

    async def scene():
        client = AsyncClient()
        await client.aforce_login(rep, backend="django.contrib.auth.backends.ModelBackend")
        response = await client.get("/live/", headers={"Last-Event-ID": str(missed.pk - 1)})
        return await asyncio.wait_for(first_notice(response), 5)

    assert "New lead: Anna" in in_a_loop(scene())


def test_what_comes_between_a_page_and_its_stream_is_told(rep):
    async def scene():
        client = AsyncClient()
        await client.aforce_login(rep, backend="django.contrib.auth.backends.ModelBackend")
        page = (await client.get("/preferences/")).content.decode()
        await sync_to_async(notify)(rep, "assigned", name="Anna")
        response = await client.get(re.search(r'data-live-url="([^"]+)"', page)[1])
        return await asyncio.wait_for(first_notice(response), 5)

    notify(rep, "assigned", name="Boris")  # the page shows this one
    told = in_a_loop(scene())
    assert "New lead: Anna" in told


def test_health_says_what_is_degraded_in_words(client):
    assert client.get("/healthz").json()["degraded"] == ["relay", "beat"]
    Heartbeat.objects.create(name="relay")
    Heartbeat.objects.create(name="beat")
    answer = client.get("/healthz").json()
    assert (answer["status"], answer["degraded"], answer["dead_jobs"]) == ("ok", [], 0)
