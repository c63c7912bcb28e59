from django.apps import AppConfig


class CrmConfig(AppConfig):
    """The composition root: URLs, commands and the look of the admin."""

    name = "crm"
