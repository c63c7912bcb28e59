"""The list in the browser: upload, meaning of columns, dry run, start, result."""

import re
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import translation

from crm.core.jobs import drain
from crm.core.notices import wording
from leads.models import Import, Lead, Message, Template
from tests.factories import LeadFactory

TABLE = (
    "Имя;Телефон;Почта;Примечание\nАнна;8 916 000-00-01;anna@example.ru;первая\nБорис;;boris@example.ru;\nНикто;;;\n"
)


def upload(client, content=TABLE, name="клиенты.csv", encoding="cp1251"):
    file = SimpleUploadedFile(name, content if isinstance(content, bytes) else content.encode(encoding))
    return client.post(reverse("leads:imports"), {"file": file})


def test_a_head_brings_in_a_list(signed_in, head, funnels, sales, settings):
    client = signed_in(head)
    answer = upload(client)
    job = Import.objects.get()
    assert answer.url == reverse("leads:import", args=[job.pk])
    assert (job.options["encoding"], job.options["delimiter"]) == ("cp1251", ";")
    page = client.get(answer.url).content.decode()
    assert "Анна · Борис · Никто" in page

    form = {"column0": "name", "column1": "phone", "column2": "email", "column3": "need"}
    assert client.post(answer.url, form).status_code == 302
    drain()
    job.refresh_from_db()
    assert job.state == "checked" and Lead.objects.count() == 0
    assert job.forecast == {"rows": 3, "created": 2, "updated": 0, "skipped": 0, "failed": 1}

    client.post(reverse("leads:import_start", args=[job.pk]))
    drain()
    job.refresh_from_db()
    assert (job.state, job.rows, job.created, job.failed) == ("done", 3, 2, 1)
    assert set(Lead.objects.values_list("name", "phone", "owner__username")) == {
        ("Анна", "+79160000001", "anna"), ("Борис", "", "anna"),
    }  # fmt: skip
    assert list(head.notices.values_list("kind", flat=True)) == ["import"]
    errors = b"".join(client.get(reverse("leads:import_errors", args=[job.pk])).streaming_content).decode("utf-8-sig")
    assert errors.splitlines()[1].startswith("Никто;;;;4;")

    client.post(reverse("leads:import_undo", args=[job.pk]))
    drain()
    with translation.override("ru"):
        told = [wording(notice) for notice in head.notices.order_by("pk")]
    assert told == [f"Загрузка завершена: {job.file_name}", f"Загрузка отменена: {job.file_name}"]


def test_a_second_start_changes_nothing(signed_in, head, funnels, sales):
    client = signed_in(head)
    upload(client)
    job = Import.objects.get()
    client.post(reverse("leads:import", args=[job.pk]), {"column2": "email"})
    drain()
    for _again in range(2):
        client.post(reverse("leads:import_start", args=[job.pk]))
    drain()
    client.post(reverse("leads:import", args=[job.pk]), {"column0": "name", "column2": "email"})
    client.post(reverse("leads:import_discard", args=[job.pk]))
    job.refresh_from_db()
    assert (job.state, job.created, job.mapping["columns"]) == ("done", 2, {"Почта": "email"})


def test_the_meaning_of_columns_is_remembered_for_the_next_list_of_the_source(signed_in, head, funnels, sales):
    client = signed_in(head)
    upload(client)
    first = Import.objects.get()
    client.post(reverse("leads:import", args=[first.pk]), {"column0": "+own", "column2": "email", "missing": "-, нет"})
    drain()
    client.post(reverse("leads:import_start", args=[first.pk]))
    drain()
    upload(client)
    second = Import.objects.exclude(pk=first.pk).get()
    assert second.mapping["columns"] == {"Имя": "custom.Имя", "Почта": "email"}
    page = client.get(reverse("leads:import", args=[second.pk])).content.decode()
    assert re.search(r'<option value="\+own" selected', page) and 'value="-, нет"' in page


def test_another_encoding_is_read_anew(signed_in, marketer, funnels):
    client = signed_in(marketer)
    upload(client)
    job = Import.objects.get()
    client.post(
        reverse("leads:import_reading", args=[job.pk]), {"encoding": "koi8_r", "delimiter": ";", "header": "on"}
    )
    job.refresh_from_db()
    assert job.options["encoding"] == "koi8-r" and job.options["columns"][0] != "Имя"


def test_outcome_without_its_words_is_refused_in_words(signed_in, admin, funnels):
    client = signed_in(admin)
    upload(client)
    job = Import.objects.get()
    answer = client.post(reverse("leads:import", args=[job.pk]), {"column2": "email", "column3": "+outcome"})
    assert answer.status_code == 422
    assert "Say which texts of the outcome" in answer.content.decode()
    assert Import.objects.get().state == "ready"


@pytest.mark.parametrize("name", ["../../etc/cron.d/x.csv", "a" * 250 + ".csv", 'a"\r\n.csv'])
def test_the_name_of_a_file_never_reaches_the_disk(signed_in, head, funnels, settings, name):
    upload(signed_in(head), name=name)
    stored = Import.objects.get().file.name
    assert re.fullmatch(r"imports/[0-9a-f]{32}\.(csv|dat)", stored)
    assert [p.relative_to(settings.MEDIA_ROOT).as_posix() for p in Path(settings.MEDIA_ROOT).rglob("*.*")] == [stored]


def test_what_is_no_list_is_refused_in_words(signed_in, head, funnels):
    answer = upload(signed_in(head), content=b"%PDF-1.7 ...", name="list.csv")
    assert answer.status_code == 422 and "This is a PDF" in answer.content.decode()
    assert not Import.objects.exists()


def test_sales_managers_import_nothing_and_heads_see_their_own_lists(signed_in, rep, head, admin, funnels):
    upload(signed_in(admin))
    job = Import.objects.get()
    pages = [reverse("leads:import", args=[job.pk]), reverse("leads:import_progress", args=[job.pk])]
    assert [signed_in(rep).get(url).status_code for url in [reverse("leads:imports"), *pages]] == [403, 403, 403]
    assert [signed_in(head).get(url).status_code for url in pages] == [404, 404]
    assert signed_in(head).post(reverse("leads:import_start", args=[job.pk])).status_code == 404
    assert "клиенты.csv" not in signed_in(head).get(reverse("leads:imports")).content.decode()


@pytest.mark.parametrize("asked", [True, False])
def test_people_of_a_list_hear_of_us_only_where_it_was_asked_for(signed_in, head, funnels, sales, asked):
    for language in ("ru", "en"):
        Template.objects.create(name=language, is_welcome=True, subject="Спасибо", body="Спасибо!", language=language)
    client = signed_in(head)
    upload(client)
    job = Import.objects.get()
    client.post(reverse("leads:import", args=[job.pk]), {"column0": "name", "column1": "phone", "column2": "email"})
    drain()
    client.post(reverse("leads:import_start", args=[job.pk]), {"sets_going": "on"} if asked else {})
    drain()
    greeted = Message.objects.filter(kind="welcome").values_list("to", flat=True)
    told = list(sales.notices.values_list("kind", flat=True))
    assert set(greeted) == ({"anna@example.ru", "boris@example.ru"} if asked else set())
    assert told == (["assigned", "assigned"] if asked else [])


def test_the_dry_run_tells_field_by_field_what_it_would_do(signed_in, head, funnels, sales):
    known = LeadFactory(name="Анна", phone="+79160000001", email="", tags=["vip"], owner=sales)
    client = signed_in(head)
    upload(client, "Имя;Телефон;Почта;Теги\nАнна;8 916 000-00-01;a@x.ru;vip, new\nНикто;;;\n")
    job = Import.objects.get()
    form = {"column0": "name", "column1": "phone", "column2": "email", "column3": "tags"}
    client.post(reverse("leads:import", args=[job.pk]), form)
    drain()
    job.refresh_from_db()
    (row,) = job.diff["updated"]
    assert (row["line"], row["lead"]) == (2, known.pk)
    assert row["changes"] == [["tags", "vip", "new"], ["email", "", "a@x.ru"], ["contacts", "", "a@x.ru"]]
    assert [row["reason"] for row in job.diff["failed"]] == ["no_contact"]
    with job.diff_file.open() as file:
        lines = file.read().decode("utf-8-sig").splitlines()
    assert [line.split(";")[0] for line in lines[1:]] == ["2", "3"]
