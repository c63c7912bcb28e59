"""What every full page needs: navigation by role, theme, bell. Lazy, so that fragments pay nothing for it."""

from typing import NamedTuple

from django.db import connection
from django.urls import NoReverseMatch, reverse
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy as _

from crm.core.models import Role

ALL = frozenset(Role)
BELL_MAX = 99  # the bell says "99+"; nobody counts further


class Entry(NamedTuple):
    name: str
    label: str
    icon: str
    roles: frozenset = ALL
    beside: tuple = ()  # url names, or a whole namespace ("leads:"), that light this entry up too


# The first page is another one for each role (crm/home.py), and is called what it is.
HOME = {Role.MANAGER: _("My day"), Role.HEAD: _("Team"), Role.ADMIN: _("Today"), Role.MARKETER: _("Overview")}


NAV = (
    Entry("home", _("My day"), "home"),
    Entry("leads:list", _("Leads"), "users", beside=("leads:",)),
    Entry("leads:board", _("Leads board"), "board"),
    Entry("deals:list", _("Deals"), "deal", beside=("deals:",)),
    Entry("deals:board", _("Deals board"), "columns"),
    Entry(
        "leads:people",
        _("Clients"),
        "building",
        beside=("leads:person", "leads:compan", "leads:contact", "leads:merge", "leads:twins"),
    ),
    Entry("leads:tasks", _("Tasks"), "check-square", beside=("leads:task",)),
    Entry(
        "routing:fairness",
        _("Distribution"),
        "shuffle",
        roles=frozenset({Role.MANAGER, Role.HEAD, Role.ADMIN}),
        beside=("routing:",),
    ),
    Entry("analytics:index", _("Reports"), "chart", beside=("analytics:",)),
    Entry(
        "nurturing:index",
        _("Sequences"),
        "flow",
        roles=frozenset({Role.MARKETER, Role.ADMIN, Role.HEAD}),
        beside=("nurturing:", "leads:template", "leads:mailbox"),
    ),
    Entry(
        "leads:receipts",
        _("Enquiries"),
        "inbox",
        roles=frozenset({Role.MARKETER, Role.ADMIN, Role.HEAD}),
        beside=("leads:receipt", "leads:source"),
    ),
    Entry("admin:index", _("Settings"), "gear", roles=frozenset({Role.ADMIN})),
)


def _here(request):
    match = getattr(request, "resolver_match", None)
    return match.view_name if match else ""


def _current(here, role):
    """The entry that a page belongs to: its own name, else the longest prefix among ``beside`` of the role's own."""
    mine = [entry for entry in NAV if role in entry.roles]
    if any(entry.name == here for entry in mine):
        return here
    fits = [(len(p), entry.name) for entry in mine for p in entry.beside if here.startswith(p)]
    return max(fits)[1] if fits else ""


def navigation(request):
    """The entries that this person may open, as dicts for the template."""
    current, items = _current(_here(request), request.user.role), []
    for entry in NAV:
        if request.user.role not in entry.roles:
            continue
        try:
            url = reverse(entry.name)
        except NoReverseMatch:  # a page that this installation does not have
            continue
        label = HOME[request.user.role] if entry.name == "home" else entry.label
        items.append({"label": label, "icon": entry.icon, "url": url, "current": entry.name == current})
    return items


class Bell(NamedTuple):
    unseen: int  # notices, at most BELL_MAX + 1
    newest: int  # key of the newest notice of all: from there on the page's stream goes on


def bell(user):
    """What the page knows of notices, in one look at two indexes."""
    sql = """
        select (select count(*) from (
                  select from core_notice where user_id = %s and seen_at is null limit %s) u),
               coalesce((select max(id) from core_notice), 0)"""
    with connection.cursor() as cursor:
        cursor.execute(sql, [user.pk, BELL_MAX + 1])
        return Bell(*cursor.fetchone())


def shell(request):
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"theme": "auto"}
    return {
        "theme": user.theme,
        "navigation": SimpleLazyObject(lambda: navigation(request)),
        "bell": SimpleLazyObject(lambda: bell(user)),
    }
