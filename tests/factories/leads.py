import hashlib
import uuid

import factory

from crm.core.funnel import entry_stage
from leads.models import Identity, Lead, Person, Source, Submission
from leads.services.funnel import enter_funnel

from .world import make_funnels


class SourceFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Source

    key = factory.Sequence(lambda n: f"source-{n}")
    name = factory.Sequence(lambda n: f"Source {n}")
    adapter = "web-form"


class PersonFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Person

    name = factory.Sequence(lambda n: f"Иван Сидоров {n}")


def _first_stage():
    make_funnels()
    return entry_stage("lead")


class LeadFactory(factory.django.DjangoModelFactory):
    """An open lead at the first stage with its person, identities and funnel entry."""

    class Meta:
        model = Lead
        skip_postgeneration_save = True

    person = factory.SubFactory(PersonFactory)
    name = factory.SelfAttribute("person.name")
    phone = factory.Sequence(lambda n: f"+7999{n:07d}")
    email = factory.Sequence(lambda n: f"client{n}@example.test")
    source = factory.SubFactory(SourceFactory)
    stage = factory.LazyFunction(_first_stage)
    pipeline = factory.SelfAttribute("stage.pipeline")
    team = factory.LazyAttribute(lambda lead: lead.owner.team if lead.owner else None)
    owner = None

    @factory.post_generation
    def known(lead, create, extracted, **kwargs):
        rows = [("phone", lead.phone), ("email", lead.email)]
        Identity.objects.bulk_create(
            [Identity(person=lead.person, kind=kind, value=value) for kind, value in rows if value],
            ignore_conflicts=True,
        )
        enter_funnel(lead)


class SubmissionFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Submission

    receipt = factory.LazyFunction(uuid.uuid4)
    source = factory.SubFactory(SourceFactory)
    content_type = "application/json"
    body = b"{}"
    sha256 = factory.LazyAttribute(lambda s: hashlib.sha256(s.body).hexdigest())
