"""Loaded by ``-p tests.servers`` before pytest-django reads the settings: the tests get servers of their own."""

import contextlib
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

if "CRM_TESTING" not in os.environ:  # a worker of pytest-xdist inherits what the controller set here
    state = Path(os.environ.get("CRM_STATE_DIR", ROOT / ".local"))
    os.environ["CRM_STATE_DIR"] = f"{state.resolve()}-test"
    os.environ["CRM_TESTING"] = "1"
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # Playwright's synchronous API runs an event loop

_running = contextlib.ExitStack()
(Path(os.environ["CRM_STATE_DIR"]) / "static").mkdir(parents=True, exist_ok=True)  # WhiteNoise warns of a missing one


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests():
    from crm.boot.translations import compile_all

    compile_all()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session):
    if hasattr(session.config, "workerinput") or session.config.option.collectonly:
        return  # only the controller owns the servers
    from crm.boot.embedded import StartError, servers

    try:
        _running.enter_context(servers(os.environ["CRM_STATE_DIR"], profile="test"))
    except StartError as error:
        pytest.exit(f"The test servers did not start: {error}", returncode=3)


def pytest_unconfigure():
    try:
        _running.close()
    except OSError as error:
        print(f"The test servers did not stop: {error}", file=sys.stderr)
