"""Two companies to look at: one on its first morning, one with a year, 300 people, long names and great sums behind it."""

import json
from datetime import time, timedelta
from decimal import Decimal

from django.core.files.base import ContentFile
from django.core.management import call_command
from django.utils import timezone

from crm.automation.defaults import ensure_defaults
from crm.core.models import (
    Absence,
    ApiKey,
    Calendar,
    Holiday,
    Hours,
    Job,
    Notice,
    Pipeline,
    Reason,
    SavedView,
    Skill,
    Stage,
    Team,
    User,
)
from deals.models import Deal, DealLine, Product
from leads.capture import ADAPTERS
from leads.models import (
    BulkRun,
    Call,
    ChatFile,
    ChatLine,
    Company,
    Confirmation,
    ConsentText,
    Conversation,
    Identity,
    Import,
    IncomingLetter,
    Lead,
    LetterFile,
    MailFolder,
    Message,
    Origin,
    Person,
    ReferralCode,
    Registration,
    Source,
    Submission,
    Suppression,
    Task,
    Template,
)
from leads.services.timeline import record
from nurturing.models import Sequence, Step
from routing.models import Rule as RoutingRule
from scoring.models import Rule as ScoringRule
from tests.access import world
from tests.factories import (
    CalendarFactory,
    DealFactory,
    LeadFactory,
    PersonFactory,
    SourceFactory,
    SubmissionFactory,
    TeamFactory,
    UserFactory,
)

ROLES = ("manager", "head", "marketer", "admin")
LAST = "Константинопольская-Преображенская"
FIRST = "Александра Вячеславовна"
NAME = f"{LAST} {FIRST}"
FIRM = "Общество с ограниченной ответственностью «Верхневолжское производственно-коммерческое объединение „Светлояр“»"
EMAIL = "aleksandra.konstantinopolskaya-preobrazhenskaya@" + "verkhnevolzhskoe-obedinenie.example.test"
SUM = Decimal("12345678.90")
LONG = (
    "Клиентка просит подготовить коммерческое предложение на поставку, монтаж и пусконаладку оборудования для трёх "
    "производственных площадок, с отдельной сметой на каждую, рассрочкой на восемнадцать месяцев и договором, который "
    "согласуют юристы обеих сторон. "
)
WORD = "достопримечательность" * 4  # nothing to break it at
PEOPLE = 300


def empty():
    """What `make up DEMO=0` begins with, and its people: one of each role."""
    ensure_defaults()
    team = TeamFactory(name="Отдел продаж")
    names = {"manager": "Анна Сергеевна", "head": "Пётр Ильич", "marketer": "Ольга Павловна", "admin": "Игорь Львович"}
    teams = {"manager": team, "head": team}
    people = {role: _colleague(role, names[role], role=role, team=teams.get(role)) for role in ROLES}
    team.heads.add(people["head"])
    fixed = {
        "template": Template.objects.first().pk,
        "sequence": Sequence.objects.first().pk,
        "step": Step.objects.first().pk,
        "source": Source.objects.first().key,
        **_stages(),
    }
    return world.World({"visitor": None, **people}, {"own": world.Bundle(people["manager"], "")}, fixed)


def full():
    """The demo's year, one record of each kind, and over them whatever is long, much, broken or overdue."""
    call_command("seed_demo", leads=600, seed=5, verbosity=0)
    people = {role: User.objects.get(username=role) for role in ROLES}
    mate, outsider = User.objects.get(username="manager4"), User.objects.get(username="manager2")
    rep, head, marketer, admin = people.values()
    User.objects.filter(pk__in=[rep.pk, head.pk]).update(last_name=LAST, first_name=FIRST)
    places = world.build(rep, mate, head, outsider, marketer, admin)
    places.actors = {"visitor": None, **people}
    lead = Lead.objects.select_related("person", "source").get(pk=places.bundles["own"].params["lead"])
    deal = Deal.objects.get(pk=places.bundles["own"].params["deal"])
    _staff(head, rep)
    _words(admin)
    _sources(places)
    _card(lead, deal, rep)
    _mail(lead, rep)
    _talks(lead)
    _calls(lead, rep)
    _receipts(lead)
    _lists(admin, rep, lead)
    _busy(rep)
    places.fixed |= _stages()
    return places


def _colleague(username, name, **fields):
    root = username == "admin"
    return UserFactory(username=username, first_name=name, is_staff=root, is_superuser=root, **fields)


def _stages():
    kinds = {"lead_stage": "lead", "deal_stage": "deal"}
    return {name: Stage.objects.filter(pipeline__kind=kind).first().pk for name, kind in kinds.items()}


def _staff(head, rep):
    """Three hundred people in eight teams, some away, some without a team."""
    teams = [TeamFactory(name=f"Управление по работе с ключевыми клиентами Верхневолжья № {n}") for n in range(8)]
    skill = Skill.objects.create(name="Внешнеэкономическая деятельность и таможенное оформление грузов")
    for n in range(PEOPLE):
        user = UserFactory(
            username=f"colleague{n:03d}", last_name=LAST if n % 3 else f"Иванов{n}", first_name=FIRST, grade=1 + n % 4,
            team=teams[n % 9] if n % 9 < 8 else rep.team, takes_leads=n % 7 > 0, is_active=n % 50 > 0,
            job_title="Ведущий специалист отдела корпоративных продаж",
        )  # fmt: skip
        if n % 40 == 0:
            user.skills.add(skill)
            now = timezone.now()
            Absence.objects.create(
                user=user, starts_at=now - timedelta(days=1), ends_at=now + timedelta(days=20), reason=LONG[:120]
            )
    teams[0].heads.add(head)
    calendar = CalendarFactory(name="Пятидневка с укороченной пятницей и обеденным перерывом по скользящему графику")
    for day in range(1, 9):
        Holiday.objects.create(calendar=calendar, date=f"2026-01-0{day}", name="Новогодние и рождественские каникулы")
    rep.skills.add(skill)


def _words(admin):
    """What an administrator names: stages, reasons, products, rules, templates, chains."""
    for pipeline in Pipeline.objects.all():
        stage = pipeline.stages.order_by("position").first()
        Stage.objects.filter(pk=stage.pk).update(name="Первичное выявление потребности и согласование условий")
    for kind in ("lead", "deal"):
        Pipeline.objects.create(kind=kind, name="Внешнеторговые контракты с отсрочкой платежа", position=5)
        Reason.objects.create(kind=kind, name="Бюджет перенесён на следующий финансовый год по решению собственника")
    Product.objects.create(name=f"Комплекс водоподготовки {WORD[:60]} с пусконаладкой", price=SUM, unit="комплект")
    ScoringRule.objects.create(
        name="Крупная производственная компания Приволжского федерального округа с бюджетом", kind="fit", points=15,
        condition=[{"field": "company_size", "op": "gte", "value": 12345678}],
    )  # fmt: skip
    RoutingRule.objects.create(
        name="Ключевые клиенты Верхневолжья по очереди между ведущими специалистами", position=9,
        team=Team.objects.get(name__endswith="№ 1"), condition=[{"field": "city", "op": "eq", "value": "Козьмодемьянск"}],
    )  # fmt: skip
    template = Template.objects.create(
        name="Коммерческое предложение с рассрочкой и отдельной сметой на каждую из трёх площадок", body=LONG * 4,
        subject="Предложение по трём производственным площадкам: смета, сроки, рассрочка, договор",
    )  # fmt: skip
    Template.objects.create(name="Сценарий первого разговора с производственной компанией", kind="script", body=LONG)
    Template.objects.create(name="SMS после пропущенного звонка в нерабочее время", kind="sms", body=LONG[:120])
    sequence = Sequence.objects.create(name="Возвращение к переговорам после переноса бюджета на следующий год")
    for place, fields in enumerate(
        [
            {"kind": "email", "template": template},
            {"kind": "wait", "hours": 12345},
            {"kind": "task", "title": LONG[:200]},
        ]
    ):
        Step.objects.create(sequence=sequence, position=place, **fields)
    Origin.objects.create(name="Международная промышленная выставка «Оборудование и технологии Поволжья»")
    ConsentText.objects.create(purpose="marketing", version=2, text=LONG * 6)
    ApiKey.issue(name="Обмен с учётной системой производственного объединения", user=admin)
    for number in range(3):
        Job.objects.create(task="crm.react", ref=f"dead{number}", dead=True, attempts=5, error=f"ValueError: {WORD}")


def _sources(places):
    """A door of each kind; one is off, one has a name and a silence."""
    for adapter in ADAPTERS:
        SourceFactory(key=f"kind-{adapter}", name=f"Сайт «Светлояр»: {ADAPTERS[adapter].LABEL}", adapter=adapter)
    SourceFactory(key="off", name="Прошлогодняя выставка в Козьмодемьянске, стенд № 12", is_active=False)
    box = Source.objects.get(key="box")
    MailFolder.objects.create(
        source=box, name="INBOX", uidvalidity=1, last_uid=12345678, stored=12345678, failed_at=timezone.now(),
        error="login|[AUTHENTICATIONFAILED] Invalid credentials (Failure)", polled_at=timezone.now(),
    )  # fmt: skip
    event, friends = Source.objects.get(key="meeting"), Source.objects.get(key="friends")
    for person in Person.objects.order_by("-pk")[:40]:
        Registration.objects.create(source=event, person=person)
    for number, person in enumerate(Person.objects.order_by("-pk")[:5]):
        ReferralCode.objects.create(code=f"friend{number}", person=person, reward="Скидка 10 % на следующий заказ")
    ReferralCode.objects.create(code="word", partner="Ассоциация промышленников и предпринимателей Верхневолжья")
    Source.objects.filter(pk=friends.pk).update(name="Рекомендации клиентов и партнёров Верхневолжского объединения")
    mapped = Source.objects.get(key=places.fixed["mapping_source"])
    body = {"lead": {"fio": NAME, "tel": "+7 903 123-45-67", "mail": EMAIL, "comment": LONG, WORD: WORD}}
    SubmissionFactory(source=mapped, body=json.dumps(body).encode(), state="rejected", reason="no_contact")


def _card(lead, deal, rep):
    """A lead on which everything is long and of which there is much."""
    now = timezone.now()
    company = lead.company
    Company.objects.filter(pk=company.pk).update(
        name=FIRM, city="Козьмодемьянск", industry="Производство промышленного оборудования", size=12345678,
        inn="526012345678", domain="verkhnevolzhskoe-proizvodstvenno-kommercheskoe-obedinenie.example",
    )  # fmt: skip
    Person.objects.filter(pk=lead.person_id).update(
        name=NAME, job_title="Заместитель генерального директора по внешнеэкономической деятельности и логистике",
        preferences=LONG, city="Козьмодемьянск", owner=rep,
    )  # fmt: skip
    Lead.objects.filter(pk=lead.pk).update(
        name=NAME, email=EMAIL, company_name=FIRM, job_title="Заместитель генерального директора", need=LONG * 3,
        budget=SUM, company_size=12345678, authority=NAME, city="Козьмодемьянск", region="Республика Марий Эл",
        product="Комплекс водоподготовки с пусконаладкой и обучением персонала", waiting_since=now - timedelta(days=2),
        tags=["вернулась после переноса бюджета на год", "ключевой-клиент", WORD[:40], *(f"метка {n}" for n in range(9))],
        custom={"Номер заявки в учётной системе": "12345678-АБВ", WORD[:60]: WORD, "Комментарий": LONG},
        score=87, band="hot", qualification=2, first_origin=Origin.objects.order_by("-pk").first(),
    )  # fmt: skip
    lead.refresh_from_db()
    Identity.objects.create(person=lead.person, kind="email", value=EMAIL)
    for number in range(4):
        phone = f"+7903123456{number}"
        Identity.objects.create(person=lead.person, kind="phone", value=phone, extension="12345" if number else "")
    Deal.objects.filter(pk=deal.pk).update(
        title="Поставка и монтаж комплексов водоподготовки для трёх производственных площадок объединения «Светлояр»",
        amount=SUM * 81, terms=LONG * 2, expected_close=now.date() - timedelta(days=9),
    )  # fmt: skip
    for number in range(6):
        DealLine.objects.create(
            deal=deal, title=f"Комплекс водоподготовки № {number}: {LONG[:120]}", price=SUM, quantity=1234, discount=10
        )
        DealFactory(owner=rep, person=lead.person, company=company, title=f"{LONG[:150]} {number}", amount=SUM * number)
    for number, days in enumerate((-40, -1, 0, 0, 1, 30)):
        Task.objects.create(
            person=lead.person, lead=lead, assignee=rep, due_at=now + timedelta(days=days, hours=number),
            title=f"Согласовать договор с юристами обеих сторон и отправить смету по площадке № {number}",
        )  # fmt: skip
    record(lead, "note", by=rep, text=LONG * 8)
    record(lead, "note", by=rep, text=WORD * 4)
    record(lead, "edited", by=rep, fields={"city": ["Нижний Новгород", "Козьмодемьянск"]})
    PersonFactory(name=NAME)  # a twin
    Suppression.objects.create(value=f"x.{EMAIL}", reason="bounced")


def _mail(lead, rep):
    """Letters of every fate, both ways."""
    common = {"lead": lead, "person": lead.person, "sender": f"{NAME} <{EMAIL}>", "to": EMAIL, "text": LONG * 3}
    for number, (state, reason) in enumerate(
        [("queued", ""), ("sending", ""), ("sent", ""), ("failed", f"550 5.1.1 {WORD}"), ("skipped", "opted_out"),
         ("unsure", "answer_lost")]
    ):  # fmt: skip
        message = Message.objects.create(
            kind="letter", state=state, reason=reason, by=rep, subject=f"{LONG[:200]} № {number}",
            html=f"<p>{LONG}</p><table><tr><td>{WORD}</td></tr></table>", **common,
        )  # fmt: skip
        record(lead, "email_out", by=rep, message=message, text=message.subject)
    for number, sort in enumerate(("human", "auto_reply", "bounce", "complaint", "calendar", "encrypted")):
        letter = IncomingLetter.objects.create(
            key=f"in{number}", source=Source.objects.get(key="box"), lead=lead, person=lead.person, sort=sort,
            sender_name=NAME, sender=EMAIL, recipients=[EMAIL] * 3, subject=f"Re: {LONG[:300]}", text=LONG * 5,
            rest=f"> {LONG * 2}", html=f"<p>{LONG}</p><pre>{WORD * 3}</pre>" if number % 2 else "", at=timezone.now(),
        )  # fmt: skip
        for place, state in enumerate(("kept", "too_large", "infected", "waiting")):
            file = LetterFile(
                letter=letter, position=place, name=f"Смета {WORD} {place}.xlsx", state=state, size=12345678
            )
            if state == "kept":
                file.file.save("x", ContentFile(b"x"))
            file.save()


def _talks(lead):
    """A long talk in each messenger, with files of every fate."""
    now = timezone.now()
    doors = {
        "telegram": "telegram",
        "whatsapp": "whatsapp",
        "vk": "vk",
        "jivo": "jivo",
        "chat": "chat",
        "sms": "sms-trial",
    }
    for channel, adapter in doors.items():
        talk = Conversation.objects.create(
            source=Source.objects.get(key=f"kind-{adapter}"), channel=channel, chat=f"hard-{channel}", title=NAME,
            person=lead.person, lead=lead, unread=3, last_in_at=now - timedelta(hours=1),
        )  # fmt: skip
        for number in range(12):
            line = ChatLine.objects.create(
                conversation=talk, provider_id=f"{channel}{number}", text=(LONG, WORD, "Да.")[number % 3],
                at=now - timedelta(hours=30 - number), is_ours=number % 4 == 3, author=NAME,
            )  # fmt: skip
            if number % 3 == 0:
                state = ("kept", "too_large", "infected", "failed")[number // 3]
                file = ChatFile(
                    line=line, kind="document", ref="x", name=f"Договор {WORD}.pdf"[:200], state=state, size=12345
                )
                if state == "kept":
                    file.file.save("x", ContentFile(b"x"))
                file.save()


def _calls(lead, rep):
    source, now = Source.objects.get(key="kind-mango"), timezone.now()
    for number, result in enumerate(("answered", "missed", "no_answer", "busy", "failed")):
        interaction = record(lead, "call" if number % 2 == 0 else "call_missed", by=rep, text=LONG)
        Call.objects.create(
            source=source, external_id=f"call{number}", direction="in" if number % 2 else "out", client=lead.phone,
            colleague=rep, person=lead.person, lead=lead, state="ended", result=result, started_at=now, ended_at=now,
            duration=12345, talk=12000, recording="" if number else "https://exchange.test/1.mp3", name=NAME,
            interaction=interaction,
        )  # fmt: skip


def _receipts(lead):
    """One of each reason, some waiting; a body that is long."""
    source = Source.objects.get(key="kind-json")
    body = json.dumps({"name": NAME, "email": EMAIL, "comment": LONG * 5, WORD: WORD}, ensure_ascii=False).encode()
    for reason in Submission.Reason.values:
        state = {"honeypot": "spam", "bot_suspect": "spam", "flood": "spam", "surge": "spam", "failed": "error"}
        SubmissionFactory(
            source=source, body=body, state=state.get(reason, "rejected"), reason=reason, detail=LONG[:300],
            judged_at=timezone.now(), headers={"user-agent": WORD * 2},
        )  # fmt: skip
    SubmissionFactory.create_batch(5, source=source, body=body)
    asked = SubmissionFactory(source=source, body=body)
    Confirmation.objects.create(submission=asked, email=EMAIL, expires_at=timezone.now() + timedelta(days=2))
    SubmissionFactory(source=source, body=body, state="lead", lead=lead, person=lead.person, parsed={"name": NAME})


def _lists(admin, rep, lead):
    """Imports of several fates, bulk actions, saved views, notices."""
    source = Source.objects.get_or_create(key="list", defaults={"name": "Список", "adapter": "list"})[0]
    name = f"Участники выставки {WORD} с пометками менеджеров (окончательный вариант 3).xlsx"
    for state, error in (("done", ""), ("failed", LONG), ("undone", ""), ("running", "")):
        Import.objects.create(
            source=source, by=admin, file_name=name, state=state, error=error, size=12345678, rows=12345678,
            created=12345000, updated=600, skipped=70, failed=8, warned=12345, finished_at=timezone.now(),
            forecast={"rows": 12345678}, options={"kind": "xlsx"},
            undo={"rows": 12345678, "removed": 12345000, "restored": 600, "kept": 78} if state == "undone" else {},
        )  # fmt: skip
    for user in (rep, admin):
        BulkRun.objects.create(
            by=user, action="tag", params={"tag": WORD[:40]}, ids=[lead.pk], place=1, done=0, refused=1, left=[lead.pk],
            refusals=[["gate", {"stage": LONG[:80]}, 1]], state="done", finished_at=timezone.now(),
        )  # fmt: skip
    for user in User.objects.filter(username__in=ROLES):
        for page, query in (("leads:list", "band=hot"), ("deals:list", "state=all"), ("leads:people", "q=1")):
            SavedView.objects.create(
                user=user,
                page=page,
                query=query,
                name="Горячие обращения производственных компаний Верхневолжья с выставки",
            )
        for kind in ("assigned", "hot", "message", "missed", "receipt_error", "undelivered", "task"):
            Notice.objects.create(user=user, kind=kind, url=f"/leads/{lead.pk}/", details={"name": NAME, "text": LONG})


def _busy(rep):
    """The manager has sixty leads with long names, closed ones and deals of great sums."""
    for number in range(60):
        LeadFactory(
            owner=rep, person=PersonFactory(name=f"{NAME} {number}"), company_name=FIRM, email=f"{number}.{EMAIL}",
            source=Source.objects.get(key="kind-json"), tags=[WORD[:40]],
            waiting_since=None if number % 4 else timezone.now() - timedelta(hours=number),
        )  # fmt: skip
        if number % 3 == 0:
            DealFactory(owner=rep, title=f"{LONG[:140]} {number}", amount=SUM * (number + 1))
    for model, states in ((Lead, ("rejected", "converted")), (Deal, ("won", "lost"))):
        for status in states:
            keys = list(model.objects.filter(status=status).values_list("pk", flat=True)[:20])
            model.objects.filter(pk__in=keys).update(owner=rep, team=rep.team)
    calendar = Calendar.objects.order_by("-pk").first()
    Hours.objects.filter(calendar=calendar, weekday=6).update(end=time(12))
