"""ASGI entry point: ``python -m crm.boot.web`` (uvicorn)."""

import os

from django.core.asgi import get_asgi_application

from crm.core.intake_limits import BodyLimits

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "crm.settings")

application = BodyLimits(get_asgi_application())
