"""Automatic replies as programs write them, and letters that only look like one. Written for the tests."""


def letter(subject, text="Текст", **headers):
    given = {"From": "Ivan <ivan@client.ru>", "To": "sales@company.ru", "Subject": subject} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    head = "\n".join(f"{name}: {value}" for name, value in given.items())
    return f"{head}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{text}\n"


AUTOMATIC = [
    ("RFC 3834", letter("Re: Предложение", Auto_Submitted="auto-replied")),
    ("with a comment", letter("Re: Предложение", Auto_Submitted="auto-replied (vacation)")),
    ("Exchange", letter("Автоматический ответ: Предложение", X_Auto_Response_Suppress="All")),
    ("Exchange in English", letter("Automatic reply: Offer")),
    ("Outlook old", letter("Out of Office AutoReply: Offer")),
    ("Exchange in German", letter("Automatische Antwort: Angebot")),
    ("Lotus in German", letter("Abwesenheitsnotiz: Angebot")),
    ("Exchange in French", letter("Réponse automatique : Offre")),
    ("Exchange in Spanish", letter("Respuesta automática: Oferta")),
    ("Mail.ru", letter("Автоответ: Предложение")),
    ("Yandex", letter("Re: Предложение", X_Yandex_Autoreply="yes")),
    ("words of a person", letter("В отпуске до 5 мая", "Я в отпуске до 5 мая.")),
    ("absent", letter("Отсутствие на рабочем месте")),
    ("cPanel", letter("Re: Offer", X_Autorespond="Re: Offer", Precedence="bulk")),
    ("Postfixadmin", letter("Re: Offer", X_Autoreply="yes")),
    ("Google Apps", letter("Out of office Re: Offer", Precedence="bulk", X_Autoreply="yes")),
    ("precedence", letter("Re: Offer", Precedence="auto_reply")),
    ("nobody to answer", letter("Re: Offer", "I am currently out of the office until Monday.", Return_Path="<>")),
    ("a helpdesk", letter("[#123] Ваше обращение", "Ваше обращение принято.", Auto_Submitted="auto-generated")),
    ("Apple", letter("Auto reply: Offer", X_Apple_Action="VACATION")),
]

REPORT = """From: <feedback@mailbox.example>
To: <abuse@company.ru>
Subject: FW: Offer
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: text/plain

This is an email abuse report.

--b
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Some/1.0
Version: 1
Original-Rcpt-To: <client@mailbox.example>

--b
Content-Type: message/rfc822

From: <sales@company.ru>
To: <client@mailbox.example>
Subject: Offer
Message-ID: <7.abcdefghij@company.ru>

Text
--b--
"""

ENCRYPTED = """From: Ivan <ivan@client.ru>
To: sales@company.ru
Subject: ...
MIME-Version: 1.0
Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="b"

--b
Content-Type: application/pgp-encrypted

Version: 1

--b
Content-Type: application/octet-stream; name="encrypted.asc"

-----BEGIN PGP MESSAGE-----
hQEMA
-----END PGP MESSAGE-----
--b--
"""

OTHERS = [
    ("a complaint", "complaint", REPORT),
    ("encrypted", "encrypted", ENCRYPTED),
    ("S/MIME", "encrypted", ENCRYPTED.replace("multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=\"b\"",
                                              "application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m")),
    ("about automatic doors", "human", letter("Автоматические двери: сколько стоят?")),
    ("about a vacation", "human", letter("Отпуск на Алтае", "Сколько стоит тур? Я в отпуске с 5 мая.")),
    ("no auto", "human", letter("Предложение", Auto_Submitted="no")),
    ("a form of a site", "human", letter("Заявка с сайта", "Имя: Пётр", Auto_Submitted="auto-generated", Reply_To="petr@romashka.ru",
                                         From="noreply@site-builder.ru")),
    ("about delivery", "human", letter("Не доставлен заказ 15", "Заказ не доставлен, верните деньги.")),
    ("about a returned letter", "human", letter("Re: Undelivered Mail Returned to Sender", "Mine says 550 5.1.1, what is wrong?")),
    ("suppressed answers", "human", letter("Заявка", X_Auto_Response_Suppress="OOF, AutoReply")),
    ("a newsletter", "mailing_list", letter("Скидки", List_Unsubscribe="<https://x.example/u>")),
    ("a list", "mailing_list", letter("[dev] patch", List_Id="<dev.example.org>")),
]  # fmt: skip
