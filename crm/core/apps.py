from axes.apps import AppConfig as AxesConfig
from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from crm.core.naming import name_columns, name_sign_ins


class CoreConfig(AppConfig):
    name = "crm.core"
    label = "core"
    verbose_name = _("People and order of work")
    default = True  # of the two here

    def ready(self):
        name_columns()


class SignInsConfig(AxesConfig):
    """The lock on the door, under a name that says what it is."""

    verbose_name = _("Sign-ins")

    def ready(self):
        super().ready()
        name_sign_ins(self)
