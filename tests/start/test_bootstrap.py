"""What happens before anything is installed: run by whatever python3 the machine has, without a virtual environment."""

import socket
import subprocess
import sys

import pytest

from crm.boot import bootstrap
from crm.boot.embedded import BASE_DIR

SCRIPT = BASE_DIR / "crm" / "boot" / "bootstrap.py"


def run(code):
    """The module as a bare interpreter has it: no site-packages."""
    words = [sys.executable, "-I", "-S", "-c", f"import runpy, sys; m = runpy.run_path({str(SCRIPT)!r}); {code}"]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def test_it_needs_the_standard_library_only():
    done = run("print(sorted(n for n in m if n in ('main', 'install')))")
    assert (done.stdout, done.returncode) == ("['install', 'main']\n", 0), done.stderr


def test_a_python_without_ensurepip_is_told_which_package_to_install(tmp_path):
    code = "sys.modules['ensurepip'] = None; g = m['make_venv'].__globals__; import pathlib; "
    code += f"g['PYTHON'] = pathlib.Path({str(tmp_path / 'none')!r}); m['make_venv']()"
    done = run(code)
    assert done.returncode == 1
    version = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    assert "apt-get install python3-venv" in done.stderr
    assert version in done.stderr
    assert "Traceback" not in done.stderr


def test_a_busy_port_is_refused_before_installing():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run(f"import os; os.environ['PORT'] = '{port}'; m['refuse_busy_port']()")
    assert done.returncode == 1
    assert done.stderr.startswith(f"Port {port} cannot be opened (Address already in use).")


@pytest.mark.parametrize("port", ["http", "0", "65536"])
def test_a_port_that_is_none_is_refused(port):
    done = run(f"import os; os.environ['PORT'] = '{port}'; m['refuse_busy_port']()")
    assert (done.stderr, done.returncode) == (f"PORT={port} is not a port number\n", 1)


def test_a_changed_lock_a_moved_folder_or_another_python_installs_anew(tmp_path, monkeypatch):
    lock, venv = tmp_path / "requirements.txt", tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").touch()
    lock.write_text("one")
    for name, value in {"LOCKED": lock, "VENV": venv, "STAMP": venv / "s", "PYTHON": venv / "bin" / "python"}.items():
        monkeypatch.setattr(bootstrap, name, value)
    assert not bootstrap.installed()
    bootstrap.STAMP.write_text(bootstrap.wanted())
    assert bootstrap.installed()
    lock.write_text("two")
    assert not bootstrap.installed()
