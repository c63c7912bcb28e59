"""Compiles the translations whose text is newer: nobody needs gettext tools, and no .mo file is in the repository."""

import gettext
import os
import sys
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent.parent
LOCALES = ("crm", "crm/core", "leads", "deals", "scoring", "routing", "nurturing", "analytics")


def catalogues():
    return [path for app in LOCALES for path in sorted((BASE_DIR / app / "locale").glob("*/LC_MESSAGES/django.po"))]


def compile_all():
    """Write each .mo that is missing or older than its .po; returns how many were written.

    A process that has spoken already forgets the catalogues it knew.
    """
    stale = [po for po in catalogues() if _stale(po)]
    for po in stale:
        _compile(po)
    spoken = sys.modules.get("django.utils.translation.trans_real")
    if stale and spoken:
        gettext._translations.clear()
        spoken._translations.clear()
        spoken._default = None
    return len(stale)


def _stale(po):
    mo = po.with_suffix(".mo")
    return not mo.exists() or mo.stat().st_mtime_ns < po.stat().st_mtime_ns


def _compile(po):
    from babel.messages.mofile import write_mo  # Babel is slow to load and rarely needed at a start
    from babel.messages.pofile import read_po

    with po.open("rb") as source:
        catalogue = read_po(source, locale=po.parts[-3], abort_invalid=True)
    fresh = po.with_suffix(f".mo.{os.getpid()}")
    with fresh.open("wb") as target:
        write_mo(target, catalogue)
    fresh.replace(po.with_suffix(".mo"))  # in one step: another process may be reading


if __name__ == "__main__":
    print(f"{compile_all()} catalogues compiled", file=sys.stderr)
