from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules

import crm.celery  # noqa: F401  # makes it Celery's current app in every process: the relay rings through it


class CrmConfig(AppConfig):
    """The composition root: URLs, commands and the look of the admin."""

    name = "crm"

    def ready(self):
        # Every process knows all jobs: enqueue() in a web request must name the queue, drain() must find the function.
        autodiscover_modules("tasks")
