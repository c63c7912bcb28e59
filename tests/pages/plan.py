"""Which addresses are looked at: all that answer a role with a whole page, by the access registry and the URLconf."""

import re
from dataclasses import dataclass

from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.tokens import default_token_generator
from django.test import RequestFactory
from django.urls import NoReverseMatch
from django.utils import translation
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from analytics.views import REPORTS
from crm.core.views import errors
from deals.models import Deal
from leads.capture import ADAPTERS
from leads.models import Confirmation, Import, IncomingLetter, Lead, Message, Person, Source, Submission
from leads.services import confirmations
from nurturing.models import Sequence
from tests.access import matrix
from tests.access.walk import walk


@dataclass(frozen=True)
class Page:
    """``act``: what is done on it before it is looked at (tests.pages.acts); ``grows``: its dialogs and menus are too."""

    name: str
    url: str
    status: int = 200
    act: tuple = ()
    grows: bool = False
    html: str = ""  # shown instead of what the address answers


ENDS_THE_SESSION = {"admin:logout", "core:logout"}
GROWS = {
    "home", "leads:list", "leads:board", "leads:card", "leads:person", "leads:company", "leads:tasks", "leads:people",
    "leads:talk", "leads:timeline", "leads:source", "leads:sources", "leads:mailbox", "leads:message", "leads:letter_in",
    "leads:receipts", "leads:receipt", "leads:imports", "deals:list", "deals:board", "deals:card", "nurturing:index",
    "nurturing:sequence", "analytics:index", "analytics:report", "routing:fairness", "core:notices",
}  # fmt: skip
DIFFER = {  # by role: what it may do there, whose rows it sees
    "home", "leads-list", "leads-board", "leads-card", "leads-person", "leads-tasks", "leads-receipt", "leads-source",
    "deals-list", "deals-board", "deals-card", "analytics-index", "routing-fairness", "nurturing-sequence",
}  # fmt: skip
DIFFER = {  # by role: what it may do there, whose rows it sees
    "home", "leads-list", "leads-board", "leads-card", "leads-person", "leads-tasks", "leads-receipt", "leads-source",
    "deals-list", "deals-board", "deals-card", "analytics-index", "routing-fairness", "nurturing-sequence",
}  # fmt: skip
LISTS = {
    "leads-list~any": "/leads/?state=all",
    "leads-list~nothing": "/leads/?state=all&q=zzzzqq",
    "leads-list~filtered": "/leads/?state=all&band=hot&sort=score",
    "deals-list~any": "/deals/?state=all",
    "deals-list~nothing": "/deals/?q=zzzzqq",
    "people~nothing": "/people/?q=zzzzqq",
    "companies~nothing": "/companies/?q=zzzzqq",
    "tasks~later": "/tasks/?when=later&who=team",
    "tasks~done": "/tasks/?when=done",
    "search~nothing": "/search/?q=zzzzqq",
    "search~found": "/search/?q=Константинопольская",
    "receipts~refused": "/receipts/?state=rejected",
    "receipts~waiting": "/receipts/?state=waiting",
    "receipts~nothing": "/receipts/?q=zzzzqq",
    "mailbox~failed": "/mail/?state=failed",
    "mailbox~unsure": "/mail/?state=unsure",
    "admin-users~nothing": "/admin/core/user/?q=zzzzqq",
    "admin-users~2": "/admin/core/user/?p=2",
    "admin-leads~nothing": "/admin/leads/lead/?q=zzzzqq",
    "home~mine": "/?view=mine",
    "reports-funnel~year": "/reports/funnel/?period=365",
    "reports~wrong": "/reports/?team=zzzz",
}  # fmt: skip
REFUSED = {  # forms that are sent empty: by pattern or address
    "leads:new", "leads:note", "leads:call", "leads:letter_new", "leads:task_new", "leads:reject",
    "leads:contacts", "leads:company_edit", "leads:template_new", "leads:imports",
    "leads:form", "deals:convert", "deals:new", "deals:lose", "deals:lines", "deals:note", "deals:call",
    "deals:task_new", "deals:letter_new", "nurturing:new", "nurturing:step_new", "core:login", "core:password_change",
    "core:view_new", "admin:core_user_add", "admin:core_team_add", "admin:scoring_rule_add",
    "admin:routing_rule_add", "admin:core_pipeline_add", "admin:core_absence_add", "admin:core_apikey_add",
    "admin:leads_consenttext_add", "admin:deals_product_add",
}  # fmt: skip
PICKED = {"leads:list", "admin:core_user_changelist", "admin:core_job_changelist", "leads:receipts"}
MISSING = {"/nowhere/": 404, "/f/nowhere/": 404, "/u/nonenonenone/": 404, "/confirm/none/": 404, "/d/none/": 404}
SIGNED_IN = {"/nowhere/": 404, "/leads/987654321/": 404, "/logout/": 405}
FORBIDDEN = {"manager": {"/mail/": 403, "/admin/": 403}, "head": {"/mail/": 403}, "marketer": {"/mail/": 403}}


def pages(places, role, language, wanted=lambda name: True):
    """Every page of a role in this company, as they are found; ``wanted(name)``: others are not even asked for."""
    seen, changing = set(), []
    for page in _all(places, role, language, wanted):
        keys = {page.name, (page.url, page.act)}
        if keys & seen or not wanted(page.name):
            continue
        seen |= keys
        if page.act == ("submit",):
            changing.append(page)
        else:
            yield page
    yield from changing  # what may change something comes last


def sight(page, role):
    """What roles see alike has one name; a page of ``DIFFER`` is each role's own."""
    name = page.name.removeprefix(f"{role}-")
    return page.name if name in DIFFER else name


def _all(places, role, language, wanted):
    yield from _of_patterns(places, role, wanted)
    for name, url in _others(places, role):
        name = slug(f"{role}-{name}")
        if wanted(name):
            yield from _answered(places, role, name, url)
    wrong = MISSING if role == "visitor" else SIGNED_IN | FORBIDDEN.get(role, {})
    for url, status in wrong.items():
        yield Page(slug(f"{role}-{status}{slug(url)}"), url, status)
    if role == "visitor":
        yield from _accidents(language)


def _of_patterns(places, role, wanted):
    for pattern in walk():
        public = matrix.REGISTRY.get(pattern.name, {}).get("public") and role != "visitor"  # a visitor sees the same
        if public or pattern.name in ENDS_THE_SESSION:
            continue
        acts = [("submit", "refused")] if pattern.name in REFUSED else []
        acts += [("pick", "picked")] if pattern.name in PICKED else []
        for suffix, url in _addresses(places, pattern):
            name = slug(f"{role}-{pattern.name}{suffix}")
            if not any(wanted(one) for one in (name, *(f"{name}~{word}" for _act, word in acts))):
                continue
            for page in _answered(places, role, name, url, grows=pattern.name in GROWS):
                yield page
                yield from (Page(f"{name}~{word}", url, act=(act,)) for act, word in acts if page.status == 200)


def _addresses(places, pattern):
    if pattern.is_admin:
        yield from _of_settings(pattern)
    elif not matrix.REGISTRY[pattern.name].get("elsewhere"):
        try:
            url = matrix.url_of(pattern, matrix.REGISTRY[pattern.name], places, "own")
        except NoReverseMatch:  # there is no such record in this company
            return
        if url:
            yield "", url


def _of_settings(pattern):
    """Addresses of Django's own pages: its latest row stands for each model."""
    route = "/" + pattern.route
    if not pattern.params:
        yield "", route
    elif pattern.params == ("app_label",):
        for app in sorted({model._meta.app_label for model in admin.site._registry}):
            yield f"-{app}", f"/admin/{app}/"
    elif match := re.match(r"/admin/(\w+)/(\w+)/", route):
        row = apps.get_model(*match.groups())._default_manager.order_by("-pk").first()
        if row is not None:
            yield "", re.sub(r"<[^>]+>", str(row.pk).replace("_", "_5F"), route)


def _others(places, role):
    """(name, address) of what one record of each kind does not show."""
    yield from LISTS.items()
    for key in REPORTS:
        url = f"/reports/{key}/"
        yield f"reports-{key}", url
        inner = re.search(r'href="(/reports/rows/[^"]+)"', _asked(places, role, url)[1])
        if inner:
            yield f"reports-{key}-rows", inner[1].replace("&amp;", "&")
    for name in (
        "/leads/?state=all",
        "/deals/?state=all",
        "/people/",
        "/companies/",
        "/receipts/",
        "/mail/",
        "/notices/",
    ):
        text = _asked(places, role, name)[1]
        if after := re.search(r'class="btn btn-ghost" href="([^"]*after=[^"]+)"', text):
            yield (
                f"{slug(name).strip('-')}~2",
                name.partition("?")[0] + "?" + after[1].replace("&amp;", "&").partition("?")[2],
            )
    yield from _records(role)
    if role == "admin":
        yield from _doors()
    if role == "visitor":
        yield from _public(places)


def _records(role):
    """The states of a card: what is closed, lost, imported, refused looks otherwise."""
    if role == "visitor":
        return
    for model, address in ((Lead, "leads"), (Deal, "deals")):
        for owner, rows in (("own", model.objects.filter(owner__username="manager")), ("any", model.objects.all())):
            for row in rows.order_by("status", "pk").distinct("status"):
                yield f"{address}-card~{row.status}-{owner}", f"/{address}/{row.pk}/"
    told = {
        "/leads/imports/": (Import, ["state"]),
        "/mail/": (Message, ["state"]),
        "/letters/": (IncomingLetter, ["sort"]),
        "/receipts/": (Submission, ["state", "reason"] if role == "admin" else ["state"]),
        "/sequences/": (Sequence, ["pk"]),
    }
    for address, (model, kinds) in told.items():
        for row in model.objects.order_by(*kinds, "-pk").distinct(*kinds):
            yield f"{address.strip('/')}~" + "-".join(str(getattr(row, kind)) for kind in kinds), f"{address}{row.pk}/"
    if row := Person.objects.filter(company=None).order_by("pk").first():
        yield "person~alone", f"/people/{row.pk}/"


def _doors():
    """Each kind of source: its page, its settings, what belongs to it; the form by which one is made."""
    for source in Source.objects.order_by("key"):
        for part in ("", "edit/", "form/", "mapping/", "people/", "codes/"):
            yield f"source-{source.key}{slug('/' + part)}", f"/sources/{source.key}/{part}"
    for adapter in ADAPTERS:
        yield f"source-new-{adapter}", f"/sources/new/?adapter={adapter}"


def _public(places):
    for source in Source.objects.order_by("key"):
        for door in ("f", "chat"):
            yield f"{door}-{source.key}", f"/{door}/{source.key}/"
    user = places.actors["manager"]
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    yield "password-reset-confirm", f"/password/reset/{uid}/{default_token_generator.make_token(user)}/"
    if message := Message.objects.exclude(token="").exclude(lead=None).first():
        yield "unsubscribe", f"/u/{message.token}/"
    if row := Confirmation.objects.first():
        yield "confirm", "/" + confirmations.link(row).partition("//")[2].partition("/")[2]


def _answered(places, role, name, url, grows=False):
    """The page, where the role gets a whole one; what breaks is looked at as well, and found."""
    status, text = _asked(places, role, url)
    follows = status == 302 and url.startswith("/password/reset/")
    if status >= 500 or (status == 200 and "<html" in text) or follows:
        yield Page(name, url, grows=grows and status == 200)
    elif status in {400, 410, 422} and "<html" in text:
        yield Page(name, url, status)


def _asked(places, role, url):
    status, text, _written = matrix.send(places, role, "GET", url, {"Accept": "text/html"})
    return status, text


def _accidents(language):
    """Pages that nobody can ask for."""
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    made = {
        "400": lambda: errors.bad_request(request, None),
        "403-csrf": lambda: errors.csrf_failure(request),
        "500": lambda: errors.server_error(request),
        "503": lambda: errors.unavailable(RequestFactory().get("/", headers={"Accept": "text/html"})),
    }
    for name, make in made.items():
        with translation.override(language):
            request.LANGUAGE_CODE = language
            yield Page(f"visitor-accident-{name}", f"/accident/{name}/", html=make().content.decode())


def slug(text):
    """A part of a file's name."""
    return re.sub(r"[^\w~]+", "-", text).replace("_", "-").rstrip("-")
