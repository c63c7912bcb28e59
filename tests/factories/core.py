from datetime import time
from functools import cache

import factory
from django.contrib.auth.hashers import make_password

from crm.core.models import Calendar, Hours, Team, User


class TeamFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Team

    name = factory.Sequence(lambda n: f"Team {n}")


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"user{n}")
    first_name = "Анна"
    last_name = factory.Sequence(lambda n: f"Петрова{n}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@crm.test")
    language = "en"
    role = "manager"
    password = factory.Transformer("a long passphrase", transform=cache(make_password))  # hashing is slow by design


class CalendarFactory(factory.django.DjangoModelFactory):
    """Around the clock unless ``days``/``spans`` say otherwise."""

    class Meta:
        model = Calendar
        skip_postgeneration_save = True

    name = factory.Sequence(lambda n: f"Calendar {n}")

    @factory.post_generation
    def spans(calendar, create, spans, **kwargs):
        spans = spans or [(day, time(0), time(23, 59, 59, 999999)) for day in range(7)]
        Hours.objects.bulk_create(Hours(calendar=calendar, weekday=d, start=a, end=b) for d, a, b in spans)
