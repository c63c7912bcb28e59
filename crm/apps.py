from django.apps import AppConfig

import crm.celery  # noqa: F401  # makes it Celery's current app in every process: the relay rings through it


class CrmConfig(AppConfig):
    """The composition root: URLs, commands and the look of the admin."""

    name = "crm"
