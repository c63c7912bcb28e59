"""Files that stand behind a form: kept under opaque names."""

import uuid

from django.core.exceptions import ValidationError
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils.translation import gettext as _

from crm.core import antivirus
from leads import identity

FOLDER = "materials"
MAX_SIZE = 50 * 1024 * 1024  # bytes


def check(file):
    if file.size > MAX_SIZE:
        raise ValidationError(_("A file may have up to %d MB.") % (MAX_SIZE // 1024**2))
    antivirus.check_upload(file)


def kept(file, key="file", *, former=""):
    """The settings that name the stored file; the former one is forgotten."""
    name = default_storage.save(f"{FOLDER}/{uuid.uuid4().hex}", file)
    if former and str(former).startswith(f"{FOLDER}/"):
        transaction.on_commit(lambda: default_storage.delete(former))  # until then the settings name it
    return {
        key: name,
        f"{key}_name": identity.line(file.name, 120).replace("/", " ") or "file",
        f"{key}_size": file.size,
    }
