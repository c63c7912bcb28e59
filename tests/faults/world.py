"""A team that is always at work, and the door that the load comes through."""

from datetime import time

from crm.core.models import Calendar, Hours, Team, User
from crm.demo.deliveries import ADAPTERS
from leads.models import Source

PASSWORD = "a long passphrase"  # of people who exist for a minute


def build():
    calendar = Calendar.objects.create(name="Around the clock")
    Hours.objects.bulk_create(
        Hours(calendar=calendar, weekday=day, start=time(0), end=time(23, 59, 59, 999999)) for day in range(7)
    )
    team = Team.objects.create(name="Sales")
    for number in range(4):
        User.objects.create_user(
            f"manager{number}", "", PASSWORD, first_name="Анна", last_name=f"Петрова{number}", team=team,
            language="ru", calendar=calendar,
        )  # fmt: skip
    Source.objects.bulk_create(Source(key=key, name=key, adapter="json") for key in ("short", "long", "late", "bench"))
    Source.objects.bulk_create(Source(key=name, name=name, adapter=name) for name in ADAPTERS)
