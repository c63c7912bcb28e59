#!/usr/bin/env python
"""Django's command line; starts the embedded servers for its own duration where nothing else runs them."""

import os
import sys

from crm.boot.embedded import servers_for_command


def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")
    from django.core.management import execute_from_command_line

    with servers_for_command(sys.argv):
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
