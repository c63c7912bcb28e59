"""Who can take leads, and when they are at work: read at once, in a fixed number of queries, and kept for a moment."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import time, timedelta
from functools import cached_property

from django.utils import timezone

from crm.core.models import Absence, Calendar, Holiday, Hours, Organisation, Role, User
from crm.core.models.calendars import WorkTime
from crm.core.recent import recent
from leads.conditions import fold
from routing.strategies import ABSENT, OFF_HOURS, PERSON, SKILL, Candidate

# Without any calendar in the company everybody is at work always: a lead must not wait for a setting nobody made.
ALWAYS = tuple((day, time.min, time.max) for day in range(7))


@dataclass(frozen=True)
class Shift:
    """Hours and holidays that several people of one time zone share."""

    work: WorkTime

    def at_work(self, now):
        return self.work.at_work(now)


@dataclass(frozen=True)
class Seller:
    user: User
    skills: frozenset  # keys
    skill_names: frozenset  # folded
    shift: Shift
    absences: tuple  # (starts_at, ends_at)

    def absent(self, now):
        return any(start <= now < end for start, end in self.absences)

    @cached_property
    def work(self):
        """Working time with the absences cut out, for looking ahead."""
        shared = self.shift.work
        return WorkTime(zone=shared.zone.key, hours=shared.hours, holidays=shared.holidays, absences=self.absences)


class Staff:
    """Everybody who takes leads."""

    def __init__(self, sellers):
        self.sellers = {seller.user.pk: seller for seller in sellers}

    def named(self, user_pk):
        return self.sellers.get(user_pk)

    def fitting(self, rule, skills, facts):
        """The people whom a rule is about, at work or not; heads get leads only where a rule names them."""
        if rule.strategy == PERSON:
            seller = self.named(rule.person_id)
            return [seller] if seller else []
        wanted = self._wanted(rule, skills, facts)
        return [
            seller
            for seller in self.sellers.values()
            if seller.user.role == Role.MANAGER
            and (rule.team_id is None or seller.user.team_id == rule.team_id)
            and rule.min_grade <= seller.user.grade <= rule.max_grade
            and wanted(seller)
        ]

    @staticmethod
    def _wanted(rule, skills, facts):
        if skills:
            return lambda seller: skills <= seller.skills
        if rule.strategy == SKILL:  # no skill named: the one that is called as the product asked for
            product = fold(facts.get("product") or "")
            return lambda seller: bool(product) and product in seller.skill_names
        return lambda seller: True

    @staticmethod
    def candidates(sellers, now, *, any_hour=False):
        """The sellers as candidates; ``any_hour``: it is enough not to be on leave (imported lists wait for nobody)."""
        open_now = {}  # a shift is shared by many: asked once

        def away(seller):
            if seller.absent(now):
                return ABSENT
            shift = seller.shift
            if id(shift) not in open_now:
                open_now[id(shift)] = any_hour or shift.at_work(now)
            return "" if open_now[id(shift)] else OFF_HOURS

        return [
            Candidate(
                user=seller.user.pk,
                name=str(seller.user),
                weight=seller.user.weight,
                grade=seller.user.grade,
                capacity=seller.user.capacity,
                away=away(seller),
            )
            for seller in sellers
        ]

    @staticmethod
    def next_open(sellers, now):
        """When the first of them comes to work; None when nobody is expected."""
        openings = [opening for seller in sellers if seller.user.weight and (opening := seller.work.next_open(now))]
        return min(openings, default=None)


@recent
def staff():
    """People, skills, calendars and absences in six queries."""
    calendars = _calendars()
    default = next((c for c in calendars.values() if c["default"]), None)
    zone = Organisation.get().time_zone
    absences = defaultdict(list)
    for user, start, end in Absence.objects.filter(ends_at__gt=timezone.now() - timedelta(hours=1)).values_list(
        "user_id", "starts_at", "ends_at"
    ):
        absences[user].append((start, end))
    shifts = {}
    sellers = []
    for user in User.objects.sellers().filter(takes_leads=True).prefetch_related("skills").order_by("pk"):
        key = (user.calendar_id, user.time_zone or zone)
        if key not in shifts:
            shifts[key] = _shift(calendars.get(user.calendar_id) or default, key[1])
        sellers.append(_seller(user, shifts[key], tuple(sorted(absences[user.pk]))))
    return Staff(sellers)


def _calendars():
    rows = {
        pk: {"default": is_default, "hours": [], "holidays": set()}
        for pk, is_default in Calendar.objects.values_list("pk", "is_default")
    }
    for calendar, *span in Hours.objects.values_list("calendar_id", "weekday", "start", "end"):
        rows[calendar]["hours"].append(tuple(span))
    for calendar, date in Holiday.objects.values_list("calendar_id", "date"):
        rows[calendar]["holidays"].add(date)
    return rows


def _shift(calendar, zone):
    if calendar is None:
        return Shift(WorkTime(zone=zone, hours=ALWAYS))
    return Shift(WorkTime(zone=zone, hours=calendar["hours"], holidays=calendar["holidays"]))


def _seller(user, shift, absences):
    skills = user.skills.all()
    return Seller(
        user=user,
        skills=frozenset(skill.pk for skill in skills),
        skill_names=frozenset(fold(skill.name) for skill in skills),
        shift=shift,
        absences=absences,
    )
