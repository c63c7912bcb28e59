"""``manage.py prepare``: the database brought up to date, with everything a first day of work needs."""

from django.core.management import call_command
from django.core.management.base import BaseCommand

from crm.automation.defaults import ensure_defaults
from crm.boot.translations import compile_all


class Command(BaseCommand):
    help = "Migrates the database and makes the default funnels, rules and letters where there are none."

    def handle(self, *, verbosity, **options):
        compile_all()  # before anything is named in the company's language
        call_command("migrate", interactive=False, verbosity=max(0, verbosity - 1))
        made = ensure_defaults()
        if verbosity:
            self.stdout.write(f"Ready. Made: {', '.join(made)}." if made else "Ready. Nothing lacked.")
