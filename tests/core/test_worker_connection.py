"""A worker keeps its connection from job to job: each new one would plan every statement anew."""

from types import SimpleNamespace

import psycopg
import pytest
from celery.fixups.django import DjangoWorkerFixup
from django.db import connection

from crm.celery import app
from crm.core import jobs

pytestmark = pytest.mark.django_db(transaction=True)
TASK = SimpleNamespace(request=SimpleNamespace(is_eager=False))


def backend():
    with connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        return cursor.fetchone()[0]


def test_celery_closes_no_connection_between_two_jobs():
    between, before = DjangoWorkerFixup(app), backend()
    for _n in range(20):
        between.on_task_prerun(TASK)
        between.on_task_postrun(TASK)
    assert backend() == before


def test_a_worker_leaves_a_connection_whose_server_has_gone(monkeypatch):
    monkeypatch.setattr(jobs, "_signed", {})
    before = backend()
    options = {name: connection.settings_dict[name.upper()] for name in ("host", "user")}
    with psycopg.connect(dbname=connection.settings_dict["NAME"], autocommit=True, **options) as other:
        other.execute("select pg_terminate_backend(%s, 5000)", [before])
    jobs._sign("live")
    assert backend() != before
