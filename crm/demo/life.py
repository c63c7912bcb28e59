"""The life of one lead, from enquiry to money, as rows: drawn from a seed, by the rules that are in force.

Pure but for the tables that the rows are added to. All times are seconds since the epoch, none later than now.
"""

import hashlib
import heapq
import itertools
import json
import uuid
from datetime import UTC, datetime
from decimal import Decimal

from crm.demo.words import feminine
from deals.models import Deal, DealStageMove
from leads.identity import company_key
from leads.models import (
    Assignment,
    Company,
    Consent,
    Engagement,
    Identity,
    Interaction,
    Kind,
    Lead,
    Message,
    Person,
    StageMove,
    Task,
    Touch,
)
from routing.strategies import Candidate, turn
from scoring.models import Evidence
from scoring.rules import (
    Have,
    band_of,
    decay_steps,
    engagement_changes,
    event_facts,
    first_decay,
    fit_changes,
    qualification_of,
)

ZERO = Decimal(0)
MINUTE, HOUR, DAY = 60, 3600, 86400
QUIET = {"band_changed", "qualified", "owner_changed", "parked", "email_opened", "task_set"}
SAID = {"reached": (0, 3, 4), "callback": (1,), "no_answer": (2,)}  # places among the words of calls
BROWSER = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36"


def when(seconds):
    return datetime.fromtimestamp(seconds, UTC)


class Ledger:
    """Receipts in the order of their time, as they would have come: a later one waits for the enquiries before it."""

    def __init__(self, table):
        self.table, self.waiting, self.turn = table, [], itertools.count()

    def add(self, at, **values):
        """A receipt after which none of an earlier time comes but those put off; returns its key."""
        self.catch_up(at)
        return self.table.add(received_at=at, **values)

    def put_off(self, at, **values):
        heapq.heappush(self.waiting, (at, next(self.turn), values))

    def catch_up(self, until):
        while self.waiting and self.waiting[0][0] <= until:
            at, _turn, values = heapq.heappop(self.waiting)
            self.table.add(received_at=at, **values)


class Life:
    """One person with one lead. ``number`` makes contacts unique; ``created`` is when the enquiry came."""

    def __init__(self, world, tables, rng, number, created):
        self.world, self.tables, self.rng, self.number, self.created = world, tables, rng, number, created
        self.now = world.now
        self.events = []  # (at, kind, by, text, details, deal, message)
        self.moves = 0
        self.at = created

    # --- Draws --------------------------------------------------------------------------------------------------------
    def chance(self, share):
        return self.rng.random() < share

    def after(self, mean):
        """Some time later, exponentially distributed, in seconds."""
        return self.at + max(MINUTE, self.rng.expovariate(1 / mean))

    def tell(self, kind, at, by=None, text="", deal=None, message=None, **details):
        self.events.append((at, str(kind), by, text, details, deal, message))

    # --- Who they are ----------------------------------------------------------------------------------------------------
    def meet(self):
        text, rng = self.world.words, self.rng
        woman = self.chance(0.5)
        surname = rng.choice(text["surnames"])
        first = rng.choice(text["women" if woman else "men"])
        self.name = f"{first} {feminine(surname) if woman else surname}"
        firm = self.chance(0.4)
        self.product = rng.choice(self.world.products)
        n = self.number
        self.fields = {
            "name": self.name,
            "phone": f"+79{n % 10**9:09d}",
            "email": f"client{n}@example.test" if self.chance(0.75) else "",
            "company_name": self._firm() if firm else "",
            "job_title": rng.choice(text["titles"]) if firm and self.chance(0.7) else "",
            "industry": rng.choice(text["industries"]) if firm else "",
            "city": rng.choice(text["cities"]),
            "product": self.product.name,
            "need": rng.choice(text["needs"]).format(self.product.name, rng.randint(2, 40)) if self.chance(0.8) else "",
            "budget": Decimal(int(float(self.product.price) * rng.uniform(0.6, 4)) // 1000 * 1000)
            if self.chance(0.5)
            else None,
            "tags": ["VIP"] if self.chance(0.02) else [],
        }
        self.company = self._company() if firm else None
        tables = self.tables
        self.person = tables[Person].add(
            name=self.name, company_id=self.company, job_title=self.fields["job_title"], city=self.fields["city"],
            sex="f" if woman else "m", created_at=self.created,
        )  # fmt: skip
        for kind in ("phone", "email"):
            if self.fields[kind]:
                tables[Identity].add(person_id=self.person, kind=kind, value=self.fields[kind], created_at=self.created)

    def _firm(self):
        return self.world.words["legal"].format(self.rng.choice(self.world.words["firms"]), self.number // 3)

    def _company(self):
        key = company_key(self.fields["company_name"])
        known = self.world_companies
        if key not in known:
            known[key] = self.tables[Company].add(
                name=self.fields["company_name"], name_key=key, city=self.fields["city"],
                industry=self.fields["industry"], created_at=self.created,
            )  # fmt: skip
        return known[key]

    # --- How they came ----------------------------------------------------------------------------------------------------
    def arrive(self):
        rng, world = self.rng, self.world
        self.source = world.sources[0 if self.chance(0.7) else 1]
        self.origin = rng.choice(world.origins)
        paid = self.origin.channel == "ads"
        self.campaign = rng.choice(world.words["campaigns"]) if paid else ""
        self.marks = {"utm_source": self.origin.name, "utm_campaign": self.campaign} if paid else {}
        self.lead = self.tables[Lead].key()
        self.receipt = self.receive("lead")
        self.tables[Touch].add(
            person_id=self.person, lead_id=self.lead, submission_id=self.receipt, at=self.created,
            origin_id=self.origin.id, marks=self.marks,
        )  # fmt: skip
        if world.consent:
            self.tables[Consent].add(
                person_id=self.person, text_id=world.consent.id, submission_id=self.receipt, given_at=self.created
            )
        self.tell(Kind.CAPTURED, self.created, text=self.fields["need"], source=self.source.name)
        self.tables[StageMove].add(
            lead_id=self.lead, kind="entered", to_stage_id=world.lead_stages[0].id, at=self.created
        )
        for _view in range(rng.choice([0, 0, 0, 1, 2, 3])):
            page = rng.choice(world.words["pages"])
            self.tell(Kind.PAGE_VIEW, min(self.now, self.after(2 * DAY)), url=page)

    def receive(self, state, at=None, reason=""):
        """A receipt of the ledger; the key of the lead's own one, which is the first."""
        shown = {name: str(value) for name, value in self.fields.items() if value and name != "tags"}
        body = json.dumps(shown | self.marks, ensure_ascii=False).encode()
        signs = [{"kind": kind, "value": shown[kind]} for kind in ("phone", "email") if kind in shown]
        parsed = {**shown, "identities": signs, "marks": self.marks, "consent": True}
        at = at or self.created
        alive = state in {"lead", "merged"}
        write = self.ledger.add if state == "lead" else self.ledger.put_off
        return write(
            at, receipt=uuid.UUID(int=self.rng.getrandbits(128)), source_id=self.source.id, body=body,
            path=f"/capture/{self.source.key}/", content_type="application/json", headers={}, state=state, reason=reason,
            sha256=hashlib.sha256(body).hexdigest(), parsed=parsed, warnings=[], judged_at=at + 1,
            person_id=self.person if alive else None, lead_id=self.lead if alive else None,
        )  # fmt: skip

    # --- Who works with them ------------------------------------------------------------------------------------------------
    def assign(self):
        world = self.world
        on_leave = world.managers[-1].id if self.created > self.now - 3 * DAY else None
        present = [
            Candidate(user=user, name=name, weight=weight, debt=world.debts.get(user, ZERO))
            for user, (name, weight) in world.candidates.items()
            if user != on_leave
        ]
        receiver, deltas = turn(present)
        for user, delta in deltas.items():
            world.debts[user] = world.debts.get(user, ZERO) + delta
            self.world_deltas[user] = self.world_deltas.get(user, ZERO) + delta
        self.world_given[receiver.user] = self.world_given.get(receiver.user, 0) + 1
        self.owner = next(m for m in world.managers if m.id == receiver.user)
        self.assigned = min(self.now, self.created + self.rng.randint(1, 20))
        step = {
            "rule": world.routing.id, "name": world.routing.name, "matched": True, "strategy": "evenly",
            "test": world.routing.condition, "given": receiver.user, "more": len(present) - 1,
            "candidates": [{
                "user": receiver.user, "name": receiver.name, "at_work": True, "before": str(receiver.debt),
                "after": str(receiver.debt + deltas[receiver.user]),
            }],
        }  # fmt: skip
        self.assignment = self.tables[Assignment].add(
            lead_id=self.lead, to_owner_id=self.owner.id, how="rule", at=self.assigned, trace=[step]
        )
        facts = {"how": "rule", "assignment": self.assignment, "from": None, "to": self.owner.id}
        self.tell(Kind.OWNER_CHANGED, self.assigned, name=str(self.owner), **facts)

    def greet(self):
        if not self.fields["email"] or self.world.welcome is None:
            return
        text, at = self.world.words, min(self.now, self.assigned + 2)
        opened = self.after(8 * HOUR) if self.chance(0.45) else None
        opened = opened if opened and opened < self.now else None
        message = self.tables[Message].add(
            kind="welcome", lead_id=self.lead, person_id=self.person, template_id=self.world.welcome.id,
            dedup=f"welcome:s{self.receipt}", token=f"{self.rng.getrandbits(144):036x}"[:32],
            sender=f"{self.owner} <sales@example.test>", to=self.fields["email"], subject=text["welcome"],
            text=text["welcome_text"], state="sent", created_at=at, claimed_at=at, sent_at=at, first_open_at=opened,
        )  # fmt: skip
        self.tell(Kind.EMAIL_OUT, at, text=text["welcome"], message=message, letter="welcome")
        if opened:
            self.tables[Engagement].add(
                message_id=message, kind="open", at=opened, is_human=True, reason="person", user_agent=BROWSER
            )
            self.tell(Kind.EMAIL_OPENED, opened, text=text["welcome"], message=message)

    # --- What happens to them -----------------------------------------------------------------------------------------------
    def work(self):
        """Calls, notes and moves until it ends well, ends badly or the day of today comes."""
        self.stage, self.entered, self.status = 0, self.created, "open"
        self.answered = self.closed = self.reason = None
        self.at = self.created
        self.pace = 60 * DAY if self.chance(0.2) else 4 * DAY  # some thinkers stay open for months
        quick = self.rng.expovariate(1 / (25 * MINUTE))
        self.step_to(self.created + 3 * MINUTE + quick, self.answer)
        while self.status == "open" and self.at < self.now and self.answered:
            if not self.step_to(self.after(self.pace), self.next_thing):
                break

    def step_to(self, at, what):
        """Do something at that time, unless it has not come yet."""
        if at >= self.now:
            return False
        self.at = at
        what()
        return True

    def answer(self):
        self.answered = self.at
        self.call()
        if self.chance(0.85):
            self.move(1)

    def call(self):
        result = self.rng.choice(["reached", "reached", "reached", "no_answer", "callback"])
        said = self.rng.choice([self.world.words["calls"][n] for n in SAID[result]])
        self.tell(Kind.CALL, self.at, by=self.owner.pk, text=said, result=result, direction="out")

    def next_thing(self):
        draw = self.rng.random()
        if draw < 0.22:
            self.call()
        elif draw < 0.32:
            self.tell(Kind.NOTE, self.at, by=self.owner.id, text=self.rng.choice(self.world.words["notes"]))
        elif draw < 0.36 and self.fields["email"]:
            self.tell(Kind.REPLIED, self.at)
        elif draw < 0.39:
            self.return_again()
        elif draw < 0.60:
            self.close("rejected", self.rng.choice(self.world.lead_reasons))
        elif self.stage < len(self.world.lead_stages) - 1:
            self.move(self.stage + 1)
        elif self.chance(0.6):
            self.convert()
        elif self.chance(0.2):
            self.move(self.stage - 1)

    def return_again(self):
        self.receive("merged", self.at)
        self.tell(Kind.RECAPTURED, self.at, text=self.fields["need"], source=self.source.name)

    def move(self, to):
        stages = self.world.lead_stages
        source, target = stages[self.stage], stages[to]
        if any(not self.fields.get(name) for name in target.required_fields):
            self.fields["need"] = self.fields["need"] or self.world.words["needs"][0].format(self.product.name, 3)
        kind = "moved" if to == self.stage + 1 else "skipped" if to > self.stage else "returned"
        self.book(kind, source.id, target.id)
        self.tell(Kind.STAGE_MOVED, self.at, by=self.owner.id, move=kind, **{"from": source.name, "to": target.name})
        self.stage, self.entered = to, self.at

    def book(self, kind, source, target, reason=None):
        self.moves += 1
        self.tables[StageMove].add(
            lead_id=self.lead, kind=kind, from_stage_id=source, to_stage_id=target, at=self.at, by_id=self.owner.id,
            reason_id=reason, seconds=int(self.at - self.entered),
        )  # fmt: skip

    def close(self, status, reason=None):
        stage = self.world.lead_stages[self.stage].id
        self.status, self.closed, self.reason = status, self.at, reason
        self.book(status, stage, stage, reason and reason.id)
        if status == "rejected":
            self.tell(Kind.REJECTED, self.at, by=self.owner.id, reason=reason.name)

    # --- Money ------------------------------------------------------------------------------------------------------------
    def convert(self):
        self.close("converted")
        self.deal = self.tables[Deal].key()
        stages = self.world.deal_stages
        amount = self.fields["budget"] or Decimal(
            int(float(self.product.price) * self.rng.uniform(0.5, 5)) // 100 * 100
        )
        opened = entered = self.at
        sums = {"amount": str(amount), "currency": self.world.currency}
        title = f"{self.product.name}: {self.fields['company_name'] or self.name}"[:200]
        self.tell(Kind.CONVERTED, self.at, by=self.owner.id, deal=self.deal, title=title, **sums)
        self.deal_move("entered", None, stages[0].id, 0, amount)
        place, status, closed, reason, moves, active = 0, "open", None, None, 0, self.at
        expected = opened + self.rng.uniform(20, 60) * DAY
        while status == "open":
            at = self.after(9 * DAY)
            if at >= self.now:
                break
            self.at = active = at
            draw, moves = self.rng.random(), moves + 1
            here = stages[place].id
            if draw < 0.14:
                status, closed, reason = "lost", at, self.rng.choice(self.world.deal_reasons)
                self.deal_move("lost", here, here, at - entered, amount, reason.id)
                self.tell(Kind.DEAL_LOST, at, self.owner.id, deal=self.deal, title=title, reason=reason.name, **sums)
            elif place < len(stages) - 1:
                self.deal_move("moved", here, stages[place + 1].id, at - entered, amount)
                facts = {"move": "moved", "from": stages[place].name, "to": stages[place + 1].name, "title": title}
                self.tell(Kind.DEAL_MOVED, at, self.owner.id, deal=self.deal, **facts)
                place, entered = place + 1, at
            else:
                status, closed = "won", at
                self.deal_move("won", here, here, at - entered, amount)
                self.tell(Kind.DEAL_WON, at, self.owner.id, deal=self.deal, title=title, **sums)
        due = self.task(opened, active, self.deal) if status == "open" and self.chance(0.8) else None
        self.tables[Deal].add(
            id=self.deal, person_id=self.person, company_id=self.company, lead_id=self.lead, title=title, amount=amount,
            currency=self.world.currency, expected_close=when(expected).date(), pipeline_id=stages[0].pipeline_id,
            stage_id=stages[place].id, status=status, stage_entered_at=entered, version=moves, closed_at=closed,
            lost_reason_id=reason and reason.id, owner_id=self.owner.id, team_id=self.owner.team_id, created_at=opened,
            active_at=active, next_step_at=due,
        )  # fmt: skip

    def deal_move(self, kind, source, target, seconds, amount, reason=None):
        self.tables[DealStageMove].add(
            deal_id=self.deal, kind=kind, from_stage_id=source, to_stage_id=target, at=self.at, by_id=self.owner.id,
            reason_id=reason, seconds=int(seconds), amount=amount,
        )  # fmt: skip

    def task(self, since, active, deal=None):
        """An open task around now: some of them overdue. Returns when it is due."""
        due = self.now + self.rng.uniform(-3, 5) * DAY
        due = max(due, min(self.now, active + HOUR))
        title = self.rng.choice(self.world.words["tasks"])
        self.tables[Task].add(
            person_id=self.person, lead_id=self.lead, deal_ref=deal, title=title, due_at=due,
            assignee_id=self.owner.id, by_id=self.owner.id, created_at=active,
        )  # fmt: skip
        return due

    # --- What it adds up to -------------------------------------------------------------------------------------------------
    def settle(self):
        """Write the timeline, the evidence by the rules in force, and the lead's row that follows from both."""
        self.events.sort(key=lambda event: event[0])
        facts = self.fields | {"source": self.source.key, "channel": self.source.channel, "origin": self.origin.name,
                               "campaign": self.campaign, "language": "", "region": "", "country": "", "enquiries": 1}  # fmt: skip
        points, active, have = [], self.created, {}
        for at, kind, by, text, details, deal, message in self.events:
            key = self.tables[Interaction].add(
                person_id=self.person, lead_id=self.lead, deal_ref=deal, kind=kind, at=at, by_id=by, text=text,
                details=details, submission_id=self.receipt if kind == "captured" else None, message_id=message,
            )  # fmt: skip
            points += self.score(kind, at, text, details, key, facts, have)
            if kind not in QUIET:
                active = at
        self.conclude(points, active)

    def score(self, kind, at, text, details, key, facts, have):
        """Evidence of one interaction; returns [(at, points)] with its decays up to now."""
        book, rows, given = self.world.book, [], []
        if kind == "captured":
            given += [(change, None) for change in fit_changes(book.fit, facts, {})]
        listening = book.on.get(kind)
        if listening:
            for change in engagement_changes(listening, facts | event_facts(details, text), have):
                had = have.get(change.rule.id, Have())
                have[change.rule.id] = Have(had.total + change.points, had.times + 1)
                given.append((change, first_decay(change.points, when(at), change.rule.half_life)))
        for change, decays in given:
            rows += self.evidence(change, key, at, decays)
        return rows

    def evidence(self, change, key, at, decays):
        table, rule = self.tables[Evidence], change.rule
        steps, left = decay_steps(change.points, decays, rule.half_life, until=when(self.now))
        common = {"lead_id": self.lead, "rule_id": rule.id, "kind": rule.kind, "interaction_id": key}
        origin = table.add(points=change.points, why=change.why, at=at, decays_at=left, **common)
        for step, points, due in steps:
            table.add(points=points, step=step, origin_id=origin, at=due, **common)
        total = change.points if rule.kind == "fit" else 0
        return [(at, change.points, total)] + [(due.timestamp(), points, 0) for _step, points, due in steps]

    def conclude(self, points, active):
        limits, score, band, level = self.world.book.thresholds, 0, "cold", 0
        reached = {1: None, 2: None}
        instants = {}
        for at, change, _fit in points:
            instants[at] = instants.get(at, 0) + change
        for at in sorted(instants):
            score += instants[at]
            fresh, step = band_of(score, limits), qualification_of(score, limits)
            if fresh != band:
                self.note(Kind.BAND_CHANGED, at, {"from": band, "to": fresh, "score": score})
            if step > level:
                self.note(Kind.QUALIFIED, at, {"from": level, "to": step, "score": score})
                reached |= {n: at for n in (1, 2) if level < n <= step}
            band, level = fresh, max(level, step)
        self.write(score, sum(fit for _at, _points, fit in points), band, level, reached, active)

    def note(self, kind, at, details):
        self.tables[Interaction].add(
            person_id=self.person, lead_id=self.lead, kind=str(kind), at=at, details=details | {"cause": None}
        )

    def write(self, score, fit, band, level, reached, active):
        stage = self.world.lead_stages[self.stage]
        is_open = self.status == "open"
        due = self.task(self.created, self.at) if is_open and self.answered and self.chance(0.75) else None
        self.tables[Lead].add(
            id=self.lead, person_id=self.person, company_id=self.company, source_id=self.source.id,
            first_origin_id=self.origin.id, last_origin_id=self.origin.id, first_campaign=self.campaign,
            last_campaign=self.campaign, pipeline_id=stage.pipeline_id, stage_id=stage.id, status=self.status,
            stage_entered_at=self.entered, version=self.moves, closed_at=self.closed,
            rejected_reason_id=self.reason and self.reason.id, owner_id=self.owner.id, team_id=self.owner.team_id,
            assigned_at=self.assigned, score=score, fit=fit, engagement=score - fit, band=band, qualification=level,
            mql_at=reached[1], sql_at=reached[2], created_at=self.created, active_at=active,
            waiting_since=self.created if is_open and not self.answered else None, answered_at=self.answered,
            next_step_at=due, **self.fields,
        )  # fmt: skip
