import pytest
from django.db import IntegrityError, transaction

from crm.core.models import Stage
from leads.models import Lead
from tests.factories import LeadFactory

pytestmark = pytest.mark.django_db


def test_who_sees_which_leads(rep, colleague, head, outsider, marketer, admin):
    own, mates, foreign, nobodys = (LeadFactory(owner=owner) for owner in (rep, colleague, outsider, None))
    seen = {user.username: set(Lead.objects.visible_to(user)) for user in (rep, colleague, head, outsider)}
    assert seen == {
        "rep": {own},
        "colleague": {mates},
        "head": {own, mates, nobodys},
        "outsider": {foreign},
    }
    for user in (marketer, admin):
        assert set(Lead.objects.visible_to(user)) == {own, mates, foreign, nobodys}
    rep.sees_team = True
    assert set(Lead.objects.visible_to(rep)) == {own, mates}
    assert set(Lead.objects.editable_by(marketer)) == set()


def test_no_path_moves_a_lead_along_a_move_that_is_not_allowed(funnels):
    lead = LeadFactory()
    first, second, third = Stage.objects.filter(pipeline=funnels[0])
    with pytest.raises(AttributeError):
        lead.stage = second
    first.edges_out.filter(target=third).delete()
    with pytest.raises(IntegrityError), transaction.atomic():
        Lead.objects.filter(pk=lead.pk).update(stage=third)
    Lead.objects.filter(pk=lead.pk).update(stage=second)
    lead.refresh_from_db()
    assert lead.stage == second
