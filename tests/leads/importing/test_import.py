"""What a list does: exact counts, nobody doubled, nobody overwritten, nobody written to."""

import csv
import io
import json
import os
import signal
import threading
import time

import pytest
from django.apps import apps
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import connection

from crm.automation.importing import settle, whole
from crm.core.jobs import drain, enqueue
from crm.core.models import Job, Organisation
from leads import identity
from leads.models import Assignment, Identity, Import, ImportRow, Interaction, Lead, Person, Tombstone
from leads.services import importing
from leads.services.intake import open_lead
from routing.services import recount_debts
from tests.factories import LeadFactory, SourceFactory

CONTACTS = {"columns": {"name": "name", "phone": "phone", "email": "email", "city": "city"}}


def lines(*rows, header="name,phone,email,city"):
    return "\n".join([header, *rows]) + "\n"


def test_doubles_within_a_list_are_one_person(bring, counts, sales):
    job = bring(
        lines(
            "Анна,8 916 000-00-01,,",
            ",+7 (916) 000 00 01,anna@example.ru,Омск",
            "анна,,ANNA@example.ru,",
            "Борис,,b@x.ru,",
        ),
        CONTACTS,
    )
    assert counts(job) == (4, 2, 1, 1, 0)
    anna = Lead.objects.get(phone="+79160000001")
    assert (anna.name, anna.email, anna.city) == ("Анна", "anna@example.ru", "Омск")
    assert Person.objects.count() == 2


def test_a_double_of_a_row_that_completed_a_card_is_no_news(bring, counts, rep):
    LeadFactory(owner=rep, name="Анна", phone="+79160000001", email="")
    job = bring(lines("Анна,89160000001,a@x.ru,", "Анна,89160000001,a@x.ru,"), CONTACTS)
    assert counts(job) == (2, 0, 1, 1, 0)


def test_doubles_far_apart_in_a_list_are_one_person(bring, counts, sales, monkeypatch):
    monkeypatch.setattr(importing, "CHUNK", 2)
    job = bring(lines("Анна,,a@x.ru,", "Борис,,b@x.ru,", "Вера,,v@x.ru,", ",,a@x.ru,Омск", ",,b@x.ru,"), CONTACTS)
    assert counts(job) == (5, 3, 1, 1, 0)
    assert Lead.objects.get(email="a@x.ru").city == "Омск"


def test_a_known_card_is_completed_and_never_overwritten(bring, counts, rep):
    lead = LeadFactory(owner=rep, name="Анна Петровна", phone="+79160000001", email="")
    job = bring(lines("Аня,89160000001,anna@example.ru,Омск"), CONTACTS)
    again = bring(lines("Аня,89160000001,anna@example.ru,Омск"), CONTACTS)
    lead.refresh_from_db()
    assert (lead.name, lead.email, lead.city, lead.owner) == ("Анна Петровна", "anna@example.ru", "Омск", rep)
    assert (counts(job), counts(again)) == ((1, 0, 1, 0, 0), (1, 0, 0, 1, 0))
    assert ImportRow.objects.get(of=job).data["changed"] == {
        "email": ["", "anna@example.ru"], "city": ["", "Омск"], "contacts": ["", ["anna@example.ru"]],
    }  # fmt: skip
    assert set(Identity.objects.values_list("value", flat=True)) == {"+79160000001", "anna@example.ru"}


def test_a_closed_lead_is_never_reopened_by_a_list(bring, counts, rep):
    lead = LeadFactory(owner=rep, phone="+79160000001", email="a@x.ru")
    Lead.objects.filter(pk=lead.pk).update(status="rejected", closed_at=lead.created_at)
    assert counts(bring(lines("Анна,89160000001,a@x.ru,"), CONTACTS)) == (1, 0, 0, 1, 0)
    assert list(Lead.objects.values_list("status", flat=True)) == ["rejected"]


def test_who_was_erased_is_not_made_again_by_a_list(bring, counts, sales):
    Tombstone.objects.create(digest=Tombstone.digest_of("phone", "+79160000001"))
    job = bring(lines("Анна,89160000001,a@x.ru,", "Борис,,b@x.ru,"), CONTACTS)
    assert counts(job) == (2, 1, 0, 1, 0)
    assert list(Lead.objects.values_list("email", flat=True)) == ["b@x.ru"]
    assert ImportRow.objects.get(of=job, state="skipped").reason == "erased"


def test_people_of_one_switchboard_stay_apart(bring, counts, sales):
    Organisation.objects.update_or_create(pk=1, defaults={"shared_phones": "+7 495 000-00-00"})
    job = bring(lines("Анна,84950000000,,", "Борис,84950000000,,", "анна,84950000000,a@x.ru,"), CONTACTS)
    assert counts(job) == (3, 2, 1, 0, 0)
    assert list(Identity.objects.filter(kind="phone").values_list("is_shared", flat=True)) == [True, True]


def test_rows_that_cannot_be_taken_are_given_back_with_the_reason(bring, counts, sales):
    job = bring(
        lines(
            "Нет контакта,,,", "Эксель,7.99912E+10,,", "Плохой,12,нет,", "=cmd(),,,Омск", "Плохой телефон,12,ok@x.ru,"
        ),
        CONTACTS,
    )
    assert counts(job) == (5, 1, 0, 0, 4)
    with default_storage.open(job.error_file.name) as file:
        rows = list(csv.reader(file.read().decode("utf-8-sig").splitlines(), delimiter=";"))
    assert rows[0] == ["name", "phone", "email", "city", "Строка файла", "Причина"]
    assert [row[4] for row in rows[1:]] == ["2", "3", "4", "5"]
    assert rows[4][0] == "'=cmd()", "no cell of the file is a formula"
    assert [r.reason for r in ImportRow.objects.filter(of=job, state="failed").order_by("line")] == [
        "no_contact", "phone_mangled", "bad_contact", "no_contact",
    ]  # fmt: skip
    kept = Interaction.objects.get(lead__email="ok@x.ru", kind="imported")
    assert kept.details["warnings"] == ["phone:12"]


def test_an_import_greets_nobody_and_starts_no_clock(bring, sales):
    bring(lines("Анна,89160000001,,"), CONTACTS)
    lead = Lead.objects.get()
    assert (lead.owner, lead.team, lead.waiting_since, lead.is_imported) == (sales, sales.team, None, True)
    assert set(lead.interactions.values_list("kind", flat=True)) == {"imported", "owner_changed"}
    assert list(Assignment.objects.values_list("how", "to_owner")) == [("import", sales.pk)]
    assert (Job.objects.count(), drain()) == (0, 0)
    assert not sales.notices.exists()


def test_the_date_of_the_enquiry_is_the_lists_and_none_is_invented(bring, sales):
    stated = CONTACTS | {"date": {"column": "at", "format": "%d.%m.%Y"}}
    job = bring(
        "email,at\na@x.ru,05.03.2024\nb@x.ru,nonsense\n", {"columns": {"email": "email"}, "date": stated["date"]}
    )
    old, new = Lead.objects.get(email="a@x.ru"), Lead.objects.get(email="b@x.ru")
    assert old.created_at.date().isoformat() in {"2024-03-05", "2024-03-04"}
    assert abs((new.created_at - job.created_at).total_seconds()) < 60
    assert new.interactions.get(kind="imported").details["warnings"] == ["date:nonsense"]


def test_what_became_known_after_contact_is_kept_apart(bring, sales):
    bring(
        "email,Tags,grade\na@x.ru,Ringing,Select\n",
        {"columns": {"email": "email", "Tags": "tags", "grade": {"field": "custom.grade", "missing": ["Select"]}},
         "known_after_contact": ["Tags"]},
    )  # fmt: skip
    lead = Lead.objects.get()
    assert (lead.tags, lead.custom) == ([], {"after_contact": {"Tags": "Ringing"}})


# --- The command -----------------------------------------------------------------------------------------------------


def everything():
    names = [m._meta.db_table for m in apps.get_models(include_auto_created=True)]
    with connection.cursor() as cursor:
        found = {}
        for name in names:
            cursor.execute(f"select md5(coalesce(string_agg(t::text, '|' order by t::text), '')) from \"{name}\" t")
            found[name] = cursor.fetchone()[0]
    return found


def test_a_dry_run_counts_the_same_and_leaves_every_table_unchanged(
    tmp_path, mapping_file, source, sales, capsys, monkeypatch
):
    monkeypatch.setattr(importing, "CHUNK", 2)
    LeadFactory(phone="+79160000009", email="", name="Известный")
    file = tmp_path / "list.csv"
    rows = [
        "Анна,,a@x.ru,",
        "Борис,,b@x.ru,",
        ",,a@x.ru,Омск",
        ",,,",
        ",89160000009,known@x.ru,",
        ",,a@x.ru,Омск",
        ",,known@x.ru,",
    ]
    file.write_text(lines(*rows), "utf-8")
    arguments = [str(file), "--source", source.key, "--mapping", str(mapping_file(CONTACTS)), "--json"]
    Organisation.get()
    before = everything()
    call_command("import_leads", *arguments, "--dry-run")
    tried = json.loads(capsys.readouterr().out)
    assert everything() == before
    call_command("import_leads", *arguments)
    done = json.loads(capsys.readouterr().out)
    assert tried | {"error_file": ""} == done | {"error_file": ""}
    assert done | {"error_file": ""} == {
        "rows": 7, "created": 2, "updated": 2, "skipped": 2, "failed": 1, "error_file": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("key", "stated"),
    [("nowhere", CONTACTS), ("list-a", {"columns": {"nmae": "name"}}), ("list-a", {"columns": {"name": "owner"}})],
)
def test_a_mistake_is_said_in_words_and_nothing_is_written(tmp_path, mapping_file, source, key, stated):
    file = tmp_path / "list.csv"
    file.write_text(lines("Анна,,a@x.ru,"), "utf-8")
    with pytest.raises(CommandError, match="nowhere|nmae|owner"):
        call_command("import_leads", str(file), source=key, mapping=mapping_file(stated))
    assert (Lead.objects.count(), Import.objects.count()) == (0, 0)


# --- Crashes and company ---------------------------------------------------------------------------------------------


def opened_list(path, source):
    return importing.opened(io.BytesIO(path.read_bytes()), CONTACTS, source)


def test_a_killed_import_goes_on_from_the_last_committed_chunk(tmp_path, source, sales, monkeypatch, counts):
    monkeypatch.setattr(importing, "CHUNK", 3)
    path = tmp_path / "list.csv"
    path.write_text(lines(*[f"Клиент {n},,c{n}@x.ru," for n in range(10)]), "utf-8")
    job = Import.objects.create(source=source, file_name="list.csv", mapping=CONTACTS)

    class Killed(BaseException):
        pass

    def dies(leads):
        if Lead.objects.count() >= 6:
            raise Killed
        return settle(leads)

    importing.begin(job)
    with pytest.raises(Killed):
        importing.carry_out(job, opened_list(path, source), then=dies)
    again = Import.objects.get()
    assert counts(again) == (6, 6, 0, 0, 0)
    done = whole(again, opened_list(path, source))
    assert counts(done) == (10, 10, 0, 0, 0)
    assert Person.objects.count() == Lead.objects.count() == 10
    assert sorted(ImportRow.objects.values_list("line", flat=True)) == list(range(2, 12))


@pytest.mark.django_db(transaction=True)
def test_two_who_import_the_same_people_at_once_make_no_doubles(tmp_path, source, sales, monkeypatch):
    monkeypatch.setattr(importing, "CHUNK", 20)
    people = [f"Клиент {n},8916{n:07d},c{n}@x.ru," for n in range(120)]
    orders = [people, people[::-1]]
    jobs, gate, failures = [], threading.Barrier(2), []
    for number, rows in enumerate(orders):
        path = tmp_path / f"list{number}.csv"
        path.write_text(lines(*rows), "utf-8")
        jobs.append((Import.objects.create(source=source, file_name=path.name, mapping=CONTACTS), path))

    def work(job, path):
        try:
            gate.wait()
            whole(job, opened_list(path, source))
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=pair) for pair in jobs]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert failures == []
    done = list(Import.objects.all())
    assert (sum(j.created for j in done), sum(j.skipped for j in done), sum(j.rows for j in done)) == (120, 120, 240)
    assert Person.objects.count() == Lead.objects.count() == 120
    assert Identity.objects.count() == 240


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_with_9_leaves_whole_chunks_and_the_next_one_goes_on(source, sales, monkeypatch, counts):
    monkeypatch.setattr(importing, "CHUNK", 5)
    text = lines(*[f"Клиент {n},,c{n}@x.ru," for n in range(300)])
    job = Import.objects.create(
        source=source, file_name="list.csv", mapping=CONTACTS, file=ContentFile(text.encode(), name="list.csv")
    )
    importing.begin(job)
    enqueue("crm.import", f"{job.pk}:0")
    connection.close()  # the child opens one of its own
    worker = os.fork()
    if worker == 0:
        try:
            drain()
        finally:
            os._exit(0)
    while Import.objects.get().rows < 10:
        time.sleep(0.02)
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    half = Import.objects.get()
    assert half.state == "running" and half.rows < 300
    assert half.rows == half.created == ImportRow.objects.count() == Lead.objects.count()
    Job.objects.update(leased_until=None)
    drain()
    assert counts(Import.objects.get()) == (300, 300, 0, 0, 0)
    assert Person.objects.count() == Lead.objects.count() == ImportRow.objects.count() == 300
    assert Import.objects.get().state == "done"


@pytest.mark.django_db(transaction=True)
def test_a_live_enquiry_waits_for_no_list(tmp_path, source, sales):
    path = tmp_path / "list.csv"
    path.write_text(lines(*[f"Клиент {n},,c{n}@x.ru," for n in range(20)]), "utf-8")
    job = Import.objects.create(source=source, file_name="list.csv", mapping=CONTACTS)
    written, go_on = threading.Event(), threading.Event()

    def pausing(leads):
        write, close = settle(leads)

        def paused(done):
            write(done)
            written.set()
            go_on.wait(30)

        return paused, close

    def work():
        try:
            importing.begin(job)
            importing.carry_out(job, opened_list(path, source), then=pausing)
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    assert written.wait(30), "the chunk is written and not committed"
    try:
        with connection.cursor() as cursor:
            cursor.execute("set lock_timeout = '1s'")
        lead, _outcome = open_lead(
            fields={"name": "Живой"}, identities=identity.known(email_raw="live@x.ru"), source=SourceFactory()
        )
        drain()
        lead.refresh_from_db()
        assert (lead.owner, Lead.objects.count()) == (sales, 1)
    finally:
        go_on.set()
        thread.join()
        connection.close()
    assert (Lead.objects.count(), recount_debts()) == (21, 0)


def test_no_row_of_a_list_names_what_is_not_there(bring, sales):
    """The foreign keys that were vouched for, asked of the database itself."""
    stated = {"columns": {"name": "name", "email": "email", "company": "company_name", "from": "origin"},
              "outcome": {"column": "outcome", "won": ["won"], "lost": ["lost"]}}  # fmt: skip
    text = "name,email,company,from,outcome\nА,a@x.ru,Лён,Google,won\nБ,b@x.ru,Лён,,lost\nВ,v@x.ru,,Google,\n,b@x.ru,Клён,Mail,\n"
    bring(text, stated)
    with connection.cursor() as cursor:
        cursor.execute(
            """select conrelid::regclass::text, a.attname, confrelid::regclass::text from pg_constraint c
               join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1] where contype = 'f'"""
        )
        orphans = {}
        for table, column, parent in cursor.fetchall():
            cursor.execute(
                f'select count(*) from {table} t where "{column}" is not null '
                f'and not exists (select from {parent} p where p.id::text = t."{column}"::text)'
            )
            if number := cursor.fetchone()[0]:
                orphans[f"{table}.{column}"] = number
    assert orphans == {}
    assert Lead.objects.count() == 3
