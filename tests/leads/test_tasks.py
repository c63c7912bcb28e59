"""Tasks: next steps, finishing, postponing, whose they are, the calendar feed."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from crm.core.models import Notice, Reason
from leads.models import Kind, Lead, Task, TaskFeed
from leads.services import cards, tasks
from leads.services.funnel import reject
from tests.factories import LeadFactory, PersonFactory

HTMX = {"HX-Request": "true"}
pytestmark = pytest.mark.django_db


@pytest.fixture
def lead(rep):
    return LeadFactory(owner=rep)


def later(**delta):
    return timezone.now().replace(microsecond=0) + timedelta(**delta)


def plan(lead, user, due, title="Call"):
    return tasks.set_task(lead, title=title, due_at=due, assignee=user, by=user)


def next_step(lead):
    return Lead.objects.values_list("next_step_at", flat=True).get(pk=lead.pk)


def test_the_next_step_is_always_the_soonest_open_task(lead, rep):
    far, near = plan(lead, rep, later(days=5)), plan(lead, rep, later(days=1))
    assert next_step(lead) == near.due_at
    last = later(days=9)
    tasks.postpone(near, last, by=rep)
    assert next_step(lead) == far.due_at
    tasks.finish(far, by=rep)
    assert next_step(lead) == last
    tasks.finish(near, by=rep)
    assert next_step(lead) is None
    kinds = list(lead.interactions.order_by("id").values_list("kind", flat=True))
    assert kinds == [Kind.TASK_SET, Kind.TASK_SET, Kind.TASK_SET, Kind.TASK_DONE, Kind.TASK_DONE]


def test_a_task_done_twice_is_done_once(lead, rep, head):
    task = plan(lead, rep, later(days=1))
    first = tasks.finish(task, by=rep, result="ok")
    second = tasks.finish(task, by=head)
    assert (second.done_by, second.done_at) == (rep, first.done_at)
    assert lead.interactions.filter(kind=Kind.TASK_DONE).count() == 1


def ends(lead):
    """(title, why it was closed, by whom) of the closed tasks, as the timeline tells them."""
    rows = lead.interactions.filter(kind=Kind.TASK_DONE).order_by("id")
    return [(row.details["title"], row.details.get("because"), row.by) for row in rows]


def test_a_rejected_lead_leaves_nothing_in_anybodys_day(lead, rep, head):
    plan(lead, rep, later(days=1)), plan(lead, rep, later(days=2), title="Visit")
    reject(lead, Reason.objects.filter(kind="lead").first(), by=head)
    assert (lead.tasks.open().count(), next_step(lead)) == (0, None)
    assert ends(lead) == [("Call", "rejected", head), ("Visit", "rejected", head)]


def test_a_closed_task_says_why_on_the_timeline(lead, rep, signed_in):
    plan(lead, rep, later(days=1))
    reject(lead, Reason.objects.filter(kind="lead").first(), by=rep)
    page = signed_in(rep).get(f"/leads/{lead.pk}/", HTTP_ACCEPT_LANGUAGE="en").content.decode()
    assert "Task closed: Call" in page and "not needed any more: the lead was rejected" in page


def test_automation_sets_a_task_once(lead, rep):
    made = {tasks.set_task(lead, title="x", due_at=later(days=1), assignee=rep, dedup="rule:1").pk for _ in range(3)}
    assert len(made) == 1
    assert lead.interactions.filter(kind=Kind.TASK_SET).count() == 1


def test_a_task_for_another_tells_them_and_ones_own_does_not(lead, rep, colleague):
    plan(lead, rep, later(days=1))
    tasks.set_task(lead, title="Help", due_at=later(days=1), assignee=colleague, by=rep)
    assert list(Notice.objects.values_list("user__username", "kind")) == [("colleague", "task")]


def test_an_impossible_task_is_refused(lead, rep):
    for title, due in (("", later(days=1)), ("x", later(days=9999))):
        with pytest.raises(ValidationError):
            plan(lead, rep, due, title=title)
    assert not Task.objects.exists()


def test_a_call_with_result_note_and_next_step_is_one_form(lead, rep, signed_in):
    planned = plan(lead, rep, later(hours=-1))
    form = {"result": "callback", "text": "after lunch", "next": "hours", "closes": planned.pk}
    answer = signed_in(rep).post(f"/leads/{lead.pk}/calls/", form, headers=HTMX)
    assert (answer.status_code, "dialog:close" in answer["HX-Trigger"]) == (204, True)
    call = lead.interactions.get(kind=Kind.CALL)
    assert (call.text, call.details, call.by) == ("after lunch", {"result": "callback", "direction": "out"}, rep)
    planned.refresh_from_db()
    assert planned.done_by == rep
    step = lead.tasks.open().get()
    assert timedelta(minutes=118) < step.due_at - timezone.now() < timedelta(minutes=121)


def test_after_a_touch_without_a_plan_the_next_step_is_asked_for(lead, rep, signed_in):
    client = signed_in(rep)
    asked = client.post(f"/leads/{lead.pk}/notes/", {"text": "hello"}, headers=HTMX)
    assert asked.status_code == 200
    assert f'action="/leads/{lead.pk}/tasks/"' in asked.content.decode()
    assert "lead:changed" in asked["HX-Trigger"]
    client.post(f"/leads/{lead.pk}/tasks/", {"next": "tomorrow"}, headers=HTMX)
    quiet = client.post(f"/leads/{lead.pk}/notes/", {"text": "again"}, headers=HTMX)
    assert quiet.status_code == 204
    assert list(lead.interactions.filter(kind=Kind.NOTE).order_by("id").values_list("text", flat=True)) == [
        "hello",
        "again",
    ]


@pytest.mark.parametrize(
    ("part", "form"),
    [("calls", {}), ("calls", {"result": "wonderful"}), ("calls", {"result": "busy", "next": "pick"}),
     ("calls", {"result": "busy", "next": "pick", "next_at": "yesterday"}), ("notes", {"text": " "}),
     ("notes", {"text": "x" * 20_001}), ("tasks", {}), ("tasks", {"next": "pick", "next_at": "9999-01-01T00:00"}),
     ("tasks", {"next": "tomorrow", "next_title": "x" * 201}), ("tasks", {"next": "never"})],
)  # fmt: skip
def test_what_cannot_be_is_422_and_writes_nothing(lead, rep, signed_in, part, form):
    answer = signed_in(rep).post(f"/leads/{lead.pk}/{part}/", form, headers=HTMX)
    assert (answer.status_code, lead.interactions.count(), lead.tasks.count()) == (422, 0, 0)


def test_a_head_plans_a_task_for_the_owner_of_the_lead(lead, rep, head, signed_in):
    page = signed_in(head).get(f"/leads/{lead.pk}/tasks/", headers=HTMX).content.decode()
    assert f'value="{rep.pk}" selected' in page
    signed_in(head).post(f"/leads/{lead.pk}/tasks/", {"next": "tomorrow", "next_title": "Call!"}, headers=HTMX)
    assert list(lead.tasks.values_list("title", "assignee", "by")) == [("Call!", rep.pk, head.pk)]


def test_a_note_answers_the_client_and_stops_the_clock(lead, rep, signed_in):
    Lead.objects.filter(pk=lead.pk).update(waiting_since=later(minutes=-5))
    signed_in(rep).post(f"/leads/{lead.pk}/notes/", {"text": "called"}, headers=HTMX)
    lead.refresh_from_db()
    assert (lead.waiting_since, lead.answered_at is not None) == (None, True)


# --- The page ---------------------------------------------------------------------------------------------------------
def titles(answer):
    return {group["name"]: [task.title for task in group["tasks"]] for group in answer.context["groups"]}


def test_own_tasks_stand_in_their_buckets(lead, rep, colleague, signed_in):
    midnight = timezone.localtime().replace(hour=23, minute=59, second=59)
    plan(lead, rep, later(minutes=-5), "overdue")
    plan(lead, rep, midnight, "today")
    plan(lead, rep, midnight + timedelta(hours=12), "tomorrow")
    plan(lead, rep, midnight + timedelta(days=3), "later")
    tasks.finish(plan(lead, rep, later(days=1), "done"), by=rep)
    plan(LeadFactory(owner=colleague), colleague, later(days=1), "not mine")
    client = signed_in(rep)
    assert titles(client.get("/tasks/")) == {
        "overdue": ["overdue"], "today": ["today"], "tomorrow": ["tomorrow"], "later": ["later"],
    }  # fmt: skip
    assert titles(client.get("/tasks/?when=done")) == {"done": ["done"]}
    assert titles(client.get("/tasks/?who=team")) == titles(client.get("/tasks/"))  # a manager has no team view


def test_a_head_sees_the_teams_tasks_and_no_others(head, rep, colleague, outsider, signed_in):
    for user in (rep, colleague, outsider):
        plan(LeadFactory(owner=user), user, later(days=3), user.username)
    found = titles(signed_in(head).get("/tasks/?who=team&when=later"))
    assert set(found["later"]) == {"rep", "colleague"}


def test_a_long_bucket_is_paged_by_keyset(lead, rep, signed_in):
    due = later(days=4)
    for number in range(55):
        plan(lead, rep, due, f"t{number:02d}")
    client = signed_in(rep)
    first = client.get("/tasks/?when=later")
    second = client.get("/tasks/", {"when": "later", "after": first.context["groups"][0]["after"]})
    assert titles(first)["later"] + titles(second)["later"] == [f"t{n:02d}" for n in range(55)]
    assert client.get("/tasks/?when=later&after=nonsense").status_code == 400


def test_a_task_on_a_lead_that_one_does_not_see_hides_the_client(rep, colleague, signed_in):
    lead = LeadFactory(owner=colleague, name="Canary")
    tasks.set_task(lead, title="Help out", due_at=later(days=1), assignee=rep, by=colleague)
    page = signed_in(rep).get("/tasks/").content.decode()
    assert "Help out" in page and "Canary" not in page


def test_a_stranger_cannot_finish_or_move_a_task(lead, rep, colleague, outsider, marketer, signed_in):
    task = plan(lead, rep, later(days=1))
    due = task.due_at
    for user in (colleague, outsider, marketer):
        client = signed_in(user)
        assert client.post(f"/tasks/{task.pk}/done/", {}, headers=HTMX).status_code == 404
        assert client.post(f"/tasks/{task.pk}/due/", {"next": "tomorrow"}, headers=HTMX).status_code == 404
    task.refresh_from_db()
    assert (task.done_at, task.due_at) == (None, due)


def test_finishing_with_a_result_plans_the_next_step(lead, rep, signed_in):
    task = plan(lead, rep, later(days=1))
    answer = signed_in(rep).post(f"/tasks/{task.pk}/done/", {"result": "sent", "next": "monday"}, headers=HTMX)
    assert (answer.status_code, "tasks:changed" in answer["HX-Trigger"]) == (204, True)
    done = lead.interactions.get(kind=Kind.TASK_DONE)
    assert (done.text, done.details["title"]) == ("sent", "Call")
    step = timezone.localtime(lead.tasks.open().get().due_at)
    assert (step.weekday(), step.hour) == (0, 10)


# --- The calendar -----------------------------------------------------------------------------------------------------
def test_the_feed_holds_the_open_tasks_of_its_owner_until_the_address_is_renewed(lead, rep, colleague, signed_in):
    plan(lead, rep, later(days=1), "Call; soon, with\nlines")
    plan(LeadFactory(owner=colleague), colleague, later(days=1), "theirs")
    feed = TaskFeed.of(rep)
    answer = Client().get(f"/tasks/{feed.key}.ics")
    text = answer.content.decode()
    assert answer["Content-Type"].startswith("text/calendar")
    assert text.count("BEGIN:VEVENT") == 1
    assert "SUMMARY:Call\\; soon\\, with lines" in text
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    signed_in(rep).post("/tasks/calendar/")
    assert Client().get(f"/tasks/{feed.key}.ics").status_code == 404
    assert Client().get(f"/tasks/{TaskFeed.of(rep).key}.ics").status_code == 200


def test_the_feed_of_somebody_who_left_is_gone(rep):
    feed = TaskFeed.of(rep)
    rep.is_active = False
    rep.save()
    assert Client().get(f"/tasks/{feed.key}.ics").status_code == 404


def test_a_dialogs_form_that_breaks_keeps_nothing_half_done(lead, rep):
    with pytest.raises(ValidationError):
        cards.log_call(lead, by=rep, result="reached", next_step={"title": "", "due_at": later(days=1)})
    assert (lead.interactions.count(), lead.tasks.count()) == (0, 0)


def test_a_task_of_a_client_without_a_lead_names_and_opens_the_client(signed_in, rep, outsider):
    mine, theirs = PersonFactory(name="Anna Mine", owner=rep), PersonFactory(name="Boris Theirs", owner=outsider)
    for person in (mine, theirs):
        tasks.set_task(person, title="Congratulate", due_at=later(hours=-1), assignee=rep, by=rep)
    client = signed_in(rep)
    for page in (client.get("/tasks/").content.decode(), client.get("/").content.decode()):
        assert "Anna Mine" in page and f'href="/people/{mine.pk}/"' in page
        assert "Boris Theirs" not in page and f"/people/{theirs.pk}/" not in page


def test_nothing_ever_planned_is_not_called_done(rep, signed_in):
    client = signed_in(rep)
    assert "No tasks yet" in client.get("/tasks/").text
    task = plan(LeadFactory(owner=rep), rep, later(hours=1))
    tasks.finish(task, by=rep)
    page = client.get("/tasks/").text
    assert ("No tasks yet" in page, "Everything is done" in page) == (False, True)
