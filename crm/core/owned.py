"""Rows that belong to somebody: whose leads and deals a user sees, in one place for both."""

from datetime import timedelta

from django.db import models
from django.db.models import Q

from crm.core.models import Stage


class OwnedQuerySet(models.QuerySet):
    """For models with ``owner``, ``team``, ``status`` and a funnel."""

    kind = ""  # of the pipelines: "lead" or "deal"

    def visible_to(self, user):
        """Managers own (and, by setting, team); heads their teams and what has no owner; others all."""
        if not user.is_active:
            return self.none()
        if user.sees_all:
            return self
        if user.is_head:
            return self.filter(
                Q(owner=user) | Q(owner=None) | Q(team__in=user.headed_teams.values_list("pk", flat=True))
            )
        if user.sees_team and user.team_id:
            return self.filter(Q(owner=user) | Q(team_id=user.team_id))
        return self.filter(owner=user)

    def editable_by(self, user):
        return self.visible_to(user) if user.can_edit_leads else self.none()

    def shares(self, user):
        """``visible_to`` in parts that one sorted index each can serve: an OR over them would be sorted anew.

        Returns [(queryset, the column that is constant in it, or None)]; parts may overlap.
        """
        seen = self.visible_to(user)
        if not user.is_active or user.sees_all:
            return [(seen, None)]
        own = (self.filter(owner=user), "owner")
        if user.is_head:
            teams = user.headed_teams.values_list("pk", flat=True)
            return [own, (self.filter(owner=None), "owner"), *((self.filter(team=pk), "team") for pk in teams)]
        return [own, (self.filter(team=user.team_id), "team")] if user.sees_team and user.team_id else [own]

    def open(self):
        return self.filter(status="open")

    def unassigned(self):
        return self.filter(owner=None)

    def stuck(self, now):
        """Longer at their stage than its norm of days; a stage without a norm holds nobody up."""
        where = Q(pk__in=[])
        for pk, days in Stage.objects.filter(pipeline__kind=self.kind, norm_days__gt=0).values_list("pk", "norm_days"):
            where |= Q(stage=pk, stage_entered_at__lt=now - timedelta(days=days))
        return self.filter(where)
