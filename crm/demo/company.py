"""The demo company: people who sign in, teams, sources, products. Found again when it stands already."""

from dataclasses import dataclass
from datetime import time, timedelta

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from crm.automation.defaults import ensure_defaults
from crm.core.models import Absence, Calendar, Hours, Organisation, Pipeline, Reason, Role, Team, User
from crm.demo.words import CHANNELS, words
from deals.models import Product
from leads.models import ConsentText, Origin, Source, Template
from routing.models import Debt
from routing.models import Rule as RoutingRule
from scoring.services import rulebook

PASSWORD = "demo"  # noqa: S105 - the demo's, which exists in local mode alone


@dataclass
class World:
    """What the lives of the leads are made of."""

    words: dict
    now: float  # seconds since the epoch
    managers: list
    sources: list
    origins: list
    products: list
    lead_stages: list
    deal_stages: list
    lead_reasons: list
    deal_reasons: list
    welcome: Template | None
    consent: ConsentText | None
    routing: RoutingRule
    debts: dict  # user → Decimal
    book: object
    currency: str

    def __post_init__(self):
        self.candidates = {m.pk: (str(m), m.weight) for m in self.managers}


def build():
    """Make or find the company; returns the World."""
    ensure_defaults()
    language = settings.LANGUAGE_CODE.partition("-")[0]
    text = words(language)
    Organisation.objects.filter(pk=1).update(name=text["company"], from_email="sales@example.test")
    with translation.override(language):
        managers = _people(text, language)
    routing = RoutingRule.objects.filter(is_active=True, strategy="evenly").order_by("position").first()
    return World(
        words=text,
        now=timezone.now().timestamp(),
        managers=managers,
        sources=_sources(text),
        origins=[
            Origin.objects.get_or_create(name=name, defaults={"channel": channel})[0]
            for name, channel in zip(text["origins"], CHANNELS, strict=True)
        ],
        products=[
            Product.objects.get_or_create(name=name, defaults={"price": price})[0] for name, price in text["products"]
        ],
        lead_stages=_stages("lead"),
        deal_stages=_stages("deal"),
        lead_reasons=list(Reason.objects.filter(kind="lead")),
        deal_reasons=list(Reason.objects.filter(kind="deal")),
        welcome=Template.objects.filter(kind="letter", is_welcome=True).first(),
        consent=ConsentText.objects.filter(purpose="processing").first(),
        routing=routing,
        debts=dict(Debt.objects.filter(rule=routing).values_list("user_id", "debt")),
        book=rulebook(),
        currency=Organisation.get().currency,
    )


def _stages(kind):
    return list(Pipeline.objects.get(kind=kind, is_default=True).stages.order_by("position", "id"))


def _people(text, language):
    password = make_password(PASSWORD)
    teams = [Team.objects.get_or_create(name=name)[0] for name in text["teams"]]

    def person(username, names, role, **extra):
        first, last = names
        fields = {
            "first_name": first,
            "last_name": last,
            "role": role,
            "password": password,
            "language": language,
            "email": f"{username}@example.test",
            "is_staff": role == Role.ADMIN,
            "is_superuser": role == Role.ADMIN,
        }
        return User.objects.get_or_create(username=username, defaults=fields | extra)[0]  # fmt: skip

    person("admin", text["admin"], Role.ADMIN)
    person("marketer", text["marketer"], Role.MARKETER)
    head = person("head", text["head"], Role.HEAD, team=teams[0])
    second = person("head2", text["second_head"], Role.HEAD, team=teams[2])
    for team, heads in zip(teams, ([head], [head], [second]), strict=True):
        team.heads.add(*heads)
    managers = [
        person(
            "manager" if n == 0 else f"manager{n + 1}", names, Role.MANAGER,
            team=teams[n % 3], grade=1 + n % 4, phone=f"+7495100{n:04d}",
        )
        for n, names in enumerate(text["managers"])
    ]  # fmt: skip
    _on_leave(managers[-1])
    _on_duty(managers[0])
    return managers


def _on_duty(user):
    """One of them is there at every hour, so that a visitor of the demo sees a lead arrive at night as well."""
    calendar, made = Calendar.objects.get_or_create(name=_("On duty, round the clock"))
    if made:
        spans = [(day, time(0), time(23, 59, 59, 999999)) for day in range(7)]
        Hours.objects.bulk_create(Hours(calendar=calendar, weekday=d, start=a, end=b) for d, a, b in spans)
    User.objects.filter(pk=user.pk, calendar=None).update(calendar=calendar)


def _on_leave(user):
    now = timezone.now()
    if not user.absences.exists():
        Absence.objects.create(user=user, starts_at=now - timedelta(days=2), ends_at=now + timedelta(days=9))


def _sources(text):
    consent = ConsentText.objects.filter(purpose="processing").first()
    rows = [("demo-form", text["form"], "web-form"), ("landing", text["landing"], "json")]
    Source.objects.get_or_create(key="sms", defaults={"name": "SMS", "adapter": "sms-trial", "channel": "phone"})
    return [
        Source.objects.get_or_create(key=key, defaults={"name": name, "adapter": adapter, "consent": consent})[0]
        for key, name, adapter in rows
    ]
