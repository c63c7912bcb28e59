"""``manage.py messages [app …] [--check]``: brings the translation catalogues up to date, or says that they are not."""

from django.core.management.base import BaseCommand, CommandError

from crm.boot import messages
from crm.boot.translations import LOCALES, compile_all


class Command(BaseCommand):
    help = "Collects the strings of each app into <app>/locale and reports what lacks a translation."
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("apps", nargs="*", metavar="app", help=f"one of: {', '.join(LOCALES)}")
        parser.add_argument("--check", action="store_true", help="write nothing; fail unless everything is in order")

    def handle(self, *, apps, check, **options):
        names = [{"core": "crm/core"}.get(name, name.replace(".", "/")) for name in apps] or LOCALES
        if unknown := set(names) - set(LOCALES):
            raise CommandError(f"No such app: {', '.join(sorted(unknown))}. There are: {', '.join(LOCALES)}")
        clean = True
        for language in messages.LANGUAGES:
            merged = {app: messages.merge(app, language) for app in names}
            for app, catalogue in merged.items():
                clean &= self._one(app, language, catalogue, check)
            if not apps:
                clean &= self._conflicts(merged)
        if not check:
            compile_all()
        elif not clean:
            raise CommandError("The translations are not in order: run `manage.py messages` and fill in what it names.")

    def _one(self, app, language, catalogue, check):
        report = messages.inspect(app, language, catalogue)
        stale = " (out of date)" if check and report.stale else ""
        self.stdout.write(f"{app}: {report.total} messages, {len(report.missing)} missing{stale}")
        for text in report.missing:
            self.stdout.write(f"    missing: {text!r}")
        for text in report.wrong:
            self.stdout.write(f"    {text}")
        if not check and report.stale and report.total:
            messages.write(app, language, catalogue)
        return report.clean

    def _conflicts(self, merged):
        found = messages.conflicts(merged)
        for text in found:
            self.stdout.write(f"said differently: {text}")
        return not found
