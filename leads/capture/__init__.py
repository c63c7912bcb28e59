"""Where enquiries come from. A new source: one file here, one line in ADAPTERS, one test file."""

from django.utils.translation import gettext_lazy as _

from leads.capture import json_body, web_form

# Each has LABEL, NEEDS_SECRET, verify(headers, raw, source, body) and parse(body, source, …) -> Parsed.
ADAPTERS = {
    "web-form": web_form,
    "json": json_body,
}
# Sources of leads that come by no address: made on demand, one of each.
PSEUDO = {
    "manual": _("By hand"),
    "api": _("API"),
    "list": _("Uploaded list"),
}


def adapter_choices():
    return [(name, adapter.LABEL) for name, adapter in ADAPTERS.items()]
