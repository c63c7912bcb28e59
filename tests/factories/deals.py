import factory

from crm.core.funnel import entry_stage
from deals.models import Deal, DealStageMove

from .leads import PersonFactory
from .world import make_funnels


def _first_stage():
    make_funnels()
    return entry_stage("deal")


class DealFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Deal
        skip_postgeneration_save = True

    person = factory.SubFactory(PersonFactory)
    title = factory.Sequence(lambda n: f"Deal {n}")
    amount = 50_000
    stage = factory.LazyFunction(_first_stage)
    pipeline = factory.SelfAttribute("stage.pipeline")
    team = factory.LazyAttribute(lambda deal: deal.owner.team if deal.owner else None)
    owner = None

    @factory.post_generation
    def entered(deal, create, extracted, **kwargs):
        DealStageMove.objects.create(deal=deal, kind="entered", to_stage_id=deal.stage_id, amount=deal.amount)
