"""ASGI entry point: ``python -m crm.boot.web`` (uvicorn)."""

import os

import django
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.urls import reverse

from crm.boot.memory import settle
from crm.core.intake_limits import BodyLimits

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")


class OneThread(ASGIHandler):
    """The whole chain of middleware and view in one thread of the request's own: all of it is synchronous, and Django
    would go back to the event loop and into the thread again at every link. What streams is still read by the loop."""

    def load_middleware(self, is_async=False):
        super().load_middleware(is_async=False)

    async def get_response_async(self, request):
        return await sync_to_async(self.get_response)(request)


django.setup(set_prefix=False)
application = BodyLimits(OneThread())
reverse("home")  # loads all addresses and views now, not while the first reader waits
settle()
