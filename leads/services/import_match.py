"""Whom the rows of a list speak of: one look at the index of identities for a whole chunk."""

import json
from collections import defaultdict

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection

from crm.core.copying import stage
from leads.importing.plan import Card, World
from leads.models import Lead, Tombstone
from leads.services.intake import ASKED_FIELDS, OWN_FIELDS, choose, many

FACTS = (*OWN_FIELDS, *ASKED_FIELDS, "phone", "email", "tags", "custom")
ATTRIBUTED = ("company_id", "first_origin_id", "last_origin_id", "first_campaign", "last_campaign")
KNOWN = """
    select i.kind, i.scope, i.value, i.is_shared, p.id, p.name, p.job_title, p.city, p.language, p.company_id
    from importing_wanted w
    join leads_identity i on i.kind = w.kind and i.scope = w.scope and i.value = w.value
    join leads_person p on p.id = i.person_id order by i.id"""
WANTED = {"kind": "text", "scope": "text", "value": "text"}
LATEST = """
    select l.id from unnest(%s::bigint[]) as w(person)
    cross join lateral (select id from leads_lead where person_id = w.person
                        order by (status <> 'open'), id desc limit 1) l"""


def signs_of(records):
    """The signs of a chunk, each once, in one order."""
    return sorted({(k.kind, k.scope, k.value) for r in records for k in r.signs if k.kind != "visitor"})


def load(records, *, lock, overlay=None):
    """The World that these rows need; ``lock`` holds the leads found until the end of the transaction we are in."""
    signs = signs_of(records)
    world = World(choose, overlay.key if overlay else -1, of_many=many(), erased=_erased(signs))
    stage("importing_wanted", WANTED, signs)
    with connection.cursor() as cursor:
        cursor.execute(KNOWN)
        for kind, scope, value, shared, pk, name, title, city, language, company in cursor.fetchall():
            if pk not in world.cards:
                about = {"name": name, "job_title": title, "city": city, "language": language}
                world.cards[pk] = Card(pk, name=name, about=about, company=company)
            world.know(kind, scope, value, world.cards[pk], shared=shared)
        cursor.execute(LATEST, [list(world.cards)])
        keys = [row[0] for row in cursor.fetchall()]
    _add_leads(world, keys, lock)
    if overlay:
        overlay.add_to(world)
    return world


def _erased(signs):
    """Those of people who were deleted on purpose: a list does not make them anew."""
    if not Tombstone.objects.exists():
        return frozenset()
    digests = {Tombstone.digest_of(kind, value, scope): (kind, scope, value) for kind, scope, value in signs}
    found = Tombstone.objects.filter(digest__in=list(digests)).values_list("digest", flat=True)
    return frozenset(digests[digest] for digest in found)


def _add_leads(world, keys, lock):
    leads = Lead.objects.filter(pk__in=keys).order_by("pk")
    if lock:
        leads = leads.select_for_update(no_key=True)
    for lead in leads.values("pk", "person_id", *ATTRIBUTED, *FACTS) if keys else ():
        card = world.cards[lead["person_id"]]
        card.lead, card.had = lead["pk"], lead
        card.facts = {name: lead[name] for name in FACTS} | {"origin": lead["first_origin_id"]}


class Overlay:
    """What a dry run would have written so far, in temporary tables: rows further down the file must find it."""

    def __init__(self):
        self.key = -1
        with connection.cursor() as cursor:
            cursor.execute("""
                drop table if exists importing_signs, importing_cards;
                create temp table importing_signs (kind text, scope text, value text, person bigint, shared boolean);
                create index on importing_signs (kind, scope, value);
                create temp table importing_cards (person bigint primary key, name text, facts jsonb)""")

    def add_to(self, world):
        with connection.cursor() as cursor:
            cursor.execute(
                """select s.kind, s.scope, s.value, s.shared, s.person from importing_wanted w
                   join importing_signs s on s.kind = w.kind and s.scope = w.scope and s.value = w.value"""
            )
            found = cursor.fetchall()
            people = list({*world.cards, *(row[4] for row in found)})
            cursor.execute("select person, name, facts from importing_cards where person = any(%s)", [people])
            for pk, name, facts in cursor.fetchall():
                card = world.cards.setdefault(pk, Card(pk, name=name))
                card.facts, card.lead = json.loads(facts) if isinstance(facts, str) else facts, card.lead or 0
        for kind, scope, value, shared, pk in found:
            world.know(kind, scope, value, world.cards[pk], shared=shared)

    def keep(self, world, results):
        """Remember what the rows of this chunk would have made."""
        self.key = world.key
        touched = {r.card.pk: r.card for r in results if r.state in {"created", "updated"}}
        signs, cards = defaultdict(list), []
        for card in touched.values():
            cards.append((card.pk, card.name, json.dumps(card.facts, cls=DjangoJSONEncoder)))
            for known, shared in card.learned:
                signs[(known.kind, known.scope, known.value, card.pk, shared)] = []
        with connection.cursor() as cursor:
            if cards:
                cursor.execute(
                    """insert into importing_cards select * from unnest(%s::bigint[], %s::text[], %s::jsonb[])
                       on conflict (person) do update set facts = excluded.facts""",
                    [list(column) for column in zip(*cards, strict=True)],
                )
            if signs:
                cursor.execute(
                    """insert into importing_signs (kind, scope, value, person, shared)
                       select * from unnest(%s::text[], %s::text[], %s::text[], %s::bigint[], %s::boolean[])""",
                    [list(column) for column in zip(*signs, strict=True)],
                )

    def drop(self):
        with connection.cursor() as cursor:
            cursor.execute("drop table if exists importing_signs, importing_cards")
