"""The settings in Russian: every page opens, and no column, heading, filter or help is left in English."""

import re
from types import SimpleNamespace

import pytest
from django.contrib.admin import site
from django.contrib.admin.utils import label_for_field
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.urls import reverse
from django.utils.translation import override

from crm.core import admin_base, jobs
from crm.core.models import AuditEntry, Calendar, Job, Stage
from deals.models import Deal
from leads.models import ConsentText, Origin, Source, Touch
from nurturing.models import Sequence
from tests.factories import TeamFactory, UserFactory

pytestmark = pytest.mark.django_db

LATIN = re.compile(r"[A-Za-z]{2,}")
NAMES = re.compile(
    r"ID|API|CRM|e-?mail|English|HTML|IANA|IP|MQL|SQL|SHA-256|SMS|UTM", re.IGNORECASE
)  # said so in Russian, too


def english(words):
    return LATIN.search(NAMES.sub("", str(words))) and not re.search("[А-Яа-яЁё]", str(words))


def words_of(model):
    meta = model._meta
    yield from (
        (meta.label, words) for words in (meta.verbose_name, meta.verbose_name_plural, meta.app_config.verbose_name)
    )
    for field in [*meta.fields, *meta.many_to_many]:
        where = f"{meta.label}.{field.name}"
        yield from ((where, words) for words in (field.verbose_name, field.help_text))
        yield from ((where, words) for _value, words in field.flatchoices or ())


def words_of_page(model, page):
    for name in page.list_display:
        yield f"{model._meta.label} list: {name}", label_for_field(name, model, page)
    for name in [*(page.readonly_fields or ()), *(page.fields or ())]:
        yield f"{model._meta.label} page: {name}", label_for_field(name, model, page)
    for one in page.list_filter:
        yield (
            f"{model._meta.label} filter: {one}",
            "" if isinstance(one, str | tuple) else one.title,
        )  # a field has its own


@pytest.mark.parametrize("model", site._registry, ids=lambda model: model._meta.label)
def test_nothing_of_a_table_is_left_in_english(model):
    with override("ru"):
        said = [*words_of(model), *words_of_page(model, site._registry[model])]
        assert [(where, str(words)) for where, words in said if english(words)] == []


@pytest.fixture
def desk(client, admin):
    """An administrator's client, in an installation that has something on every page."""
    call_command("seed_demo", leads=30, seed=5, verbosity=0)
    get_user_model().objects.filter(pk=admin.pk).update(language="ru")
    client.force_login(admin, backend="django.contrib.auth.backends.ModelBackend")
    return client


def addresses(user):
    for model, page in site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        row = model._default_manager.order_by("pk").first()
        yield reverse(f"{name}_changelist")
        if page.has_add_permission(SimpleNamespace(user=user)):
            yield reverse(f"{name}_add")
        if row is not None:
            yield from (reverse(f"{name}_{action}", args=[row.pk]) for action in ("change", "history"))


def test_every_page_of_the_settings_opens_in_russian(desk, admin):
    found = []
    for url in [reverse("admin:index"), *addresses(admin)]:
        answer = desk.get(url)
        head = re.search(r"<h1>(.*?)</h1>", answer.content.decode())
        if answer.status_code != 200 or "---------" in answer.content.decode() or english(head[1]):
            found.append((url, answer.status_code, head and head[1]))
    assert found == []


def test_what_is_done_is_said_without_a_case(desk):
    said = desk.post(reverse("admin:core_team_add"), {"name": "Север", "_save": "1"}, follow=True).content.decode()
    assert "Добавлено: команда «<a href=" in said and "<h1>Команды</h1>" in said


def test_every_job_and_queue_is_called_by_words():
    with override("ru"):
        assert [n for n in jobs._queue_of if n not in Job.TITLES and not n.startswith("tests.")] == []
        assert set(jobs._queue_of.values()) - set(Job.QUEUES) == set()
        assert Job(task="leads.judge", ref="17").title == "Разобрать обращение №\xa017"
        assert Job(task="leads.judge", ref="11369210").title == "Разобрать обращение №\xa011369210"
        assert Job(task="nurturing.advance", ref="7").title == "Сделать шаг цепочки · лид в цепочке №\xa07"
        assert Job(task="crm.daily", ref="20261122").title == "Ежедневная работа"
        assert Job(task="scoring.decay", ref="due").title == "Состарить баллы"  # about nothing in particular


def test_what_a_list_was_narrowed_by_is_said_as_its_page_says_it():
    anna = UserFactory(first_name="Анна", last_name="Репина")
    said = {"query": f"state=all&owner={anna.pk}&owner=me&owner=987654&band=hot&q=Иван", "format": "csv"}
    with override("ru"):
        assert AuditEntry(action="export", details=said).facts == [
            ("Отбор", "состояние: любые; ответственный: Анна Репина, я, №\xa0987654; готовность: горячие; поиск: Иван"),
            ("Вид файла", "csv"),
        ]
        assert AuditEntry(action="export", details={"query": ""}).facts == [("Отбор", "—")]


def test_what_a_report_was_narrowed_by_is_named(desk):
    team, origin = TeamFactory(name="Север"), Origin.objects.create(name="Ярмарка")
    stage, source = Stage.objects.first(), Source.objects.first()
    rows = {"team": team, "origin": origin, "stage": stage, "source": source}
    details = {key: str(row.pk) for key, row in rows.items()} | {"owner": "", "band": "hot"}
    with override("ru"):
        facts = dict(AuditEntry(action="export", details=details).facts)
    shown = {"Команда": team, "Первоисточник": origin, "Этап": stage, "Источник": source}
    assert facts == {name: str(row) for name, row in shown.items()} | {"Ответственный": "—", "Готовность": "горячие"}
    odd = {"query": "owner=x&owner=-1&owner=" + "9" * 30 + "&stage=0", "owner": "²"}
    entry = AuditEntry.objects.create(action="export", details=odd)
    assert desk.get(reverse("admin:core_auditentry_change", args=[entry.pk])).status_code == 200


def test_a_job_given_up_says_what_it_was_about_and_folds_what_the_program_says(desk):
    error = "Traceback …\nValueError: bad"
    job = Job.objects.create(task="leads.deliver", ref="12", dead=True, attempts=5, error=error)
    page = desk.get(reverse("admin:core_job_change", args=[job.pk])).content.decode()
    assert f'<a href="{reverse("leads:message", args=[12])}">сообщение №\xa012</a>' in page
    assert "Неудачных попыток: 5" in page
    assert re.search(r"<details><summary>bad</summary><pre[^>]*>Traceback", page)


def test_a_refused_deletion_names_the_mark_that_switches_off_or_none(desk):
    source = Source.objects.filter(submissions__isnull=False).first()
    page = desk.get(reverse("admin:leads_source_delete", args=[source.pk])).content.decode()
    assert "снимите отметку «Действует»" in page
    origin = Touch.objects.exclude(origin=None).first().origin
    page = desk.get(reverse("admin:leads_origin_delete", args=[origin.pk])).content.decode()
    assert "Touch" not in page and "снимите отметку" not in page and "ничего из перечисленного" in page


def test_a_list_says_kinds_and_sums_as_their_pages_do(desk):
    sources = desk.get(reverse("admin:leads_source_changelist"), {"adapter": "web-form"}).content.decode()
    assert '<td class="field-kind">Форма на сайте</td>' in sources
    assert '<td class="field-kind">JSON</td>' not in sources  # another kind is filtered out
    Deal.objects.update(amount=98765432)
    deals = desk.get(reverse("admin:deals_deal_changelist")).content.decode()
    assert '<td class="field-sum">98\xa0765\xa0432\xa0₽</td>' in deals


def test_a_list_counts_no_further_than_it_pages(desk, monkeypatch):
    page = reverse("admin:leads_lead_changelist")
    assert "Всего: 30" in desk.get(page).content.decode()
    monkeypatch.setattr(admin_base, "CAP", 10)
    monkeypatch.setattr(admin_base.CappedPaginator, "cap", 10)
    shown = desk.get(page, {"q": "а"}).content.decode()
    assert "Больше 10" in shown
    assert "Всего" not in shown


def test_what_is_only_looked_at_is_said_by_words(desk):
    text = ConsentText.objects.first() or ConsentText.objects.create(text="Согласен")
    page = desk.get(reverse("admin:leads_consenttext_change", args=[text.pk])).content.decode()
    assert "Персональные данные" in page and "processing" not in page
    sequence = Sequence.objects.create(
        name="Прогрев", enrols_by_rule=True, condition=[{"field": "band", "op": "eq", "value": "cold"}]
    )
    page = desk.get(reverse("admin:nurturing_sequence_change", args=[sequence.pk])).content.decode()
    assert "холодный" in page and "band" not in page
    deal = Deal.objects.first()
    Deal.objects.filter(pk=deal.pk).update(amount=98765432)
    page = desk.get(reverse("admin:deals_deal_change", args=[deal.pk])).content.decode()
    assert "98\xa0765\xa0432\xa0₽" in page and "98765432" not in page
    hours = desk.get(reverse("admin:core_calendar_change", args=[Calendar.objects.get(is_default=True).pk])).content
    assert 'value="09:00"' in hours.decode() and "09:00:00" not in hours.decode()


def test_a_page_that_is_not_there_speaks_to_whoever_asks(desk, client):
    assert "карточку объединили с другой" in desk.get("/nowhere/").content.decode()
    client.logout()
    said = client.get("/f/nowhere/", headers={"Accept-Language": "ru"}).content.decode()
    assert "Проверьте адрес" in said and "карточк" not in said
