import json
from pathlib import Path

from django.core.files.storage import default_storage
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from crm.automation.importing import whole
from leads.importing.errors import MappingError, Unreadable
from leads.models import Import
from leads.services import importing


class Command(BaseCommand):
    requires_system_checks = []  # the web and the checks of a deployment make them; a list is not kept waiting
    help = "Import leads from a CSV, TSV, XLSX or vCard file by a mapping; sends nothing to anybody."

    def add_arguments(self, parser):
        parser.add_argument("file", type=Path)
        parser.add_argument("--source", required=True, metavar="KEY", help="the source that the leads come from")
        parser.add_argument("--mapping", required=True, type=Path, metavar="MAP.json")
        parser.add_argument("--dry-run", action="store_true", help="say what would be done; write nothing")
        parser.add_argument("--json", action="store_true", help="one JSON object and nothing else")

    def handle(self, *, file, source, mapping, dry_run, **options):
        try:
            with file.open("rb") as stream:
                counts = self._run(stream, file, importing.source_named(source), _document(mapping), dry_run)
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from error
        except MappingError as error:
            raise CommandError("\n".join(error.messages)) from error
        except (Unreadable, LookupError) as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(counts, ensure_ascii=False))
        else:
            for name, value in counts.items():
                self.stdout.write(f"{name:10} {'' if value is None else value}")

    def _run(self, stream, file, source, stated, dry_run):
        opened = importing.opened(stream, stated, source)
        if dry_run:
            counts, errors = importing.rehearse(opened)
            return counts | {"error_file": _path(errors)}
        job = Import.objects.create(
            source=source, file_name=file.name[:200], mapping=stated, size=file.stat().st_size,
            options=opened.table.options,
        )  # fmt: skip
        try:
            whole(job, opened)
        except BaseException as error:
            importing.give_up(job.pk, error)
            raise
        self.stderr.write(
            _("Import %(number)d; it is undone by: manage.py undo_import %(number)d") % {"number": job.pk}
        )
        names = ("rows", "created", "updated", "skipped", "failed")
        return {name: getattr(job, name) for name in names} | {"error_file": _path(job.error_file.name)}


def _document(path):
    try:
        return json.loads(path.read_text("utf-8-sig"))
    except ValueError as error:
        raise MappingError([f"{path}: {error}"]) from error


def _path(name):
    """Where the file of errors lies: a path where the storage is a folder, else its name there."""
    if not name:
        return None
    try:
        return default_storage.path(name)
    except NotImplementedError:
        return name
