"""Actions on many leads: rights and gates are asked for each, what was refused is reported with its reason."""

import pytest
from django.db import connection

from crm.core.jobs import drain
from crm.core.models import Notice, Reason, Stage, StageEdge, User
from leads.models import BulkRun, Lead
from leads.services.bulk import advance
from leads.services.funnel import reject
from tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
URL = "/leads/bulk/"
HTMX = {"HX-Request": "true", "HX-Target": "dialog"}


def act(client, action, leads, **data):
    ids = ",".join(str(lead.pk) for lead in leads)
    return client.post(URL, {"action": action, "go": "1", "ids": ids, **data}, headers=HTMX)


def test_the_first_post_asks_and_changes_nothing(rep, colleague, signed_in):
    leads = LeadFactory.create_batch(2, owner=rep)
    response = signed_in(rep).post(URL, {"action": "owner", "ids": [x.pk for x in leads]}, headers=HTMX)
    text = response.content.decode()
    assert response.status_code == 200
    assert f'value="{leads[0].pk},{leads[1].pk}"' in text
    assert str(colleague) in text
    assert not BulkRun.objects.exists()


def test_change_of_owner(rep, colleague, outsider, signed_in):
    mine, theirs = LeadFactory.create_batch(2, owner=rep), LeadFactory(owner=colleague)
    response = act(signed_in(rep), "owner", [*mine, theirs], owner=colleague.pk)
    assert set(Lead.objects.values_list("owner", flat=True)) == {colleague.pk}
    run = BulkRun.objects.get()
    assert (run.done, run.refused, run.refusals, run.left) == (2, 1, [["not_open", {}, 1]], [theirs.pk])
    assert "Done: 2, refused: 1." in response.content.decode()
    assert f"/leads/{theirs.pk}/" not in response.content.decode()  # not named to whom it is not open
    assert act(signed_in(rep), "owner", mine, owner=outsider.pk).status_code == 422


def test_moving_stage_reports_who_was_refused_and_why(rep, signed_in):
    ready = LeadFactory.create_batch(2, owner=rep, budget=100)
    lacking = LeadFactory(owner=rep)
    target = Stage.objects.get(name="Contacted")
    target.required_fields = ["budget"]
    target.save()
    text = act(signed_in(rep), "stage", [*ready, lacking], stage=target.pk).content.decode()
    assert set(Lead.objects.filter(stage=target)) == set(ready)
    assert "Done: 2, refused: 1." in text
    assert "To enter “Contacted”, fill in first what it asks for." in text
    assert [f"/leads/{lead.pk}/" in text for lead in (*ready, lacking)] == [False, False, True]


def test_tags_and_rejection(rep, signed_in):
    leads = LeadFactory.create_batch(2, owner=rep, tags=["old"])
    client = signed_in(rep)
    done = act(client, "tag", leads, tag="vip")
    assert (done.status_code, "2 leads done" in done["HX-Trigger"]) == (204, True)
    act(client, "untag", leads, tag="OLD")
    assert list(Lead.objects.values_list("tags", flat=True)) == [["vip"], ["vip"]]
    assert act(client, "reject", leads).status_code == 422
    act(client, "reject", leads, reason=Reason.objects.get(kind="lead").pk, note="в архив")
    assert list(Lead.objects.values_list("status", "rejected_reason__name")) == [("rejected", "Too expensive")] * 2
    again = act(client, "reject", leads, reason=Reason.objects.get(kind="lead").pk)
    assert "refused: 2" in again.content.decode()


@pytest.mark.parametrize("ids", ["1;drop", "-1", "9" * 30, "a", "1,2,x"])
def test_a_damaged_list_changes_nothing(ids, rep, signed_in):
    response = signed_in(rep).post(URL, {"action": "tag", "go": "1", "tag": "x", "ids": ids}, headers=HTMX)
    assert response.status_code == 422
    assert "The list of leads is damaged" in response.content.decode()
    assert not BulkRun.objects.exists()


def test_all_that_match_run_in_the_background_with_the_rights_of_that_moment(rep, outsider, signed_in):
    LeadFactory.create_batch(120, owner=rep, band="hot")
    other, foreign = LeadFactory(owner=rep), LeadFactory(owner=outsider, band="hot")
    client = signed_in(rep)
    asked = client.post(URL, {"action": "tag", "everything": "1", "query": "band=hot"}, headers=HTMX).content.decode()
    assert "For 120 leads." in asked
    response = client.post(
        URL, {"action": "tag", "go": "1", "tag": "t", "everything": "1", "query": "band=hot"}, headers=HTMX
    )
    assert "0 of 120 done" in response.content.decode()
    drain()
    run = BulkRun.objects.get()
    assert (run.state, run.done, run.refused) == ("done", 120, 0)
    assert Lead.objects.filter(tags=["t"]).count() == 120
    assert Lead.objects.filter(tags=[]).count() == 2
    assert {other.pk, foreign.pk} == set(Lead.objects.filter(tags=[]).values_list("pk", flat=True))
    assert Notice.objects.get(kind="bulk").details == {"done": 120, "refused": 0}


def test_a_user_who_was_switched_off_meanwhile_changes_nothing_more(rep, signed_in):
    LeadFactory.create_batch(101, owner=rep)
    client = signed_in(rep)
    client.post(URL, {"action": "tag", "go": "1", "tag": "t", "everything": "1", "query": ""}, headers=HTMX)
    rep.is_active = False
    rep.save()
    drain()
    assert BulkRun.objects.get().refusals == [["not_open", {}, 101]]
    assert not Lead.objects.exclude(tags=[]).exists()


def test_a_run_is_shown_to_who_started_it_and_to_administrators(rep, colleague, admin, signed_in):
    lead = LeadFactory(owner=rep)
    act(signed_in(rep), "tag", [lead], tag="t")
    url = f"/leads/bulk/{BulkRun.objects.get().pk}/"
    assert [signed_in(user).get(url).status_code for user in (rep, colleague, admin)] == [200, 404, 200]


def test_marketers_change_nothing(marketer, rep, signed_in):
    lead = LeadFactory(owner=rep)
    assert act(signed_in(marketer), "tag", [lead], tag="t").status_code == 403
    lead.refresh_from_db()
    assert lead.tags == []


def test_whoever_reads_of_a_run_reads_its_reasons_in_their_language(rep, admin, signed_in):
    full = LeadFactory(owner=rep, tags=[f"t{n}" for n in range(30)])
    stages = list(full.pipeline.stages.order_by("position"))
    StageEdge.objects.filter(source=stages[0], target=stages[2]).delete()
    closed = LeadFactory(owner=rep)
    reject(closed, Reason.objects.filter(kind="lead").first() or Reason.objects.create(kind="lead", name="No"), by=rep)
    act(signed_in(rep), "stage", [closed], stage=stages[1].pk)
    act(signed_in(rep), "stage", [LeadFactory(owner=rep)], stage=stages[2].pk)
    act(signed_in(rep), "tag", [full], tag="more")
    User.objects.filter(pk=admin.pk).update(language="ru")
    pages = [signed_in(admin).get(f"/leads/bulk/{run.pk}/").content.decode() for run in BulkRun.objects.order_by("pk")]
    assert "Закрытый лид не двигается; сначала верните его в работу." in pages[0]
    assert f"Переход с этапа «{stages[0].name}» на «{stages[2].name}» в этой воронке не разрешён." in pages[1]
    assert "На карточке не больше 30 меток." in pages[2]


def test_a_run_that_kept_words_still_shows_and_counts_them(rep, signed_in):
    theirs = LeadFactory()
    run = BulkRun.objects.create(by=rep, action="tag", params={"tag": "t"}, ids=[theirs.pk], refusals={"вам нельзя": 2})
    advance(run)
    run.refresh_from_db()
    assert run.refusals == [["вам нельзя", {}, 2], ["not_open", {}, 1]]
    BulkRun.objects.update(refusals={"вам нельзя 100%": 2})
    page = signed_in(rep).get(f"/leads/bulk/{run.pk}/").content.decode()
    assert '<dt class="num">2</dt><dd>вам нельзя 100%</dd>' in page


def test_a_program_that_knows_nothing_of_what_is_left_may_write_a_run(rep):
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into leads_bulkrun (by_id, action, params, ids, place, done, refused, refusals, state)"
            " values (%s, 'tag', '{}', '{}', 0, 0, 0, '{}', 'done')",
            [rep.pk],
        )
    assert (BulkRun.objects.get().left, BulkRun.objects.get().reasons) == ([], [])
