"""The funnels that every test world has: three lead stages, three deal stages, moves forward and back."""

from crm.core.models import Pipeline, Reason, Stage, StageEdge


def _pipeline(kind, name, stages):
    pipeline, made = Pipeline.objects.get_or_create(kind=kind, is_default=True, defaults={"name": name})
    if not made:
        return pipeline
    rows = [
        Stage.objects.create(pipeline=pipeline, name=title, position=place, probability=chance, norm_days=3)
        for place, (title, chance) in enumerate(stages)
    ]
    StageEdge.objects.bulk_create(
        StageEdge(source=a, target=b) for a in rows for b in rows if a is not b and b.position - a.position <= 2
    )
    return pipeline


def make_funnels():
    """Default pipelines and a reason of each kind; made once, found again."""
    leads = _pipeline("lead", "Leads", [("New", 0), ("Contacted", 0), ("Qualified", 0)])
    deals = _pipeline("deal", "Deals", [("Proposal", 20), ("Negotiation", 50), ("Contract", 80)])
    for kind in ("lead", "deal"):
        Reason.objects.get_or_create(kind=kind, name="Too expensive")
    return leads, deals
