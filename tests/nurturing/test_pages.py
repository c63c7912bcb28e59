"""Sequences' pages: who opens them, what they change, counts that open exactly their leads."""

import pytest

from leads.models import Template
from leads.services import optouts
from nurturing import services
from nurturing.models import Enrolment, Sequence, Step
from tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
HX = {"HX-Request": "true"}


@pytest.fixture
def chain(db):
    row = Sequence.objects.create(name="Warm up")
    Step.objects.create(sequence=row, position=1, kind="wait", hours=24)
    Step.objects.create(sequence=row, position=2, kind="task", title="Call")
    return row


def names(chain):
    return [str(step.title or step.hours) for step in chain.steps.filter(is_archived=False)]


def test_who_opens_and_who_writes(chain, rep, colleague, head, outsider, marketer, admin, signed_in):
    step = chain.steps.first()
    base = f"/sequences/{chain.pk}/"
    reads = ["/sequences/", base, base + "steps/", base + "leads/", base + "preview/"]
    writes = [
        "/sequences/new/",
        base + "switch/",
        base + "steps/new/",
        f"{base}steps/{step.pk}/",
        f"{base}steps/{step.pk}/remove/",
    ]
    seen = {}
    for user in (rep, outsider, head, marketer, admin):
        client = signed_in(user)
        refused = (
            {client.post(url, {"on": "1"}).status_code for url in writes} if user.role in {"manager", "head"} else {0}
        )
        seen[user.username] = ({client.get(url, headers=HX).status_code for url in reads}, refused)
    assert seen == {
        "rep": ({403}, {403}),
        "outsider": ({403}, {403}),
        "head": ({200}, {403}),
        "marketer": ({200}, {0}),
        "admin": ({200}, {0}),
    }
    assert (names(chain), Sequence.objects.count()) == (["24", "Call"], 1)


def test_a_marketer_builds_a_sequence(marketer, signed_in):
    client = signed_in(marketer)
    data = {
        "name": "New", "enrols_by_rule": "on",
        "condition-0-field": "city", "condition-0-op": "in", "condition-0-value": "Казань, Уфа",
    }  # fmt: skip
    assert client.post("/sequences/new/", data | {"condition-0-op": "gte"}).status_code == 422
    assert client.post("/sequences/new/", data, headers=HX).headers["HX-Redirect"]
    row = Sequence.objects.get()
    assert (row.condition, row.is_active) == ([{"field": "city", "op": "in", "value": ["Казань", "Уфа"]}], False)
    base = f"/sequences/{row.pk}/"
    assert client.post(base + "switch/", {"on": "1"}).status_code == 302
    row.refresh_from_db()
    assert not row.is_active  # nothing to do yet
    letter = Template.objects.create(name="T", subject="S", body="B")
    refused = [{"kind": "wait"}, {"kind": "email"}, {"kind": "task"}, {"kind": "wait", "hours": "9000"}, {"kind": "x"}]
    assert {client.post(base + "steps/new/", step, headers=HX).status_code for step in refused} == {422}
    for step in (
        {"kind": "email", "template": letter.pk},
        {"kind": "wait", "hours": "48"},
        {"kind": "task", "title": "Call"},
    ):
        assert client.post(base + "steps/new/", step, headers=HX).status_code == 204
    last = row.steps.get(kind="task")
    client.post(f"{base}steps/{last.pk}/move/", {"to": "up"}, headers=HX)
    assert [s.kind for s in row.steps.all()] == ["email", "task", "wait"]
    page = client.get(base).content.decode()
    assert page.index("data-dialog>T") < page.index("data-dialog>Call") < page.index("data-dialog>Wait 2 days")
    client.post(f"{base}steps/{last.pk}/remove/", headers=HX)
    assert [s.kind for s in row.steps.all()] == ["email", "wait"]
    client.post(base + "switch/", {"on": "1"})
    row.refresh_from_db()
    assert row.is_active


def test_counts_open_exactly_their_leads(chain, rep, head, admin, signed_in):
    leads = [LeadFactory(owner=rep, name=name) for name in ("Альфа", "Бета", "Гамма")]
    strange = LeadFactory(owner=None, name="Дельта")
    for lead in (*leads, strange):
        services.enrol_by_hand(lead, chain, by=admin)
    services.stop(leads[2], "replied")
    client = signed_in(admin)

    def shown(state):
        page = client.get(f"/sequences/{chain.pk}/leads/", {"state": state}).content.decode()
        return {name for name in ("Альфа", "Бета", "Гамма", "Дельта") if f">{name}</a>" in page}

    assert [shown("running"), shown("stopped"), shown("done"), shown("")] == [
        {"Альфа", "Бета", "Дельта"}, {"Гамма"}, set(), {"Альфа", "Бета", "Гамма", "Дельта"},
    ]  # fmt: skip


def test_a_head_counts_the_leads_of_the_own_teams(chain, rep, outsider, head, admin, signed_in):
    for owner in (rep, outsider, None):
        services.enrol_by_hand(LeadFactory(owner=owner), chain, by=admin)
    link = f'/sequences/{chain.pk}/leads/?state=running">'
    pages = [signed_in(user).get("/sequences/").content.decode() for user in (head, admin)]
    assert [page.split(link)[1][0] for page in pages] == ["2", "3"]
    listed = signed_in(head).get(f"/sequences/{chain.pk}/leads/?state=running").content.decode()
    assert listed.count("data-row>") == 2


def test_the_panel_on_the_card_enrols_and_stops(chain, rep, colleague, marketer, signed_in):
    lead = LeadFactory(owner=rep)
    client = signed_in(rep)
    assert "Warm up" in client.get(f"/leads/{lead.pk}/sequences/", headers=HX).content.decode()
    answer = client.post(f"/leads/{lead.pk}/sequences/enrol/", {"sequence": chain.pk}, headers=HX)
    assert answer.status_code == 200 and "lead:changed" in answer["HX-Trigger"]
    row = Enrolment.objects.get()
    assert (row.state, row.by) == ("running", rep)
    for user in (colleague, marketer):
        assert signed_in(user).post(f"/enrolments/{row.pk}/stop/", headers=HX).status_code == 404
    assert signed_in(colleague).get(f"/leads/{lead.pk}/sequences/").status_code == 404
    assert client.post(f"/enrolments/{row.pk}/stop/", headers=HX).status_code == 200
    row.refresh_from_db()
    assert (row.state, row.stopped_why) == ("stopped", "by_hand")


def test_nobody_is_enrolled_who_has_opted_out(chain, rep, signed_in):
    lead = LeadFactory(owner=rep)
    optouts.opt_out(lead.email)
    answer = signed_in(rep).post(f"/leads/{lead.pk}/sequences/enrol/", {"sequence": chain.pk}, headers=HX)
    assert answer.status_code == 422 and not Enrolment.objects.exists()


def test_the_preview_fills_in_a_real_lead(chain, rep, marketer, signed_in):
    letter = Template.objects.create(name="T", subject="{{ first_name }}", body="Привет, {{ first_name }}!")
    Step.objects.create(sequence=chain, position=3, kind="email", template=letter)
    lead = LeadFactory(owner=rep, name="Иванов Пётр")
    LeadFactory(owner=rep, name="Другой")
    page = signed_in(marketer).get(f"/sequences/{chain.pk}/preview/", {"lead": lead.pk}).content.decode()
    assert "Привет, Пётр!" in page
