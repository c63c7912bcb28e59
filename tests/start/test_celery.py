"""The settings under which work is neither lost nor held up; each was found by an experiment."""

import django.apps
import pytest
from celery import current_app

from crm.celery import QUEUES, app

WANTED = {
    "broker_transport_options": {
        "visibility_timeout": 300,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "retry_on_timeout": True,
        "health_check_interval": 10,
    },
    "visibility_timeout": 300,
    "result_backend": None,
    "task_ignore_result": True,
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_acks_on_failure_or_timeout": True,
    "worker_prefetch_multiplier": 1,
    "worker_eta_task_limit": 100,
    "task_soft_time_limit": 200,
    "task_time_limit": 240,
    "worker_max_tasks_per_child": 500,
    "worker_max_memory_per_child": 300_000,
    "worker_soft_shutdown_timeout": 30.0,
    "worker_enable_soft_shutdown_on_idle": True,
    "worker_cancel_long_running_tasks_on_connection_loss": True,
    "accept_content": ["json"],
    "task_serializer": "json",
    "enable_utc": True,
    "timezone": "UTC",
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
}


@pytest.mark.parametrize("name", WANTED)
def test_a_setting_is_as_measured(name):
    assert app.conf[name] == WANTED[name]


def test_a_slow_task_ends_before_its_message_is_given_to_another():
    assert app.conf.task_soft_time_limit < app.conf.task_time_limit < app.conf.visibility_timeout


def test_the_queues_are_live_mail_and_bulk():
    assert [queue.name for queue in app.conf.task_queues] == list(QUEUES) == ["live", "mail", "bulk"]


def test_every_process_of_the_product_rings_through_this_app():
    assert current_app.main == "crm"
    assert django.apps.apps.is_installed("crm")
