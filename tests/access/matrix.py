"""Roles × URL patterns × whose record: what is allowed is answered, what is not is refused, writes nothing, leaks nothing."""

import re
from pathlib import Path
from urllib.parse import urlencode

import yaml
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from tests.access.walk import walk

REGISTRY = yaml.safe_load((Path(__file__).parent / "registry.yaml").read_text())
REFUSED = {401, 403, 404}
BOOKKEEPING = ["django_session", "core_apikey", "axes_accessattempt", "axes_accesslog", "axes_accessfailurelog"]
SELLERS = {"rep": {"own"}, "outsider": {"other"}, "head": {"own", "mate", "nobody"}}
EVERYTHING = {"own", "mate", "other", "nobody"}
HTMX = {"HX-Request": "true"}
WRITES = """
    select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) from pg_stat_xact_user_tables
    where relname <> all(%s)"""


def may_see(actor, label):
    """Whether the actor sees the bundle at all (its canary may stand in an answer)."""
    return label in SELLERS.get(actor, EVERYTHING if actor in {"marketer", "admin"} else set())


def allowed(entry, actor, label, method):
    """Whether the registry lets the actor do this to a bundle's record (label None: no record is named)."""
    if entry.get("public"):
        return True
    if actor == "anonymous" or (entry.get("roles") and role_of(actor) not in entry["roles"]):
        return False
    if method == "POST" and entry.get("writers") and role_of(actor) not in entry["writers"]:
        return False
    if label is None:
        return True
    if label == "missing":
        return False
    if "personal" in entry:
        return actor == {"own": "rep", "other": "outsider"}.get(label) or (
            actor == "admin" and "admin" in entry["personal"]
        )
    return may_see(actor, label) or role_of(actor) in entry.get("all_roles", ())


def sees_all_of(entry, actor):
    """Receipts are for heads as well: whose enquiry it is they learn there."""
    return role_of(actor) in entry.get("all_roles", ())


def role_of(actor):
    return {"rep": "manager", "outsider": "manager"}.get(actor, actor)


def writes():
    with connection.cursor() as cursor:
        cursor.execute(WRITES, [BOOKKEEPING])
        return cursor.fetchone()[0]


def url_of(pattern, entry, world, label):
    """The pattern's address for a bundle; None where the bundle has no such record."""
    values = {}
    for name in pattern.params:
        what = str(entry.get("params", {}).get(name, ""))
        if what in world.fixed:
            values[name] = world.fixed[what]
        elif not any(what in bundle.params for bundle in world.bundles.values()):
            values[name] = what  # a plain value
        elif label == "missing":
            values[name] = 987654321
        elif what in world.bundles[label].params:
            values[name] = world.bundles[label].params[what]
        else:
            return None
    if "<" not in pattern.name:
        return reverse(pattern.name, kwargs=values)
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda match: str(values[match[1]]), pattern.route)


def text_of(response):
    if getattr(response, "streaming", False):
        return b"".join(response.streaming_content).decode(errors="replace") if not response.is_async else ""
    return response.content.decode(errors="replace") + str(response.headers)


def client_of(world, actor):
    """A client of the actor, signed in once."""
    if actor not in world.clients:
        client = world.clients[actor] = Client(raise_request_exception=False)
        if world.actors[actor] is not None:
            client.force_login(world.actors[actor], backend="django.contrib.auth.backends.ModelBackend")
    return world.clients[actor]


def send(world, actor, method, url, headers, form=None):
    """(status, text, rows written); whatever was done is undone."""
    body = urlencode(form or {}).encode() if method == "POST" else b""
    client = client_of(world, actor)
    with transaction.atomic():
        before = writes()
        response = client.generic(method, url, body, "application/x-www-form-urlencoded", headers=headers)
        text, written = text_of(response), writes() - before
        transaction.set_rollback(True)
    to_login = response.status_code == 302 and "/login/" in response.headers["Location"]
    return 401 if to_login else response.status_code, text, written


def violations(world, patterns=None):
    """What the product does otherwise than the registry says, in words; empty is right."""
    found = []
    for pattern in patterns or [p for p in walk() if not p.is_admin and not REGISTRY.get(p.name, {}).get("elsewhere")]:
        entry = REGISTRY[pattern.name]
        labels = [*world.bundles, "missing"] if entry.get("object") else [None]
        for label in labels:
            url = url_of(pattern, entry, world, label)
            if url is not None:
                found += _at(world, pattern, entry, label, url)
    return found


def _at(world, pattern, entry, label, url):
    found = []
    for actor in world.actors:
        if actor == "anonymous" and label not in {None, "own"}:
            continue  # who is not signed in is sent away before any record is looked for
        for method, headers in (("GET", {}), ("GET", HTMX), ("POST", {})):
            if headers and actor not in {"anonymous", "rep"}:
                continue
            where = f"{method} {pattern.name} {label or ''} as {actor}{' (htmx)' if headers else ''}"
            form = {name: world.fixed.get(what, what) for name, what in entry.get("form", {}).items()}
            status, body, written = send(world, actor, method, url, headers, form)
            found += [
                f"{where}: {fault}" for fault in faults(entry, actor, label, method, status, body, written, world)
            ]
    return found


def faults(entry, actor, label, method, status, body, written, world):
    """What is wrong with one answer."""
    if status >= 500:
        yield f"answered {status}"
    ok = allowed(entry, actor, label, method)
    if not ok and status not in REFUSED | {405}:
        yield f"answered {status} where it must refuse"
    if ok and status in {401, 403} or (ok and status == 404 and label not in {None, "missing"}):
        yield f"refused with {status} what is allowed"
    if not ok and written:
        yield f"wrote {written} rows and refused with {status}"
    for name, bundle in world.bundles.items():
        knows = may_see(actor, name) or (ok and sees_all_of(entry, actor))
        if not knows and bundle.canary in body:
            yield f"leaks {bundle.canary}"
