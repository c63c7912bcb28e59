"""``python3 crm/boot/bootstrap.py``: makes .venv and installs the locked packages. Standard library only.

Everything comes from requirements.txt, each file checked against its hash. Compiled to byte code here, because where
PYTHONDONTWRITEBYTECODE is set every process would otherwise compile everything again at every start.
"""

import fcntl
import hashlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCKED = ROOT / "requirements.txt"
STAMP = VENV / ".installed"
BEGAN = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - BEGAN:6.1f} s] {text}", flush=True)


def wanted():
    """What the environment must have been made of: the lock, this Python, this place (scripts hold its path)."""
    return f"{hashlib.sha256(LOCKED.read_bytes()).hexdigest()} {sys.version} {VENV}"


def installed():
    return STAMP.exists() and STAMP.read_text() == wanted() and PYTHON.exists()


def _missing_ensurepip():
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return (
        "This Python cannot make virtual environments (no ensurepip).\n"
        f"On Debian and Ubuntu:  apt-get install python3-venv   (or python{version}-venv), then again."
    )


def _works():
    """Does the environment's Python run, and as the environment's? (A shim of a version manager may lead astray.)"""
    if not PYTHON.exists():
        return False
    asking = subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True, check=False, text=True)
    return asking.returncode == 0 and str(VENV) in asking.stdout


def make_venv():
    if _works():
        return
    try:
        import ensurepip  # noqa: F401  # Debian leaves it out of python3
        import venv
    except ImportError:
        sys.exit(_missing_ensurepip())
    say("making .venv")
    venv.create(VENV, with_pip=True, clear=VENV.exists(), symlinks=True)
    if not _works():
        sys.exit(f"{sys.executable} makes no working environment; name another: make up PYTHON3=/usr/bin/python3")


def _quick_installer(env):
    """uv, several times quicker than pip, where the package index has it; told what pip's own settings say."""
    pip = [PYTHON, "-m", "pip"]
    if subprocess.run([*pip, "install", "-q", "--no-compile", "uv"], check=False, capture_output=True).returncode:
        return None
    settings = subprocess.run([*pip, "config", "list"], check=False, capture_output=True, text=True).stdout
    names = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS"}
    for line in settings.splitlines():
        key, _, value = line.partition("=")
        if name := names.get(key.rpartition(".")[2]):
            env.setdefault(name, value.strip("'\""))
    env.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")  # whatever the index: the hash decides
    env.setdefault("UV_LINK_MODE", "copy")
    return [VENV / "bin" / "uv", "pip", "install", "-q", "--compile-bytecode", "--python", PYTHON]


def install():
    """Without PYTHONDONTWRITEBYTECODE, or nothing would be compiled."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    say(f"installing {LOCKED.read_text().count('==')} locked packages")
    quick = None if os.environ.get("CRM_PIP") else _quick_installer(env)
    slow = [PYTHON, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--compile"]
    for command in (quick, slow):
        if command is None:
            continue
        done = subprocess.run([*command, "--require-hashes", "-r", LOCKED], check=False, cwd=ROOT, env=env)
        if done.returncode == 0:
            return
        say(f"{Path(command[0]).name} did not manage (see above)")
    sys.exit("The packages could not be installed.")


def compile_own_code():
    folders = [ROOT / name for name in ("crm", "leads", "deals", "scoring", "routing", "nurturing", "analytics")]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    words = [PYTHON, "-m", "compileall", "-q", *(folder for folder in folders if folder.exists())]
    subprocess.run(words, check=False, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def refuse_busy_port():
    """Said before minutes of installing, not after; ``manage.py up`` asks again for itself."""
    port = os.environ.get("PORT") or "8000"
    if not port.isdigit() or not 0 < int(port) < 65536:
        sys.exit(f"PORT={port} is not a port number")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(port)))
        except OSError as error:
            sys.exit(f"Port {port} cannot be opened ({error.strerror}). Take another one: make up PORT={int(port) + 1}")


def main(words):
    if sys.version_info < (3, 11):  # noqa: UP036  # run by whatever python3 there is
        sys.exit(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}")
    if sys.platform == "win32":
        sys.exit("Windows: run this inside WSL")
    if "--port" in words and not installed():
        refuse_busy_port()
    with open(ROOT / ".bootstrap.lock", "w") as only_one:
        fcntl.flock(only_one, fcntl.LOCK_EX)  # `make up` and `make test` at once: one installs, the other waits
        if not installed():
            STAMP.unlink(missing_ok=True)
            make_venv()
            install()
            STAMP.write_text(wanted())
            say("packages installed")
    compile_own_code()


if __name__ == "__main__":
    main(sys.argv[1:])
