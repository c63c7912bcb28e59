"""Make a capture source: an address that takes enquiries."""

import json

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.urls import reverse

from leads.capture import ADAPTERS
from leads.services import sources


def setting(text):
    """``NAME=VALUE``; the value is JSON where it is JSON (numbers, lists, a mapping), else text."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(text)
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


class Command(BaseCommand):
    help = "Makes a capture source; an existing key is an error."

    def add_arguments(self, parser):
        parser.add_argument("key")
        parser.add_argument("--adapter", required=True, choices=sorted(ADAPTERS))
        parser.add_argument("--name", default="")
        parser.add_argument("--secret", default="")
        parser.add_argument("--setting", action="append", default=[], type=setting, metavar="NAME=VALUE")
        parser.add_argument("--json", action="store_true")

    def handle(self, *, key, adapter, name, secret, setting, **options):
        try:
            source = sources.add(key=key, adapter=adapter, name=name, secret=secret, settings=dict(setting))
        except ValidationError as error:
            raise CommandError("; ".join(error.messages)) from None
        url = settings.PUBLIC_URL + reverse("leads:capture", args=[source.key])
        if options["json"]:
            made = {"id": source.pk, "key": source.key, "adapter": adapter, "url": url, "secret": bool(secret)}
            self.stdout.write(json.dumps(made | {"settings": source.settings}, ensure_ascii=False))
        else:
            self.stdout.write(f"{source.key}: {url}")
            if not secret:
                self.stdout.write("No secret: anybody may post to this address.")
