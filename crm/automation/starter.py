"""The words and numbers of a new installation: funnels, reasons, rules, letters. Read by crm.automation.defaults.

Everything here is a starting point that the administrator edits in Settings.
"""

from typing import NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import pgettext


class StagePlan(NamedTuple):
    name: str
    probability: int = 0
    norm_days: int = 0
    required: list = []  # noqa: RUF012 - never changed
    may_be_reached_by_skip: bool = True


def company_name():
    return _("My company")


def calendar_name():
    return _("Five days, 9 to 18")


def site_name():
    return _("Form on the site")


def lead_funnel():
    return _("Leads"), [
        StagePlan(pgettext("stage", "New"), norm_days=1),
        StagePlan(pgettext("stage", "Contacted"), norm_days=5),
        StagePlan(pgettext("stage", "Qualified"), norm_days=7, required=["need"]),
    ]


def deal_funnel():
    return _("Sales"), [
        StagePlan(pgettext("stage", "Qualification"), 10, 5),
        StagePlan(pgettext("stage", "Proposal sent"), 40, 7, ["amount"]),
        StagePlan(pgettext("stage", "Negotiation"), 60, 10, ["amount"]),
        StagePlan(pgettext("stage", "Contract"), 80, 7, ["amount", "expected_close"], False),
    ]


def reasons():
    return {
        "lead": [
            _("Not our client"),
            _("No answer"),
            _("No need"),
            _("No budget"),
            _("Chose another supplier"),
            _("Wrong contacts"),
            _("Duplicate"),
            _("Spam"),
        ],
        "deal": [
            _("Too expensive"),
            _("Chose a competitor"),
            _("Put off"),
            _("No budget"),
            _("The client stopped answering"),
            _("We do not have what is needed"),
            _("Terms did not suit"),
        ],
    }


def routing_rule_name():
    return _("Evenly to everybody")


def consent_text():
    return _(
        "I agree to the processing of my personal data (name, phone, email) so that the company can answer my "
        "enquiry. I may withdraw this consent at any time."
    )


def scoring_rules():
    fit = [
        (_("Budget from 500,000"), 25, [("budget", "gte", 500_000)]),
        (_("Budget from 100,000"), 15, [("budget", "gte", 100_000)]),
        (_("Company is named"), 5, [("company_name", "filled", None)]),
        (_("Decides or runs the company"), 15, [("job_title", "contains", _directors())]),
        (_("Need is described"), 5, [("need", "filled", None)]),
        (_("Phone is there"), 5, [("phone", "filled", None)]),
    ]
    done = [
        (_("Asked again"), ["recaptured"], 20, 2, 30, []),
        (_("Opened an email"), ["email_opened"], 5, 3, 14, []),
        (_("Clicked a link in an email"), ["email_clicked"], 10, 3, 14, []),
        (_("Answered us"), ["replied"], 20, 2, 30, []),
        (
            _("Looked at the prices"),
            ["page_view"],
            10,
            3,
            7,
            [("url", "contains", ["price", "tarif", "цен", "pricing"])],
        ),
        (_("Looked at a page of the site"), ["page_view"], 1, 10, 7, []),
        (_("Talked on the phone"), ["call"], 10, 3, 30, [("result", "eq", "reached")]),
        (_("Unsubscribed"), ["unsubscribed"], -30, 1, 0, []),
    ]
    return [
        {"kind": "fit", "name": name, "points": points, "condition": _tests(tests)} for name, points, tests in fit
    ] + [
        {"kind": "engagement", "name": name, "on": on, "points": points, "cap": cap, "half_life": days,
         "condition": _tests(tests)}
        for name, on, points, cap, days, tests in done
    ]  # fmt: skip


def _directors():
    """Parts of job titles, in both languages: people write in either."""
    return ["директор", "руковод", "собственник", "владел", "ceo", "director", "founder", "owner", "head of"]


def _tests(rows):
    return [{"field": f, "op": op} | ({} if value is None else {"value": value}) for f, op, value in rows]


def templates():
    return [
        {
            "name": _("Welcome email"),
            "is_welcome": True,
            "subject": _("{{ organisation }}: we have received your enquiry"),
            "body": _(
                'Hello, {{ first_name|"dear client" }}!\n\n'
                "Thank you for your enquiry. {{ introduction }} If it is urgent, just reply to this email.\n\n"
                "{{ signature }}"
            ),
        },
        {
            "name": _("Welcome SMS"),
            "kind": "sms",
            "is_welcome": True,
            "subject": "",
            "body": _("{{ organisation }}: we have received your enquiry and will call you within working hours."),
        },
        {
            "name": _("How we work"),
            "subject": _("How we work: three steps to the result"),
            "body": _(
                'Hello, {{ first_name|"dear client" }}!\n\n'
                "A few words on how we work: first we find out what you need, then "
                "we count the cost and the time, and only then sign. Tell me when it suits you to talk for ten "
                "minutes.\n\n{{ signature }}"
            ),
        },
        {
            "name": _("Is it still of interest?"),
            "subject": _("Is your enquiry still of interest?"),
            "body": _(
                'Hello, {{ first_name|"dear client" }}!\n\n'
                "I wrote to you a few days ago and may have come at a bad time. If "
                "the question is still open, answer with one word and I will prepare an offer.\n\n{{ signature }}"
            ),
        },
        {
            "name": _("First call"),
            "kind": "script",
            "subject": "",
            "body": _(
                "1. Say hello, give your name and the company.\n2. Ask whether it suits to talk.\n3. What is the need "
                "and why now?\n4. Budget and term; who else decides?\n5. Agree on the next step and its date."
            ),
        },
    ]


def sequences():
    return [
        {
            "name": _("Warm up a cold enquiry"),
            "condition": [{"field": "band", "op": "eq", "value": "cold"}],
            "steps": [
                {"kind": "wait", "hours": 48},
                {"kind": "email", "letter": _("How we work")},
                {"kind": "wait", "hours": 96},
                {"kind": "email", "letter": _("Is it still of interest?")},
                {"kind": "wait", "hours": 48},
                {"kind": "task", "title": _("Call: no reply to two emails")},
            ],
        },
    ]
