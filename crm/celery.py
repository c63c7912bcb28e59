"""Celery: a doorbell between the relay and the workers. The truth is the ``Job`` table; nothing here may hold state."""

import os
import signal
import sys
import warnings

from celery import Celery
from celery.platforms import SecurityWarning
from celery.signals import worker_process_init
from django.conf import settings
from kombu import Queue

from crm.boot.child import die_with_parent
from crm.boot.memory import settle

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")

QUEUES = ("live", "mail", "bulk")  # a capture or a click; letters; imports, exports and re-scoring

warnings.simplefilter("ignore", SecurityWarning)  # as root in a container; messages are JSON, never pickle

app = Celery("crm", broker=settings.BROKER_URL)
app.conf.update(
    broker_transport_options={
        "visibility_timeout": 300,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "retry_on_timeout": True,
        "health_check_interval": 10,
    },
    visibility_timeout=300,
    result_backend=None,
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_acks_on_failure_or_timeout=True,
    worker_prefetch_multiplier=1,
    worker_eta_task_limit=100,
    task_soft_time_limit=200,
    task_time_limit=240,
    worker_max_tasks_per_child=500,
    worker_max_memory_per_child=300_000,  # KiB
    worker_soft_shutdown_timeout=30.0,
    worker_enable_soft_shutdown_on_idle=True,  # with REMAP_SIGTERM=SIGQUIT in the environment
    worker_cancel_long_running_tasks_on_connection_loss=True,
    accept_content=["json"],
    task_serializer="json",
    enable_utc=True,
    timezone="UTC",
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    task_queues=[Queue(name) for name in QUEUES],
    task_default_queue="live",
    beat_schedule={"tick": {"task": "crm.tick", "schedule": 20.0, "args": [0], "options": {"expires": 20}}},
    # Or Celery closes the connection after every task, and each begins with a new backend that has planned nothing.
    CELERY_DB_REUSE_MAX=1000,
    worker_hijack_root_logger=False,  # LOGGING of the settings stands: one line a record
)
app.autodiscover_tasks()


@worker_process_init.connect
def leave_with_the_worker(**_):
    """A pool process whose worker was killed with -9 would sit on its database connection for ever."""
    if sys.platform == "linux":
        die_with_parent(signal.SIGKILL, os.getppid())


@worker_process_init.connect
def pass_by_what_is_loaded(**_):
    settle()
