"""``python -I -S child.py PARENT SIGNAL IDENTITY COMMAND…``: become a child that cannot outlive its parent, then exec.

Run as a script of its own, so that nothing has to happen between fork and exec of a process that has threads.
IDENTITY is ``same``, or for PostgreSQL, which refuses to run as root: ``userns`` (a user namespace without a mapping:
the effective uid is not 0, files stay root's) or ``nobody`` (where the container forbids namespaces).
"""

import ctypes
import os
import signal
import struct
import sys

NOBODY = 65534
CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522
REFUSED = 97  # exit code: the kernel did not allow a user namespace


def _libc():
    return ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(signum, parent):
    """Ask the kernel for ``signum`` when the parent dies (Linux); leave at once if it is dead already."""
    if libc := _libc():
        libc.prctl(PR_SET_PDEATHSIG, signum, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(0)


def _become_nobody():
    """Drop root, keeping only the right to walk through folders that are closed to others (/root, a 0700 home)."""
    libc = _libc()
    os.setgroups([])
    libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    bit = 1 << CAP_DAC_OVERRIDE
    header = ctypes.create_string_buffer(struct.pack("Ii", CAPABILITY_VERSION_3, 0))
    data = ctypes.create_string_buffer(struct.pack("6I", bit, bit, bit, 0, 0, 0))
    if libc.capset(header, data) == 0:  # refused where the container dropped the capability: plain nobody then
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def main():
    parent, signum, identity, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(sig, signal.SIG_DFL)  # a background shell hands down SIGINT as ignored, Python SIGPIPE
    if identity == "userns" and _libc().unshare(CLONE_NEWUSER):
        sys.exit(REFUSED)
    if identity == "nobody":
        _become_nobody()
    die_with_parent(signum, parent)  # after the change of identity: the kernel forgets it then
    os.execv(command[0], command)  # absolute: a search would import more, and reading may be over by now


if __name__ == "__main__":
    main()
