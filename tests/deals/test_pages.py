"""The deal's card, list, conversion and outcomes, as a browser asks for them."""

import io
import json
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from python_calamine import CalamineWorkbook

from crm.core.models import AuditEntry, Reason, Stage
from deals import services
from deals.models import Deal, Product
from leads.models import Company, Interaction, Lead, Message, Task
from tests.factories import DealFactory, LeadFactory

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true", "HX-Target": "dialog"}


def post(client, url, data=None):
    return client.post(url, data or {}, headers=HTMX)


def titles(response):
    html = response.content.decode()
    return {deal.title for deal in Deal.objects.all() if f"/deals/{deal.pk}/" in html}


# --- Conversion -----------------------------------------------------------------------------------------------------
def test_the_conversion_dialog_is_prefilled_and_asks_what_the_lead_lacks(signed_in, rep):
    lead = LeadFactory(owner=rep, product="CRM", company_name="Ромашка", budget=Decimal("99000"))
    Stage.objects.filter(pipeline__kind="lead", name="Qualified").update(required_fields=["need"])
    client, url = signed_in(rep), f"/leads/{lead.pk}/conversion/"
    html = client.get(url, headers=HTMX).content.decode()
    assert 'value="CRM — Ромашка"' in html and 'value="99\N{NO-BREAK SPACE}000"' in html and 'name="need"' in html
    data = {"title": "CRM", "amount": "120 000", "need": ""}
    assert post(client, url, data).status_code == 422
    assert (Lead.objects.get().status, Deal.objects.count()) == ("open", 0)
    done = post(client, url, data | {"need": "Учёт заявок"})
    deal = Deal.objects.get()
    assert (done.headers["HX-Redirect"], deal.amount, deal.lead_id) == (f"/deals/{deal.pk}/", Decimal(120000), lead.pk)
    assert post(client, url, data).headers["HX-Redirect"] == f"/deals/{deal.pk}/"
    assert Deal.objects.count() == 1


@pytest.mark.parametrize("amount", ["-1", "1e30", "NaN", "Infinity", "abc", "1.234", "9" * 400])
def test_an_impossible_amount_is_refused_in_words(signed_in, rep, amount):
    lead = LeadFactory(owner=rep)
    answer = post(signed_in(rep), f"/leads/{lead.pk}/conversion/", {"title": "x", "amount": amount})
    assert (answer.status_code, 'aria-invalid="true"' in answer.content.decode()) == (422, True)
    assert Deal.objects.count() == 0


def test_who_may_not_work_on_a_lead_does_not_convert_it(signed_in, rep, colleague, marketer):
    lead = LeadFactory(owner=rep)
    for user in (colleague, marketer):
        for answer in (
            signed_in(user).get(f"/leads/{lead.pk}/conversion/"),
            post(signed_in(user), f"/leads/{lead.pk}/conversion/"),
        ):
            assert answer.status_code == 404
    assert Deal.objects.count() == 0


# --- The card -------------------------------------------------------------------------------------------------------
def test_strangers_do_not_find_a_deal_on_any_address(signed_in, rep, outsider):
    deal = DealFactory(owner=rep)
    line = services.add_line(deal, by=rep, title="x", price=Decimal(1))
    base, client = f"/deals/{deal.pk}/", signed_in(outsider)
    gets = ["", "parts/head/", "fields/title/", "owner/", "timeline/", "notes/", "calls/", "tasks/", "win/", "loss/",
            "lines/", f"lines/{line.pk}/"]  # fmt: skip
    posts = ["fields/title/", "stage/", "owner/", "notes/", "calls/", "tasks/", "win/", "loss/", "reopening/", "repeat/",
             "lines/", f"lines/{line.pk}/", f"lines/{line.pk}/removal/"]  # fmt: skip
    before = Interaction.objects.count()
    assert {client.get(base + path).status_code for path in gets} == {404}
    assert {client.post(base + path).status_code for path in posts} == {404}
    assert (Deal.objects.get().title, Interaction.objects.count()) == (deal.title, before)


def test_marketers_read_and_do_not_write(signed_in, rep, marketer):
    deal, client = DealFactory(owner=rep), signed_in(marketer)
    html = client.get(f"/deals/{deal.pk}/").content.decode()
    assert deal.title in html and "/win/" not in html and "/fields/" not in html
    for path in ("win/", "loss/", "notes/", "lines/", "fields/title/", "reopening/", "stage/"):
        assert client.post(f"/deals/{deal.pk}/{path}").status_code == 404
    assert client.post(f"/deals/{deal.pk}/repeat/").status_code == 403


def test_the_card_costs_few_queries_whatever_it_holds(signed_in, rep):
    deal, client = DealFactory(owner=rep), signed_in(rep)
    counts = []
    for _round in range(2):
        for n in range(10):
            services.note(deal, by=rep, text=f"заметка {n}")
            services.add_line(deal, by=rep, title="x", price=Decimal(1))
        with CaptureQueriesContext(connection) as queries:
            assert client.get(f"/deals/{deal.pk}/").status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 20


def test_fields_are_edited_and_wrong_ones_refused(signed_in, rep):
    deal, client = DealFactory(owner=rep), signed_in(rep)
    url = f"/deals/{deal.pk}/fields/amount/"
    for wrong in ("-5", "1e30", "NaN", "пять"):
        assert post(client, url, {"amount": wrong, "currency": "RUB"}).status_code == 422
    assert post(client, url, {"amount": "5", "currency": "XXX"}).status_code == 422
    assert post(client, url, {"amount": "12 345 678,90", "currency": "USD"}).status_code == 204
    assert client.get(f"/deals/{deal.pk}/fields/stage/").status_code == 404
    deal.refresh_from_db()
    assert (deal.amount, deal.currency) == (Decimal("12345678.90"), "USD")


def test_a_call_with_a_next_step_is_one_form(signed_in, rep):
    deal, client = DealFactory(owner=rep), signed_in(rep)
    answer = post(client, f"/deals/{deal.pk}/calls/", {"result": "reached", "text": "Ждут КП", "next": "tomorrow"})
    assert answer.status_code == 204 and "deal:changed" in json.loads(answer["HX-Trigger"])
    task = Task.objects.get()
    assert (task.deal_ref, task.assignee, task.lead) == (deal.pk, rep, None)
    rows = Interaction.objects.filter(deal_ref=deal.pk).order_by("id").values_list("kind", "text")
    assert list(rows)[0] == ("call", "Ждут КП") and "task_set" in {kind for kind, _text in rows}


def test_a_letter_about_the_deal_goes_to_its_leads_address(signed_in, rep, colleague):
    lead = LeadFactory(owner=rep)
    deal, bare = DealFactory(owner=rep, lead=lead, person=lead.person), DealFactory(owner=rep)
    client, url = signed_in(rep), f"/deals/{deal.pk}/letters/new/"
    assert url in client.get(f"/deals/{deal.pk}/").content.decode()
    card, dialog = client.get(f"/deals/{bare.pk}/").text, client.get(f"/deals/{bare.pk}/letters/new/")
    assert f"/deals/{bare.pk}/letters/new/" not in card and "No email from here: the deal has no lead." in card
    assert (dialog.status_code, "letter-form" in dialog.text) == (200, False)
    assert "This deal was made without a lead" in dialog.text
    assert signed_in(colleague).get(url).status_code == 404
    answer = post(client, url, {"subject": "КП", "text": "Добрый день!"})
    assert answer.status_code == 204 and "deal:changed" in json.loads(answer["HX-Trigger"])
    assert list(Message.objects.values_list("lead", "deal_ref", "by", "to")) == [(lead.pk, deal.pk, rep.pk, lead.email)]


def test_the_deals_own_timeline_does_not_repeat_its_title(signed_in, rep):
    deal = DealFactory(owner=rep, title="Окна на дачу")
    services.win(deal, by=rep)
    heads = [entry.head + entry.note for entry in signed_in(rep).get(f"/deals/{deal.pk}/").context["entries"]]
    assert heads and not [head for head in heads if "Окна на дачу" in head]


def test_a_touch_without_a_next_step_asks_for_one(signed_in, rep):
    deal, client = DealFactory(owner=rep), signed_in(rep)
    answer = post(client, f"/deals/{deal.pk}/notes/", {"text": "Думают"})
    assert (answer.status_code, f'action="/deals/{deal.pk}/tasks/"' in answer.content.decode()) == (200, True)


def test_products_make_the_amount(signed_in, rep):
    deal, client = DealFactory(owner=rep), signed_in(rep)
    product = Product.objects.create(name="Лицензия", price=Decimal("1999.99"))
    url = f"/deals/{deal.pk}/lines/"
    assert post(client, url, {"quantity": "1"}).status_code == 422
    assert post(client, url, {"product": product.pk, "quantity": "-3"}).status_code == 422
    assert post(client, url, {"product": product.pk, "quantity": "3", "discount": "10"}).status_code == 204
    line = deal.lines.get()
    assert Deal.objects.get().amount == Decimal("5399.97")
    assert post(client, f"{url}{line.pk}/", {"title": "Лицензия", "quantity": "1", "price": "100"}).status_code == 204
    assert Deal.objects.get().amount == Decimal("100.00")
    assert post(client, f"{url}{line.pk}/removal/").status_code == 204
    assert deal.lines.count() == 0


def test_won_lost_reopened_and_repeated_by_buttons(signed_in, rep):
    deal, client = DealFactory(owner=rep, amount=None), signed_in(rep)
    base = f"/deals/{deal.pk}/"
    assert post(client, f"{base}loss/", {"note": "без причины"}).status_code == 422
    assert post(client, f"{base}loss/", {"reason": Reason.objects.get(kind="lead").pk}).status_code == 422
    assert (
        post(client, f"{base}loss/", {"reason": Reason.objects.get(kind="deal").pk, "note": "дорого"}).status_code
        == 204
    )
    assert Deal.objects.get().status == "lost"
    assert post(client, f"{base}reopening/").status_code == 204
    assert post(client, f"{base}win/", {"amount": "-1"}).status_code == 422
    assert post(client, f"{base}win/", {"amount": "77 000"}).status_code == 204
    assert post(client, f"{base}win/", {"amount": "77 000"}).status_code == 409
    assert post(client, f"{base}repeat/").headers["HX-Redirect"] == f"/deals/{Deal.objects.latest('id').pk}/"
    assert [(d.status, d.amount) for d in Deal.objects.order_by("id")] == [
        ("won", Decimal(77000)),
        ("open", Decimal(77000)),
    ]


def test_panels_show_what_the_user_may_see_and_what_was_bought(signed_in, rep, outsider):
    lead = LeadFactory(owner=rep)
    mine = services.win(services.convert(lead, by=rep, amount=Decimal(1000)), by=rep)
    DealFactory(owner=outsider, person=lead.person, title="Чужая")
    for url in (f"/leads/{lead.pk}/deals/", f"/people/{lead.person_id}/deals/"):
        html = signed_in(rep).get(url, headers={"HX-Request": "true"}).content.decode()
        assert mine.title in html and "Чужая" not in html and "1,000" in html
    assert signed_in(outsider).get(f"/leads/{lead.pk}/deals/").status_code == 404


def test_cards_of_lead_client_and_company_ask_for_their_deals(signed_in, rep):
    lead = LeadFactory(owner=rep, company=Company.objects.create(name="Ромашка", name_key="ромашка"))
    lead.person.company = lead.company
    lead.person.save()
    client = signed_in(rep)
    for page in (f"/leads/{lead.pk}/", f"/people/{lead.person_id}/", f"/companies/{lead.company_id}/"):
        assert f'hx-get="{page}deals/"' in client.get(page).content.decode()


def test_a_manager_hands_over_own_deals_to_the_team_only(signed_in, rep, colleague, outsider):
    deal, client = DealFactory(owner=rep), signed_in(rep)
    assert post(client, f"/deals/{deal.pk}/owner/", {"owner": outsider.pk}).status_code == 422
    assert post(client, f"/deals/{deal.pk}/owner/", {"owner": colleague.pk}).headers["HX-Redirect"] == "/deals/"
    assert Deal.objects.get().owner == colleague


# --- List and export --------------------------------------------------------------------------------------------------
def test_the_list_filters_searches_and_pages(signed_in, head, rep, colleague):
    lead = LeadFactory(owner=rep, phone="+79161234567", name="Щёлоков Пётр")
    known = DealFactory(owner=rep, person=lead.person, title="Остекление", amount=500, expected_close="2020-01-01")
    other = DealFactory(owner=colleague, title="Кондиционеры", amount=90_000)
    lost = services.lose(DealFactory(owner=rep, title="Двери"), Reason.objects.get(kind="deal"), by=rep)
    client = signed_in(head)
    for query, found in {
        "": {known.title, other.title},
        "state=lost": {lost.title},
        "state=all": {known.title, other.title, lost.title},
        "owner=me": set(),
        f"owner={rep.pk}": {known.title},
        "attention=close": {known.title},
        "amount_from=1000": {other.title},
        "q=4567": {known.title},
        "q=щелоков": {known.title},
        "q=кондиц": {other.title},
        "sort=active": {known.title, other.title},
    }.items():
        assert titles(client.get(f"/deals/?{query}")) == found, query
    for query in ("sort=amount", "after=zzz", "state=x", "since=9999-99-99", "stage=abc", "what=1", "amount_to=NaN"):
        answer = client.get(f"/deals/?{query}")
        assert (answer.status_code, 'role="alert"' in answer.content.decode()) == (400, True), query
    for query in ("since=0001-01-01", "until=9999-12-31", "q=%25%5C_'%22", "q=" + "я" * 3000):
        assert client.get(f"/deals/?{query}").status_code in (200, 400), query


def test_ten_and_twenty_rows_take_the_same_queries(signed_in, head, rep):
    client, counts = signed_in(head), []
    for _round in range(2):
        for _n in range(10):
            DealFactory(owner=rep)
        with CaptureQueriesContext(connection) as queries:
            client.get("/deals/")
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 15


def test_export_is_a_right_of_its_own_and_holds_no_formulas(signed_in, rep, head):
    DealFactory(owner=rep, title="=1+1", amount=Decimal("10.50"))
    assert signed_in(rep).get("/deals/export/csv/").status_code == 403
    body = b"".join(signed_in(head).get("/deals/export/csv/").streaming_content).decode("utf-8-sig")
    assert "'=1+1" in body and "10.50" in body
    book = b"".join(signed_in(head).get("/deals/export/xlsx/").streaming_content)
    rows = CalamineWorkbook.from_filelike(io.BytesIO(book)).get_sheet_by_index(0).to_python()
    assert [row[1] for row in rows[1:]] == ["=1+1"]
    assert list(AuditEntry.objects.values_list("action", "subject")) == [("export", "deals")] * 2
