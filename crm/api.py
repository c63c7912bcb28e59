"""``/api/v1/``: each app's router under one document (``/api/v1/openapi.json``)."""

from django.contrib.auth.decorators import login_not_required
from ninja import NinjaAPI
from ninja.parser import Parser

from crm.core.api import Bearer, install_errors
from deals.api import router as deals
from leads.api import router as leads
from leads.capture.base import Refused, clean, read_json


def keepable(value, depth=2):
    """Texts that the database can keep (see ``clean``); whatever lies deeper fits no document of ours."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict) and depth:
        return {name: keepable(item, depth - 1) for name, item in value.items()}
    return [keepable(item, depth - 1) for item in value] if isinstance(value, list) and depth else value


class StrictJson(Parser):
    """The reader of the capture doors: no doubles, no NaN, positions in words."""

    def parse_body(self, request):
        try:
            return keepable(read_json(request.body)[0])
        except Refused as refused:
            request.refused = refused.detail  # ninja answers in its own words otherwise
            raise


api = NinjaAPI(title="CRM", version="1", docs_url=None, auth=Bearer(), parser=StrictJson(), urls_namespace="api")
install_errors(api)
api.add_router("/leads", leads)
api.add_router("/deals", deals)

urls = api.urls
for pattern in urls[0]:
    login_not_required(pattern.callback)  # keys, not sessions, say who asks; the document itself holds no data
