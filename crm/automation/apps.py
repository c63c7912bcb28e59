from django.apps import AppConfig


class AutomationConfig(AppConfig):
    name = "crm.automation"
    label = "automation"
