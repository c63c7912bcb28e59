import re
from datetime import date, timedelta
from decimal import Decimal
from html import unescape

import pytest
from django.utils import timezone, translation

from analytics import cells, recount
from analytics.reports import flow, funnel, managers, sources
from analytics.scope import Scope
from analytics.tables import Cell, Column, Table
from analytics.templatetags.reports import words
from crm.core.models import Organisation, Reason, Stage
from deals.services import funnel as deal_funnel
from leads.models import Lead, Origin
from leads.services import funnel as lead_funnel
from leads.services import merging, unmerging
from tests.factories import DealFactory, LeadFactory

pytestmark = pytest.mark.django_db


def scope_of(user, **changes):
    today = timezone.now().date()
    plan = {
        "start": today - timedelta(days=30),
        "end": today + timedelta(days=1),
        "as_of": timezone.now() + timedelta(days=1),
    }
    return Scope(user=user, organisation=Organisation.get(), **{**plan, **changes})


def counts(scope, kind="lead"):
    return {step.name: step.counts for step in funnel.steps(kind, scope)}


def reason(kind):
    return Reason.objects.get(kind=kind, name="Too expensive")


@pytest.fixture
def cohort(rep, admin, funnels):
    """Five leads: one still new, one lost as contacted, one that skipped and was won, one that went back, one in work."""
    new, contacted, qualified = Stage.objects.filter(pipeline=funnels[0])
    still, lost, won, back, works = (LeadFactory(owner=rep, need="x") for _n in range(5))
    lead_funnel.move_stage(lost, contacted, by=rep)
    lead_funnel.reject(lost, reason("lead"), by=rep)
    lead_funnel.move_stage(won, qualified, by=rep)
    deal = deal_funnel.convert(won, by=rep, amount=Decimal(100))
    deal_funnel.win(deal, by=rep)
    lead_funnel.move_stage(back, contacted, by=rep)
    lead_funnel.move_stage(back, new, by=rep)
    lead_funnel.move_stage(works, contacted, by=rep)
    return still, lost, won, back, works


def test_entered_is_moved_on_and_lost_and_still_here_with_skips_and_returns_apart(admin, cohort):
    found = counts(scope_of(admin))
    assert found == {
        "New": {"entered": 5, "moved_on": 3, "lost": 0, "here": 2, "skipped": 0, "returned": 0},
        "Contacted": {"entered": 2, "moved_on": 0, "lost": 1, "here": 1, "skipped": 1, "returned": 1},
        "Qualified": {"entered": 1, "moved_on": 1, "lost": 0, "here": 0, "skipped": 0, "returned": 0},
    }


def test_a_converted_lead_goes_on_as_its_deal_to_the_money(admin, cohort):
    found = counts(scope_of(admin), "deal")
    assert found["Proposal"] == {"entered": 1, "moved_on": 1, "lost": 0, "here": 0, "skipped": 0, "returned": 0}
    assert len(funnel.won_keys(scope_of(admin))) == 1
    assert [row[1].value for row in funnel.table(scope_of(admin)).rows] == [5, 5, 2, 1, 1, 0, 0, 1]


def test_every_number_opens_exactly_its_rows(admin, cohort):
    scope = scope_of(admin)
    tables = [
        funnel.table,
        sources.table,
        managers.table,
        flow.new_leads_table,
        flow.pipeline_table,
        flow.forecast_table,
    ]
    seen = 0
    for make in tables:
        table = make(scope)
        for row in [*table.rows, *([table.total] if table.total else [])]:
            for column, cell in zip(table.columns, row, strict=True):
                if cell.cell and column.kind == "number":
                    args = {key: str(value) for key, value in cell.args.items() if value is not None}
                    assert cells.rows(cell.cell, scope, args)[1].count() == cell.value, (table.title, column.name)
                    seen += 1
    assert seen > 60


def test_the_funnel_as_of_a_day_knows_nothing_that_came_later(admin, cohort):
    scope = scope_of(admin, as_of=timezone.now() - timedelta(days=1))
    assert {name: n["entered"] for name, n in counts(scope).items()} == {"New": 0, "Contacted": 0, "Qualified": 0}


def test_readers_count_only_what_they_see(rep, outsider, head, cohort):
    entered = {user.username: counts(scope_of(user))["New"]["entered"] for user in (rep, outsider, head)}
    assert entered == {"rep": 5, "outsider": 0, "head": 5}


def test_sources_by_first_and_last_touch_with_money(rep, admin, funnels):
    google, vk = Origin.objects.create(name="Google"), Origin.objects.create(name="VK")
    won = LeadFactory(owner=rep, first_origin=google, last_origin=vk)
    LeadFactory(owner=rep, first_origin=google, last_origin=google)
    LeadFactory(owner=rep)
    deal_funnel.win(deal_funnel.convert(won, by=rep, amount=Decimal("70.50")), by=rep)

    def by(touch):
        rows = sources.numbers(scope_of(admin, touch=touch))
        return {origin: (n["all"], n["converted"], n["won"], money) for origin, n, money in rows}

    assert by("first") == {google.pk: (2, 1, 1, Decimal("70.50")), None: (1, 0, 0, 0)}
    assert by("last") == {google.pk: (1, 0, 0, 0), vk.pk: (1, 1, 1, Decimal("70.50")), None: (1, 0, 0, 0)}
    vk.same_as = google
    vk.save()
    assert by("last") == {google.pk: (2, 1, 1, Decimal("70.50")), None: (1, 0, 0, 0)}


def test_forecast_is_the_sum_of_amounts_by_stage_probability(admin, funnels):
    proposal = Stage.objects.get(pipeline=funnels[1], name="Proposal")
    assert proposal.probability == 20
    close = date(2027, 2, 15)
    DealFactory.create_batch(100, amount=Decimal(50_000), expected_close=close)
    DealFactory(amount=Decimal(50_000), expected_close=date(2027, 6, 1))
    found = flow.forecast(scope_of(admin, start=date(2027, 2, 1), end=date(2027, 3, 31)))
    assert found == [(date(2027, 2, 1), 100, Decimal(5_000_000), Decimal(1_000_000)), (date(2027, 3, 1), 0, 0, 0)]


def test_managers_get_their_own_line_and_heads_their_teams(rep, colleague, outsider, head, admin):
    lines = {
        user.username: {str(p.username) for p in managers.numbers(scope_of(user))} for user in (rep, head, outsider)
    }
    assert lines == {"rep": {"rep"}, "head": {"rep", "colleague", "head"}, "outsider": {"outsider"}}


@pytest.mark.parametrize(
    "query",
    ["?start=0001-01-01&end=9999-12-31", "?start=2026-02-01&end=2026-01-01", "?period=soon", "?owner=999999", "?start=x",
     "?as_of=9999-99-99", "?team=1%00", "?step=second"],
)  # fmt: skip
@pytest.mark.parametrize("page", ["/reports/", "/reports/funnel/", "/reports/leads/", "/reports/rows/new_leads/"])
def test_senseless_parameters_are_said_and_nothing_breaks(signed_in, admin, funnels, page, query):
    answer = signed_in(admin).get(page + query)
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text or "error" in answer.text


def test_files_hold_what_the_page_shows_and_only_for_who_may_export(signed_in, head, rep, cohort):
    assert signed_in(rep).get("/reports/funnel/?format=csv").status_code == 403
    body = b"".join(signed_in(head).get("/reports/funnel/?format=csv").streaming_content).decode("utf-8-sig")
    first = [line.split(";")[0] for line in body.splitlines()]
    assert first == [
        "Stage",
        "Enquiries",
        "New",
        "Contacted",
        "Qualified",
        "Proposal",
        "Negotiation",
        "Contract",
        "Won deals",
    ]


def test_every_number_of_a_report_is_named_where_its_rows_stand(signed_in, admin, rep, cohort):
    client, named = signed_in(admin), {}
    for key in ("funnel", "sources", "managers", "leads", "pipeline"):
        links = set(re.findall(r'href="(/reports/rows/[^"]+)"', client.get(f"/reports/{key}/").text))
        for link in links:
            answer = client.get(unescape(link))
            named[link] = re.search(r"<h1[^>]*>(.*?)</h1>", answer.text).group(1)
            assert f'href="/reports/{key}/?' in answer.text  # back to where one came from
    assert {
        "Enquiries",
        "Entered · New",
        "Lost · Contacted",
        "Won deals",
        "Leads · not known",
        f"New leads · {rep}",
    } <= {*named.values()}
    assert not [link for link, name in named.items() if name == "Rows behind the number"]


def test_a_merged_card_is_no_rejection_and_no_second_enquiry(admin, rep, funnels):
    one, other, lost = (LeadFactory(owner=rep) for _n in range(3))
    lead_funnel.reject(lost, reason("lead"), by=rep)
    scope = scope_of(admin)
    before = (counts(scope), sources.numbers(scope), managers.numbers(scope)[rep]["leads"])
    merge = merging.merge(one.person, other.person, {}, by=admin)
    assert (counts(scope)["New"]["entered"], counts(scope)["New"]["lost"]) == (2, 1)
    assert [(n["all"], n["rejected"]) for _origin, n, _money in sources.numbers(scope)] == [(2, 1)]
    assert managers.numbers(scope)[rep]["leads"]["n_new"] == 2
    assert {lead.pk for lead in sources.rows_of(scope, None, "rejected")} == {lost.pk}
    DealFactory(lead=other, person=one.person, owner=rep)  # its history stays with it
    checks = recount.event_checks()
    assert (checks["lead_stages"], checks["conversions"], set(recount.report_checks(scope).values())) == (0, 0, {0})
    unmerging.undo(merge, by=admin)
    assert (counts(scope), sources.numbers(scope), managers.numbers(scope)[rep]["leads"]) == before


def test_lines_stand_by_the_column_that_the_reader_chose_and_files_hold_them_so(
    signed_in, admin, rep, colleague, funnels
):
    for owner, leads in ((rep, 1), (colleague, 3)):
        LeadFactory.create_batch(leads, owner=owner)

    def lines(query):
        client = signed_in(admin)
        page = client.get(f"/reports/managers/{query}")
        file = b"".join(client.get(f"/reports/managers/{query or '?'}&format=csv").streaming_content).decode(
            "utf-8-sig"
        )
        shown = [row[0].value for row in page.context["table"].rows]
        assert [line.split(";")[0] for line in file.splitlines()[1:]] == shown
        return [name for name in shown if name in {str(rep), str(colleague)}], page.content.decode()

    names = sorted([str(rep), str(colleague)])
    assert lines("")[0] == names
    found, page = lines("?sort=-1")
    assert found == [str(colleague), str(rep)]
    assert page.count('aria-sort="descending"') == 1 and 'href="?sort=1"' in page  # and back with the next click
    assert lines("?sort=1")[0] == [str(rep), str(colleague)]
    assert lines("?sort=-0")[0] == names[::-1]
    for nonsense in ("?sort=99", "?sort=--1", "?sort=x", "?sort=٣", "?sort=-", "?sort=01", f"?sort={'1' * 5000}"):
        assert lines(nonsense)[0] == names
    assert "aria-sort" not in signed_in(admin).get("/reports/funnel/?sort=1").content.decode()


def test_the_managers_page_begins_with_the_greatest_sums(signed_in, admin, rep, colleague, funnels):
    for owner, amount in ((rep, 100), (colleague, 300)):
        deal_funnel.win(DealFactory(owner=owner, amount=Decimal(amount)), by=admin)
    page = signed_in(admin).get("/reports/managers/")
    assert [(name.value, sum_.value) for name, sum_ in page.context["leaders"]] == [
        (str(colleague), 300), (str(rep), 100),
    ]  # fmt: skip


def test_the_digits_of_a_column_stand_under_each_other(admin, funnels):
    for stage, amount in zip(Stage.objects.filter(pipeline=funnels[1])[:2], ("10.50", "1000"), strict=True):
        DealFactory(stage=stage, pipeline=funnels[1], amount=Decimal(amount))
    table = flow.pipeline_table(scope_of(admin)).linked({})
    with translation.override("en"):
        assert [words(row[2], "EUR") for row in table.rows[:2]] == ["€10.50", "€1,000.00"]
        assert [words(row[1]) for row in table.rows[:2]] == ["1", "1"]


def test_days_of_a_report_are_said_as_elsewhere_and_stay_dates_in_files(signed_in, admin, funnels):
    client, query = signed_in(admin), "?start=2025-03-01&end=2025-03-02"
    with translation.override("en"):
        table = client.get(f"/reports/leads/{query}").context["table"]
        assert [words(row[0]) for row in [*table.rows, table.total]] == ["Mar 1, 2025", "Mar 2, 2025", "Total"]
    body = b"".join(client.get(f"/reports/leads/{query}&format=csv").streaming_content).decode("utf-8-sig")
    assert [line.split(";")[0] for line in body.splitlines()[1:3]] == ["2025-03-01", "2025-03-02"]


def test_rows_stand_newest_first_page_by_page(signed_in, admin, funnels, monkeypatch):
    monkeypatch.setattr("analytics.views.PAGE", 2)
    ages = {LeadFactory(): days for days in (3, 1, 5, 2)}
    for lead, days in ages.items():
        Lead.objects.filter(pk=lead.pk).update(created_at=timezone.now() - timedelta(days=days))
    client, seen, url = signed_in(admin), [], "/reports/rows/new_leads/?"
    while url:
        page = client.get(url.replace("?", "/reports/rows/new_leads/?") if url.startswith("?") else url)
        seen += [row.pk for row in page.context["rows"]]
        url = page.context.get("next_url", "")
    assert seen == [lead.pk for lead, _days in sorted(ages.items(), key=lambda pair: pair[1])]


def test_a_manager_is_told_whose_figures_these_are(signed_in, rep, head, funnels):
    own, all_of_them = (signed_in(who).get("/reports/").text for who in (rep, head))
    assert ["Only your own leads and deals are counted." in page for page in (own, all_of_them)] == [True, False]
    assert ['<select name="owner"' in page for page in (own, all_of_them)] == [False, True]


def test_without_leads_a_report_says_so_and_not_to_choose_another_period(signed_in, rep, funnels):
    client = signed_in(rep)
    for page in ("/reports/", "/reports/funnel/", "/reports/leads/"):
        text = client.get(page).text
        assert ("There are no leads yet" in text, "Choose a longer period" in text) == (True, False)
    LeadFactory(owner=rep)
    assert "There are no leads yet" not in client.get("/reports/funnel/").text


@pytest.mark.parametrize(("who", "step"), [("admin", "/sources/"), ("marketer", "/leads/imports/"), ("rep", "/leads/")])
def test_without_leads_each_role_is_sent_where_it_may_act(signed_in, request, funnels, who, step):
    page = signed_in(request.getfixturevalue(who)).get("/reports/funnel/")
    assert f'<a class="btn btn-primary" href="{step}">' in page.text


def test_a_weighted_sum_is_shown_whole():
    cell = Cell(Decimal("68116943.90"), kind="estimate")
    with translation.override("ru"):
        assert words(cell, "RUB").replace("\xa0", " ") == "68 116 944 ₽"


@pytest.mark.parametrize("query", ["?team=zzzz", "?start=x&end=2026-01-01", "?start=2026-02-01&end=2026-01-01"])
def test_a_wrong_part_of_the_address_is_told_and_the_report_is_made_without_it(signed_in, admin, rep, cohort, query):
    for page in ("/reports/", "/reports/funnel/"):
        answer = signed_in(admin).get(f"{page}{query}&owner={rep.pk}")
        assert (answer.status_code, len(answer.context["refusals"])) == (400, 1)
        assert answer.context["refusals"][0] in unescape(answer.text)
        shown = answer.context["form"]
        assert (shown.scope.owner, shown.scope.team, shown.scope.end) == (rep, None, timezone.localdate())
        assert '<ol class="funnel">' in answer.text or '<table class="table table-report"' in answer.text


def test_the_forecast_says_what_it_leaves_out_and_opens_it(signed_in, admin, funnels):
    today = timezone.localdate()
    for close in (None, None, today - timedelta(days=1), today + timedelta(days=1)):
        DealFactory(amount=Decimal(10), expected_close=close)
    page = signed_in(admin).get("/reports/forecast/")
    asides = page.context["table"].asides
    assert [aside.value[:24] for aside in asides] == ["2 open deals without an ", "1 open deal expected bef"]
    assert [signed_in(admin).get(aside.url).context["total"] for aside in asides] == [2, 1]
    assert "2 open deals without" in page.text


def test_shares_of_one_report_have_as_many_digits():
    columns = [Column("a", "percent"), Column("b", "percent")]
    table = Table("", columns, [[Cell(0.125), Cell(0)]]).linked({})
    with translation.override("en"):
        assert [words(cell) for cell in table.rows[0]] == ["12.5%", "0.0%"]
