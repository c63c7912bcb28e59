"""The lead list: who sees which rows, in what order, how pages follow each other, what filters refuse."""

import json
import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from crm.core import keyset
from crm.core.models import Organisation, Reason, SavedView, Stage
from leads.models import Identity, Lead, Origin
from leads.services import funnel
from tests.factories import CalendarFactory, LeadFactory, SourceFactory, TeamFactory, UserFactory

pytestmark = pytest.mark.django_db
URL = "/leads/"
HTMX = {"HX-Request": "true", "HX-Target": "list"}


def names(response):
    """Names of the rows on a page, in order."""
    return re.findall(r'data-open href="/leads/\d+/">([^<]+)<', response.content.decode())


def make(*names, **fields):
    return [LeadFactory(name=name, **fields) for name in names]


@pytest.fixture
def world(rep, colleague, head, outsider):
    """A lead of each, one in the pool."""
    return {
        "rep": LeadFactory(name="of rep", owner=rep),
        "colleague": LeadFactory(name="of colleague", owner=colleague),
        "outsider": LeadFactory(name="of outsider", owner=outsider),
        "pool": LeadFactory(name="of nobody"),
    }


@pytest.mark.parametrize(
    ("who", "seen"),
    [
        ("rep", {"of rep"}),
        ("colleague", {"of colleague"}),
        ("head", {"of rep", "of colleague", "of nobody"}),
        ("outsider", {"of outsider"}),
        ("marketer", {"of rep", "of colleague", "of outsider", "of nobody"}),
        ("admin", {"of rep", "of colleague", "of outsider", "of nobody"}),
    ],
)
def test_everyone_sees_exactly_their_leads(who, seen, world, signed_in, request):
    user = request.getfixturevalue(who)
    response = signed_in(user).get(URL)
    assert sorted(names(response)) == sorted(seen)


def test_a_manager_who_sees_the_team_sees_it_and_nothing_of_others(world, rep, signed_in):
    rep.sees_team = True
    rep.save()
    assert sorted(names(signed_in(rep).get(URL))) == ["of colleague", "of rep"]


def test_shares_together_are_what_is_visible(world, rep, head, admin, outsider, marketer):
    LeadFactory(name="of head", owner=head)
    for user in (rep, head, admin, outsider, marketer):
        shares = {pk for part, _constant in Lead.objects.shares(user) for pk in part.values_list("pk", flat=True)}
        assert shares == set(Lead.objects.visible_to(user).values_list("pk", flat=True))


def test_pages_follow_each_other_without_gap_or_repetition(head, rep, colleague, signed_in):
    now = timezone.now()
    for n in range(120):  # equal times and overlapping shares (the head's own lead is the team's too)
        LeadFactory(name=f"L{n}", owner=[rep, colleague, head, None][n % 4], created_at=now - timedelta(minutes=n // 3))
    client, url, seen = signed_in(head), URL, []
    while url:
        page = client.get(url)
        seen += names(page)
        after = re.search(r'href="([^"]*after=[^"]*)"', page.content.decode())
        url = after[1].replace("&amp;", "&") if after else ""
    expected = Lead.objects.order_by("-created_at", "-id").values_list("name", flat=True)
    assert seen == list(expected)
    assert len(seen) == 120


@pytest.mark.parametrize("sort", ["created", "active", "score"])
def test_each_order_is_kept_across_pages(sort, rep, signed_in):
    for n in range(60):
        LeadFactory(name=f"L{n}", owner=rep, score=n % 7, active_at=timezone.now() - timedelta(hours=n * 7 % 60))
    column = {"created": "created_at", "active": "active_at", "score": "score"}[sort]
    client = signed_in(rep)
    first = client.get(URL, {"sort": sort})
    after = re.search(r"after=([-\d.]+)", first.content.decode())[1]
    second = client.get(URL, {"sort": sort, "after": after})
    expected = Lead.objects.order_by(f"-{column}", "-id").values_list("name", flat=True)
    assert names(first) + names(second) == list(expected)


def test_the_number_of_queries_does_not_grow_with_the_rows(head, rep, team, signed_in):
    Organisation.get()
    CalendarFactory(is_default=True)

    def queries(count):
        for n in range(count):
            LeadFactory(
                owner=UserFactory(team=team),
                waiting_since=timezone.now(),
                first_origin=Origin.objects.get_or_create(name=f"origin {n}")[0],
            )
        with CaptureQueriesContext(connection) as captured:
            signed_in_client.get(URL)
        return len(captured)

    signed_in_client = signed_in(head)
    ten = queries(10)
    assert queries(10) == ten
    assert ten <= 20  # a head's page in a cold process, whose calendars and norm are not yet known


def test_a_managers_page_takes_at_most_15_queries(rep, signed_in):
    LeadFactory.create_batch(3, owner=rep, waiting_since=timezone.now())
    CalendarFactory(is_default=True)
    Organisation.get()
    client = signed_in(rep)
    with CaptureQueriesContext(connection) as captured:
        client.get(URL)
    assert len(captured) <= 15, [q["sql"][:100] for q in captured]


@pytest.mark.parametrize(
    ("query", "seen"),
    [
        ("", {"new", "hot", "late", "planned", "tagged"}),
        ("state=all", {"new", "hot", "late", "planned", "tagged", "gone"}),
        ("state=rejected", {"gone"}),
        ("band=hot", {"hot"}),
        ("band=hot&band=cold", {"new", "hot", "late", "planned", "tagged"}),
        ("attention=overdue", {"late"}),
        ("attention=no_step", {"new", "hot", "tagged"}),
        ("attention=waiting", {"hot"}),
        ("attention=stuck", {"new"}),
        ("tag=vip", {"tagged"}),
        ("qualification=2", {"hot"}),
        ("owner=me", {"new", "hot", "late", "planned", "tagged"}),
        ("q=lat", {"late"}),
        ("since=2001-01-01&until=2001-12-31", {"planned"}),
    ],
)
def test_filters(query, seen, rep, signed_in):
    now = timezone.now()
    LeadFactory(name="new", owner=rep, stage_entered_at=now - timedelta(days=4))
    LeadFactory(name="hot", owner=rep, band="hot", waiting_since=now, qualification=2)
    LeadFactory(name="late", owner=rep, next_step_at=now - timedelta(hours=1))
    LeadFactory(
        name="planned",
        owner=rep,
        next_step_at=now + timedelta(hours=1),
        created_at=now.replace(year=2001, month=5, day=5),
    )
    LeadFactory(name="tagged", owner=rep, tags=["vip"])
    gone = LeadFactory(name="gone", owner=rep)
    funnel.reject(gone, Reason.objects.get(kind="lead"), by=rep)
    assert set(names(signed_in(rep).get(f"{URL}?{query}"))) == seen


def test_filters_by_owner_team_stage_and_source(head, rep, colleague, team, signed_in):
    first = LeadFactory(name="first", owner=rep)
    second = LeadFactory(name="second", owner=colleague, stage=Stage.objects.get(name="Contacted"))
    LeadFactory(name="third")
    google, adwords = Origin.objects.create(name="Google"), Origin.objects.create(name="adwords")
    adwords.same_as = google
    adwords.save()
    Lead.objects.filter(pk=first.pk).update(first_origin=google)
    Lead.objects.filter(pk=second.pk).update(first_origin=adwords)
    client = signed_in(head)

    def seen(query):
        return sorted(names(client.get(f"{URL}?{query}")))

    assert seen(f"owner={rep.pk}") == ["first"]
    assert seen(f"owner={rep.pk}&owner={colleague.pk}") == ["first", "second"]
    assert seen(f"owner=none&owner={rep.pk}") == ["first", "third"]
    assert seen(f"team={team.pk}") == ["first", "second"]
    assert seen(f"stage={second.stage_id}") == ["second"]
    assert seen(f"origin={google.pk}") == ["first", "second"]
    assert seen(f"source={first.source_id}") == ["first"]
    assert seen("attention=unassigned") == ["third"]


@pytest.mark.parametrize(
    "query",
    [
        "_connector=OR 1=1--",
        "_negated=1",
        "owner__is_superuser=1",
        "name__regex=(a%2B)%2B$",
        "owner=999999",
        "owner=abc",
        "stage=1;drop table",
        "stage=99999999999999999999999",
        "band=boiling",
        "since=yesterday",
        "since=2024-05-05&until=2024-05-01",
        "state=x",
        "sort=password",
        "sort=-id",
        "after=1",
        "after=99999999999999999999.1",
        "after=9223372036854775807.1",
        "after=%00",
        "qualification=7",
        "team=0",
        "q=%00",
        "tag=%00",
        "owner=" + "&owner=".join(map(str, range(60))),
    ],
)
def test_junk_in_the_address_is_a_clear_message(query, rep, signed_in):
    LeadFactory(name="mine", owner=rep)
    response = signed_in(rep).get(f"{URL}?{query}")
    assert response.status_code == 400
    assert names(response) == []
    assert 'role="alert"' in response.content.decode()
    assert signed_in(rep).get(f"{URL}?{query}", headers=HTMX).status_code == 422


@pytest.mark.parametrize("query", ["since=0001-01-01", "until=9999-12-31", "since=0001-01-01&until=9999-12-31"])
def test_the_ends_of_the_calendar_are_dates_too(query, rep, signed_in):
    LeadFactory(name="mine", owner=rep)
    assert names(signed_in(rep).get(f"{URL}?{query}")) == ["mine"]


def test_a_head_cannot_filter_by_people_of_another_team(head, outsider, signed_in):
    LeadFactory(name="theirs", owner=outsider)
    response = signed_in(head).get(f"{URL}?owner={outsider.pk}")
    assert response.status_code == 400
    assert outsider.last_name not in response.content.decode()
    assert signed_in(head).get(f"{URL}?team={outsider.team_id}").status_code == 400


def test_htmx_gets_the_list_alone_with_fresh_tabs(rep, signed_in):
    LeadFactory(name="mine", owner=rep)
    text = signed_in(rep).get(f"{URL}?band=cold", headers=HTMX).content.decode()
    assert text.lstrip().startswith('<div id="list"')
    assert 'id="views" hx-swap-oob="true"' in text
    assert "<html" not in text


@pytest.mark.parametrize("language", ["ru", "en"])
def test_the_page_is_small(language, rep, signed_in):
    rep.language = language
    rep.save()
    source, now = SourceFactory(name="Форма на сайте"), timezone.now()
    for n in range(60):
        person = {"name": f"Константинопольский Вячеслав {n}", "company_name": "ООО «Ромашка и партнёры»"}
        LeadFactory(owner=rep, source=source, waiting_since=n % 3 and None or now, next_step_at=now, **person)
    assert len(signed_in(rep).get(URL).content) <= 80_000


# --- Search -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("соловьев", {"Семён Соловьёв"}),
        ("СОЛОВЬЁВ СЕМ", {"Семён Соловьёв"}),
        ("4567", {"Семён Соловьёв"}),
        ("8 (999) 123-45-67", {"Семён Соловьёв"}),
        ("+7 999 1234567", {"Семён Соловьёв"}),
        ("999123", {"Семён Соловьёв"}),
        ("semen@", {"Семён Соловьёв"}),
        ("ромашка", {"Семён Соловьёв"}),
        ("+7 812 000-11-22", {"Семён Соловьёв"}),  # a second phone, known to the person alone
        ("нет такого", set()),
        ("%%%", set()),
        ("___", set()),
        ("' or 1=1", set()),
        ("(a+)+$", set()),
        ("a*" * 500, set()),
    ],
)
def test_search(text, seen, rep, outsider, signed_in):
    lead = LeadFactory(
        name="Семён Соловьёв",
        phone="+79991234567",
        email="semen@romashka.test",
        company_name="ООО «Ромашка»",
        owner=rep,
    )
    Identity.objects.create(person=lead.person, kind="phone", value="+78120001122")
    LeadFactory(name="Семён Соловьёв чужой", phone="+79991234567", email="", owner=outsider)
    response = signed_in(rep).get("/search/", {"q": text}, headers=HTMX)
    found = set(re.findall(r"<strong>([^<]+)</strong>", response.content.decode()))
    assert response.status_code == 200
    assert found == seen


@pytest.mark.parametrize("text", ["я", "ab", "12", "123", "a b c"])
def test_search_asks_for_more(text, rep, signed_in):
    response = signed_in(rep).get("/search/", {"q": text}, headers=HTMX)
    assert "Type at least 3 letters or 4 digits." in response.content.decode()


def test_search_survives_what_is_no_search(rep, signed_in):
    client = signed_in(rep)
    assert client.get("/search/", {"q": "иван\x00ов"}, headers=HTMX).status_code == 200
    assert client.get("/search/", {"q": "я" * 300_000}, headers=HTMX).status_code == 200
    assert client.get("/search/", headers=HTMX).content == b""


def test_search_shows_at_most_20_and_leads_to_the_list(rep, signed_in):
    LeadFactory.create_batch(25, name="Иванов Иван", owner=rep)
    client = signed_in(rep)
    text = client.get("/search/", {"q": "иванов"}, headers=HTMX).content.decode()
    assert len(re.findall("<strong>", text)) == 20
    assert "Show all in the list" in text
    page = client.get("/search/", {"q": "иванов"}, follow=True)
    assert len(names(page)) == 25


# --- Saved views ------------------------------------------------------------------------------------------------------


def test_a_view_is_saved_applied_renamed_and_deleted(rep, signed_in):
    client = signed_in(rep)
    made = client.post(
        "/views/new/", {"name": "My hot", "page": "leads:list", "query": "sort=score&band=hot&q=&after=5.5"}
    )
    view = SavedView.objects.get()
    assert (view.user, view.query) == (rep, "band=hot&sort=score")
    assert made.url == "/leads/?band=hot&sort=score"
    text = client.get(made.url).content.decode()
    assert re.search(r'aria-current="page">My hot<', text)
    client.post(f"/views/{view.pk}/", {"name": "Boiling", "page": "leads:list", "query": view.query})
    view.refresh_from_db()
    assert view.name == "Boiling"
    client.post(f"/views/{view.pk}/delete/")
    assert not SavedView.objects.exists()


def test_views_are_private_and_named_once(rep, colleague, signed_in):
    view = SavedView.objects.create(user=rep, page="leads:list", name="Mine", query="band=hot")
    client = signed_in(colleague)
    assert client.post(f"/views/{view.pk}/delete/").status_code == 404
    assert client.post(f"/views/{view.pk}/", {"name": "x", "page": "leads:list"}).status_code == 404
    assert "Mine" not in client.get(URL).content.decode()
    again = signed_in(rep).post("/views/new/", {"name": "Mine", "page": "leads:list", "query": ""}, headers=HTMX)
    assert again.status_code == 422
    assert "You have a view of this name already." in again.content.decode()
    other = signed_in(rep).post("/views/new/", {"name": "Mine", "page": "admin:index", "query": ""})
    assert other.status_code == 422
    assert SavedView.objects.count() == 1


def test_a_view_with_a_filter_that_no_longer_exists_says_so(rep, signed_in):
    SavedView.objects.create(user=rep, page="leads:list", name="Old", query="__class__=x")
    response = signed_in(rep).get("/leads/?__class__=x")
    assert response.status_code == 400
    assert "There is no filter “__class__”." in response.content.decode()


# --- Live -------------------------------------------------------------------------------------------------------------


def test_arrivals_are_counted_with_the_filter_and_shown_on_demand(rep, outsider, signed_in):
    LeadFactory(name="old", owner=rep, created_at=timezone.now() - timedelta(hours=1))
    since = keyset.encode(timezone.now() - timedelta(minutes=1), 0)
    LeadFactory.create_batch(2, owner=rep, band="hot")
    LeadFactory(owner=rep)
    LeadFactory(owner=outsider, band="hot")
    client = signed_in(rep)
    assert (
        "2 new leads — show"
        in client.get("/leads/arrivals/", {"since": since, "band": "hot"}, headers=HTMX).content.decode()
    )
    assert "3 new leads — show" in client.get("/leads/arrivals/", {"since": since}, headers=HTMX).content.decode()
    assert client.get("/leads/arrivals/", {"since": "junk"}).status_code == 204


def test_a_lead_handed_over_is_an_arrival(rep, signed_in):
    since = keyset.encode(timezone.now() - timedelta(minutes=1), 0)
    LeadFactory(owner=rep, created_at=timezone.now() - timedelta(days=9), assigned_at=timezone.now())
    assert (
        "1 new lead — show" in signed_in(rep).get("/leads/arrivals/", {"since": since}, headers=HTMX).content.decode()
    )


# --- The plan ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sort", ["created_at", "active_at", "score"])
@pytest.mark.parametrize("who", ["rep", "head", "admin"])
def test_the_list_reads_sorted_indexes(sort, who, rep, head, admin, team, django_assert_max_num_queries, request):
    """With enough rows that a plan matters: no scan of the whole table, and no sort of all that a user sees."""
    second = TeamFactory(name="East")
    second.heads.add(head)
    people = [UserFactory(team=team if n % 2 else second) for n in range(4)]
    _fill(people)
    user = request.getfixturevalue(who)
    arms = [(part.open(), constant) for part, constant in Lead.objects.shares(user)]
    with CaptureQueriesContext(connection) as captured:
        page = keyset.page(arms, sort, size=50)
    sql = captured[-1]["sql"]
    with connection.cursor() as cursor:
        cursor.execute(f"explain (format json, analyze) {sql}")
        plan = cursor.fetchone()[0]
    plan = json.loads(plan) if isinstance(plan, str) else plan
    nodes = list(_nodes(plan[0]["Plan"]))
    assert [n for n in nodes if n["Node Type"] == "Seq Scan" and n.get("Relation Name") == "leads_lead"] == []
    assert max(n["Actual Rows"] for n in nodes) <= 51 * len(arms), plan
    assert page.keys == sorted(page.keys, key=lambda pk: _place(sort, pk), reverse=True)


def _place(sort, pk):
    return (Lead.objects.filter(pk=pk).values_list(sort, flat=True)[0], pk)


def _fill(people):
    """20,000 leads by COPY-like insertion; owners and the pool in turn."""
    template = LeadFactory(owner=people[0])
    owners = [(p.pk, p.team_id) for p in people] + [(None, None)]
    values = ",".join(f"({n},{o or 'null'}::bigint,{t or 'null'}::bigint)" for n, (o, t) in enumerate(owners))
    with connection.cursor() as cursor:
        cursor.execute(
            f"""insert into leads_lead (person_id, source_id, pipeline_id, stage_id, status, owner_id, team_id, name,
                phone, email, company_name, job_title, city, region, country, language, industry, product, need,
                authority, tags, custom, first_campaign, last_campaign, version, score, fit, engagement, band,
                qualification, is_imported, created_at, active_at)
            select {template.person_id}, {template.source_id}, {template.pipeline_id}, {template.stage_id}, 'open',
                o.owner, o.team, 'N' || g, '', '', '', '', '', '', '', '', '', '', '', '', '{{}}', '{{}}', '', '',
                0, g % 100, 0, 0, 'cold', 0, false, now() - g * interval '1 minute',
                now() - (g * 7 % 20000) * interval '1 minute'
            from generate_series(1, 20000) g join (values {values}) o(n, owner, team) on o.n = g % {len(owners)}"""
        )
        cursor.execute("analyze leads_lead")


def _nodes(plan):
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def test_the_address_of_the_list_is_the_one_the_shell_knows():
    assert reverse("leads:list") == URL


def test_of_views_with_the_same_filters_the_one_opened_is_the_active_one(rep, signed_in):
    first, second = (
        SavedView.objects.create(user=rep, page="leads:list", name=name, query="band=cold") for name in ("One", "Two")
    )
    client = signed_in(rep)

    def active(query):
        return [tab["url"] for tab in client.get(f"/leads/?{query}").context["views"] if tab.get("active")]

    assert active("band=cold") == ["/leads/?band=cold"]
    assert active(f"band=cold&view={second.pk}") == [f"/leads/?band=cold&view={second.pk}"]
    assert active(f"band=hot&view={first.pk}") == ["/leads/?band=hot"]


def test_a_search_that_finds_nothing_yet_is_not_offered_for_saving(rep, signed_in):
    client = signed_in(rep)
    assert "save_url" not in client.get("/leads/?q=iv").context
    assert client.get("/leads/?q=iva").context["save_url"] == "/views/new/?page=leads%3Alist&query=q%3Diva"
