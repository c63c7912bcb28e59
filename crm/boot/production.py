"""``python crm/boot/production.py requirements.txt``: the part of the lock that production needs, to stdout.

The lock says of each package who wants it. Production is what the project itself wants, and what that wants in turn;
the groups (embedded servers, tools of the tests) are left out. Standard library only: it runs before anything is there.
"""

import re
import sys
from pathlib import Path

PROJECT = "lead-crm (pyproject.toml)"


def blocks(text):
    """``(name, lines, wanted by)`` of each locked package."""
    for block in re.split(r"(?m)^(?=[A-Za-z0-9])", text):
        if found := re.match(r"([A-Za-z0-9._-]+)", block):
            wanted_by = re.findall(r"(?m)^ +# +(?:via +)?(\S.*)$", block)
            yield found[1], block, set(wanted_by) - {"via"}


def production(text):
    locked = list(blocks(text))
    names = {PROJECT}
    while True:
        grown = names | {name for name, _, wanted_by in locked if wanted_by & names}
        if grown == names:
            return [(name, block) for name, block, _ in locked if name in names]
        names = grown


if __name__ == "__main__":
    print("".join(block for _, block in production(Path(sys.argv[1]).read_text())), end="")
