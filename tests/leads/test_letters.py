"""Letters: written once, sent at most once, never to who opted out."""

import pytest
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm.core.jobs import drain
from crm.core.models import Job
from leads import letters as pure
from leads.forms.letters import TemplateForm
from leads.models import Interaction, Kind, Lead, Message, Suppression, Template
from leads.services import letters, optouts
from tests.factories import LeadFactory

pytestmark = pytest.mark.django_db


def test_a_letter_is_a_row_first_and_then_leaves_from_the_writers_name(rep):
    lead = LeadFactory(owner=rep, name="Пётр Иванов")
    message = letters.write(lead, kind="letter", subject="Ваш заказ", text="Добрый день!", by=rep)
    assert (message.state, mail.outbox) == ("queued", [])
    drain()
    message.refresh_from_db()
    [sent] = mail.outbox
    assert message.state == "sent" and message.sent_at and message.claimed_at
    assert sent.to == [lead.email] and sent.reply_to[0].endswith("<rep@crm.test>")
    assert sent.from_email.startswith('"Анна Репина" <')
    assert list(Interaction.objects.filter(kind=Kind.EMAIL_OUT).values_list("message", "by")) == [(message.pk, rep.pk)]
    assert not Job.objects.filter(task="leads.deliver").exists()


# --- Templates: variables --------------------------------------------------------------------------------------------
def rendered(body, **lead):
    return letters.render(Template(subject="S", body=body), Lead(**lead))[1]


@pytest.mark.parametrize(
    ("body", "lead", "text"),
    [
        ("Здравствуйте, {{ first_name }}!", {"name": "Иванов Пётр Сергеевич"}, "Здравствуйте, Пётр!"),
        ("Здравствуйте, {{ first_name }}!", {"name": ""}, "Здравствуйте!"),
        ('Здравствуйте, {{ first_name|"коллега" }}!', {"name": ""}, "Здравствуйте, коллега!"),
        ("{{company|«ваша компания»}}", {"company_name": ""}, "ваша компания"),
        ("{{ name }}", {"name": "{{ owner_phone }}"}, "owner_phone }}"),
        ("{{ name }}", {"name": "Win http://evil.test now"}, "Win now"),
        ("{{ name|'клиент' }}", {"name": "evil.test/win"}, "клиент"),
        ("{{ product }}", {"product": "a\r\nBcc: b"}, "a Bcc: b"),
    ],
)
def test_variables_are_filled_in_and_carry_nothing_else(db, body, lead, text):
    assert rendered(body, **lead) == text


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("Иванов Пётр Сергеевич", "Пётр"),
        ("Пётр Иванов", "Пётр"),
        ("Ким Ольга", "Ольга"),
        ("Анна Сергеевна", "Анна"),
        ("Ковалёва Марина", "Марина"),
        ("Нина Ильина", "Нина"),
        ("Роман", "Роман"),
        ("Peter Smith", "Peter"),
        ("", ""),
    ],
)
def test_the_first_name_is_found_in_either_order(name, given):
    assert pure.first_name(name) == given


@pytest.mark.parametrize(
    "body",
    [
        "{{ lead.owner.password }}",
        "{{ settings.SECRET_KEY }}",
        "{% load static %}",
        '{% include "/etc/passwd" %}',
        "{% debug %}",
        "{{ ''.__class__ }}",
        "{{ password }}",
        "{{ name",
        "{# x #}",
        "{{ name|upper }}",
        "{{ name }}" * 201,
        "{{ name }}" * 10**6,
        "x" * 5_000_000,
        "{" * 10_000,
        "javascript:alert(1)",
        "data:text/html;base64,AAAA",
        "http://user:secret@example.test/",
        "https://example.test/\x00",
        "https://\u202eexample.test/",
        "http://127.0.0.1:8000/admin/core/user/",
        " ".join(f"https://example.test/{n}" for n in range(51)),
    ],
)
def test_what_a_template_must_not_hold_is_refused_when_saved(body):
    form = TemplateForm({"name": "T", "kind": "letter", "language": "ru", "subject": "S", "body": body})
    assert not form.is_valid() and set(form.errors) == {"body"}


def test_the_refusal_names_the_variable(db):
    form = TemplateForm({"name": "T", "kind": "letter", "language": "ru", "subject": "{{ secret }}", "body": "x"})
    assert "secret" in form.errors["subject"][0]


def test_one_welcome_letter_a_language(db):
    Template.objects.create(name="W", is_welcome=True, language="ru", subject="S", body="B")
    data = {"name": "W2", "kind": "letter", "subject": "S", "body": "B", "is_welcome": "on", "is_active": "on"}
    assert set(TemplateForm(data | {"language": "ru"}).errors) == {"is_welcome"}
    assert TemplateForm(data | {"language": "en"}).is_valid()


def test_text_becomes_html_with_nothing_of_its_own(db):
    composed = pure.compose(
        'Привет <script>alert(1)</script>\n\nСм. https://a.test/x?y=1&z="><img>, и (https://a.test/x_(y)).',
        click=lambda n: f"https://crm.test/t/c/T/{n}/",
        pixel="https://crm.test/t/o/T.gif",
    )
    assert composed.links == ["https://a.test/x?y=1&z=", "https://a.test/x_(y)"]
    assert "<script" not in composed.html and composed.html.count("<img") == 1
    assert 'href="https://crm.test/t/c/T/1/"' in composed.html and ">https://a.test/x_(y)</a>)." in composed.html


def test_nobody_is_named_before_somebody_has_the_lead(rep):
    for lead, words in (
        (
            LeadFactory(owner=rep, language="en"),
            f"My name is {rep}, I will help you. I will get in touch within working hours.",
        ),
        (LeadFactory(owner=None, language="ru"), "Наш менеджер свяжется с вами в рабочее время."),
    ):
        template = Template(subject="", body="{{ introduction }}", language=lead.language)
        assert letters.render(template, lead)[1] == words


# --- The letter on the card ------------------------------------------------------------------------------------------
HX = {"HX-Request": "true"}


def test_a_letter_from_the_card(rep, signed_in):
    lead = LeadFactory(owner=rep, name="Пётр Иванов")
    template = Template.objects.create(name="T", subject="{{ first_name }}", body="Добрый день, {{ first_name }}!")
    client, url = signed_in(rep), f"/leads/{lead.pk}/letters/"
    assert "letter-form" in client.get(url + "new/", headers=HX).content.decode()
    filled = client.get(url + "fill/", {"template": template.pk}, headers=HX).content.decode()
    assert "Добрый день, Пётр!" in filled
    data = {"template": template.pk, "subject": "Пётр", "text": "Добрый день, Пётр!"}
    assert "Добрый день, Пётр!" in client.post(url + "preview/", data, headers=HX).content.decode()
    assert not Message.objects.exists()
    answer = client.post(url + "new/", data, headers=HX)
    assert answer.status_code == 204 and "lead:changed" in answer["HX-Trigger"]
    assert list(Message.objects.values_list("subject", "by", "template", "kind", "state")) == [
        ("Пётр", rep.pk, template.pk, "letter", "queued")
    ]


def test_a_refused_letter_keeps_its_text_and_says_why(rep, signed_in):
    lead = LeadFactory(owner=rep)
    client, url = signed_in(rep), f"/leads/{lead.pk}/letters/new/"
    answer = client.post(url, {"subject": "", "text": "Написано долго"}, headers=HX)
    assert answer.status_code == 422 and "Написано долго" in answer.content.decode()
    optouts.opt_out(lead.email)
    answer = client.post(url, {"subject": "S", "text": "T"}, headers=HX)
    assert answer.status_code == 422 and lead.email in answer.content.decode()
    assert not Message.objects.exists()


def test_a_colleague_notes_an_opt_out_by_hand(rep, signed_in):
    lead = LeadFactory(owner=rep)
    assert signed_in(rep).post(f"/leads/{lead.pk}/opt-out/", headers=HX).status_code == 204
    assert list(Suppression.objects.values_list("value", "reason", "by")) == [(lead.email, "by_hand", rep.pk)]
    assert list(Interaction.objects.filter(kind=Kind.UNSUBSCRIBED).values_list("lead", "by")) == [(lead.pk, rep.pk)]


def test_who_sees_which_letters(rep, colleague, head, outsider, marketer, admin, signed_in):
    message = letters.write(LeadFactory(owner=rep), kind="letter", subject="КАНАРЕЙКА", text="КАНАРЕЙКА", by=rep)
    lead = message.lead
    pages = [
        f"/mail/{message.pk}/",
        f"/mail/{message.pk}/body/",
        f"/leads/{lead.pk}/timeline/?group=letters",
        "/mail/",
        "/templates/",
    ]
    seen = {
        user.username: [signed_in(user).get(page).status_code for page in pages]
        for user in (rep, colleague, head, outsider, marketer, admin)
    }
    assert seen == {
        "rep": [200, 200, 200, 403, 403],
        "colleague": [404, 404, 404, 403, 403],
        "head": [200, 200, 200, 403, 403],
        "outsider": [404, 404, 404, 403, 403],
        "marketer": [200, 200, 200, 403, 200],
        "admin": [200, 200, 200, 200, 200],
    }
    for user in (colleague, outsider, marketer):
        client = signed_in(user)
        for url in ("letters/new/", "opt-out/", "letters/preview/"):
            assert client.post(f"/leads/{lead.pk}/{url}", {"subject": "S", "text": "T"}).status_code == 404
    assert (Message.objects.count(), Suppression.objects.count()) == (1, 0)


def test_the_letters_frame_may_run_and_load_nothing(rep, admin, signed_in):
    message = letters.write(
        LeadFactory(owner=rep), kind="letter", subject="S", text="<script>x</script> https://a.test/"
    )
    answer = signed_in(admin).get(f"/mail/{message.pk}/body/")
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "sandbox" in policy and "frame-ancestors 'self'" in policy
    assert answer["X-Frame-Options"] == "SAMEORIGIN"
    body = answer.content.decode()
    assert "<script" not in body and "/t/o/" not in body and "/t/c/" not in body  # reading it here is no open


def test_the_administrator_settles_an_unsure_letter(rep, colleague, admin, signed_in):
    message = letters.write(LeadFactory(owner=rep), kind="letter", subject="S", text="T", by=rep)
    Message.objects.update(state="unsure", reason="crashed")
    url = f"/mail/{message.pk}/verdict/"
    assert signed_in(colleague).post(url, {"answer": "sent"}).status_code == 404
    assert signed_in(admin).get("/mail/?state=unsure&q=S").content.decode().count("data-row>") == 1
    assert signed_in(admin).post(url, {"answer": "again"}).status_code == 302
    message.refresh_from_db()
    assert message.state == "queued"
    assert signed_in(admin).post(url, {"answer": "sent"}).status_code == 409


def test_the_mailbox_asks_as_often_for_twenty_letters_as_for_ten(rep, admin, signed_in):
    client, counts = signed_in(admin), []
    for _ten in range(2):
        for n in range(10):
            letters.write(LeadFactory(owner=rep), kind="letter", subject=str(n), text="T", by=rep)
        with CaptureQueriesContext(connection) as queries:
            client.get("/mail/")
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_marketer_writes_a_template_and_tries_it_on_a_real_lead(rep, marketer, signed_in):
    lead = LeadFactory(owner=rep, name="Пётр Иванов")
    client = signed_in(marketer)
    shown = client.post(
        "/templates/preview/", {"subject": "S", "body": "{{ first_name }}!", "lead": lead.pk}
    ).content.decode()
    assert "Пётр!" in shown
    assert client.post("/templates/preview/", {"subject": "S", "body": "{{ secret }}"}).status_code == 422
    data = {"name": "T", "kind": "letter", "language": "ru", "subject": "S", "body": "{{ secret }}"}
    assert client.post("/templates/new/", data).status_code == 422
    assert client.post("/templates/new/", data | {"body": "{{ name }}", "is_active": "on"}).status_code == 302
    assert list(Template.objects.values_list("name", "body")) == [("T", "{{ name }}")]
