"""Receipts as people look for them: by filters on indexed columns, and by a fragment of what was sent."""

import json
from datetime import datetime, time, timedelta
from urllib.parse import quote, quote_plus

from django.db.models import Q
from django.db.models.expressions import RawSQL
from django.db.models.fields import BooleanField
from django.utils import timezone

from leads.models import Submission

WINDOW = 5000  # receipts of the filter, latest first, whose bodies a search looks into
# In the body; one of several enquiries stands in that of another receipt.
BODY = """exists (select from leads_submission whole
    where whole.id = coalesce(leads_submission.whole_id, leads_submission.id)
    and exists (select from unnest(%s::bytea[]) written where position(written in whole.body) > 0))"""


def chosen(user, wanted):
    """The receipts that a user may see, filtered by the cleaned data of ReceiptFilter, latest first."""
    rows = Submission.objects.visible_to(user)
    exact = {name: wanted[name] for name in ("source", "state", "reason") if wanted.get(name)}
    if wanted.get("since"):
        exact["received_at__gte"] = _midnight(wanted["since"])
    if wanted.get("until"):
        exact["received_at__lt"] = _midnight(wanted["until"] + timedelta(days=1))
    rows = rows.filter(**exact).order_by("-id")
    return holding(rows, wanted["q"]) if wanted.get("q") else rows


def _midnight(day):
    """The beginning of a day in the reader's time zone: an instant, so that the index of the column serves."""
    return timezone.make_aware(datetime.combine(day, time.min))


def _written(fragment):
    """The bytes that a fragment may stand as in a body: as it is, in addresses and forms, in JSON of ASCII alone, in
    Windows-1251; each in the cases in which people write names."""
    cases = dict.fromkeys([fragment, fragment.lower(), fragment.upper(), fragment.title(), fragment.capitalize()])
    found = {}
    for text in cases:
        forms = [text.encode(), text.encode("cp1251", "ignore"), json.dumps(text)[1:-1].encode()]
        forms += [quoted(text).encode() for quoted in (quote, quote_plus)]
        found |= dict.fromkeys(form for form in forms if len(form) >= len(text))
    return list(found)


def holding(rows, fragment):
    """Those of the latest ``WINDOW`` rows whose body, receipt number or parsed fields hold the fragment."""
    fragment = fragment.strip()
    window = rows.values("pk")[:WINDOW]
    found = RawSQL(BODY, [_written(fragment)], output_field=BooleanField())  # nosec B611 - a constant; the words are parameters
    like = f"%{fragment.replace(chr(92), chr(92) * 2).replace('%', chr(92) + '%').replace('_', chr(92) + '_')}%"
    parsed = RawSQL("(leads_submission.parsed::text ilike %s)", [like], output_field=BooleanField())
    number = RawSQL("(leads_submission.receipt::text = %s)", [fragment.lower()], output_field=BooleanField())
    return Submission.objects.filter(pk__in=window).filter(Q(found) | Q(parsed) | Q(number)).order_by("-id")
