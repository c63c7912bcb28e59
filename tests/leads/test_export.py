"""Exports: the same rows as the list, no formula, who exported what is written down."""

import csv
import datetime as dt
import io
from decimal import Decimal
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from django.utils import timezone

from crm.core import exports
from crm.core.models import AuditEntry
from leads.models import Lead
from tests.factories import LeadFactory

pytestmark = pytest.mark.django_db
ZONE = ZoneInfo("Europe/Moscow")
NASTY = ["=HYPERLINK(1)", "+cmd|' /C calc'!A0", "-1+1", "@SUM(1)", "\ttab", "\rcr", "\nlf", "＝1+1", 'a"b;c', "plain"]


def body(response):
    return b"".join(response.streaming_content)


def table(response):
    """The rows of a CSV answer as dicts by column."""
    return list(csv.DictReader(io.StringIO(body(response).decode("utf-8-sig")), delimiter=";"))


def sheet(response):
    book = openpyxl.load_workbook(io.BytesIO(body(response)))
    return book.active


@pytest.mark.parametrize("who", ["head", "admin"])
@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_the_file_has_exactly_the_rows_of_the_list(who, form, rep, outsider, head, admin, signed_in, request):
    LeadFactory(name="of rep", owner=rep, band="hot")
    LeadFactory(name="cold of rep", owner=rep)
    LeadFactory(name="of outsider", owner=outsider, band="hot")
    LeadFactory(name="of nobody", band="hot")
    response = signed_in(request.getfixturevalue(who)).get(f"/leads/export.{form}?band=hot")
    if form == "csv":
        names = {row["Name"] for row in table(response)}
    else:
        names = {row[1].value for row in list(sheet(response).rows)[1:]}
    assert names == {"head": {"of rep", "of nobody"}, "admin": {"of rep", "of outsider", "of nobody"}}[who]
    entry = AuditEntry.objects.get()
    assert (entry.user.username, entry.action, entry.details) == (who, "export", {"query": "band=hot", "format": form})


def test_export_is_a_permission_of_its_own(rep, signed_in):
    LeadFactory(name="mine", owner=rep)
    client = signed_in(rep)
    refused = client.get("/leads/export.csv")
    assert (refused.status_code, b"mine" in refused.content) == (403, False)
    assert not AuditEntry.objects.exists()
    rep.may_export = True
    rep.save()
    assert [row["Name"] for row in table(client.get("/leads/export.csv"))] == ["mine"]


@pytest.mark.parametrize("query", ["_connector=OR 1=1--", "owner__is_superuser=1", "band=x", "since=2024-02-31"])
def test_filters_that_the_list_refuses_are_refused_here(query, admin, signed_in):
    response = signed_in(admin).get(f"/leads/export.csv?{query}")
    assert (response.status_code, AuditEntry.objects.count()) == (400, 0)
    assert signed_in(admin).get(f"/leads/?{query}").status_code == 400


def test_there_are_two_forms(admin, signed_in):
    assert signed_in(admin).get("/leads/export.exe").status_code == 404


@pytest.mark.parametrize("text", NASTY)
def test_no_cell_is_a_formula(text, admin, rep, signed_in):
    LeadFactory(name="x", owner=rep, phone="+79991234567")
    Lead.objects.update(name=text, score=-5, budget=Decimal("1234567.50"))
    row = table(signed_in(admin).get("/leads/export.csv"))[0]
    safe = text if text in {'a"b;c', "plain"} else f"'{text}"
    assert (row["Name"], row["Phone"], row["Score"], row["Budget"]) == (safe, "'+79991234567", "-5", "1234567.50")
    cells = list(sheet(signed_in(admin).get("/leads/export.xlsx")).rows)[1]
    assert [cell.data_type for cell in cells if cell.value == text or cell.data_type == "f"] == ["s"]
    assert (cells[2].value, cells[2].data_type) == ("+79991234567", "s")
    assert [cell.data_type for cell in cells].count("f") == 0
    assert (cells[13].value, cells[9].value) == (-5, 1234567.5)


def test_values_of_each_kind(tmp_path):
    at = dt.datetime(2026, 3, 1, 12, 30, tzinfo=dt.UTC)
    rows = [[1, 2.5, Decimal("3.10"), True, None, "", at, dt.date(2026, 3, 1), "nul\x00 \x01control", "x" * 40_000]]
    text = b"".join(exports.csv_bytes(["=a"] + list("bcdefghij"), iter(rows), zone=ZONE)).decode("utf-8-sig")
    first = next(csv.reader(io.StringIO(text), delimiter=";"))
    assert first[0] == "'=a"
    assert ";2026-03-01 15:30:00;2026-03-01;" in text
    book = openpyxl.load_workbook(io.BytesIO(b"".join(exports.xlsx_bytes(list("abcdefghij"), iter(rows), zone=ZONE))))
    values = [cell.value for cell in list(book.active.rows)[1]]
    assert values[:6] == [1, 2.5, 3.1, True, None, None]
    assert (values[6], values[7]) == (dt.datetime(2026, 3, 1, 15, 30), dt.datetime(2026, 3, 1))
    assert values[8] == "nul control"
    assert len(values[9]) == 32_767


def test_rows_are_written_as_they_come():
    """Pieces leave while rows are still being read: memory does not grow with the file."""
    for write in (exports.csv_bytes, exports.xlsx_bytes):
        read, largest = [], 0

        def rows(read=read):
            for n in range(20_000):
                read.append(n)
                yield [n, f"text {n * 7919}", timezone.now()]

        pieces, first = write(["a", "b", "c"], rows(), zone=ZONE), None
        for piece in pieces:
            first = len(read) if first is None else first
            largest = max(largest, len(piece))
        assert first < 20_000
        assert largest < 1_000_000
