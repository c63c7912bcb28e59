"""What columns are called on pages: one vocabulary, since a column of a name means the same in every table.

A field may name itself, and then keeps that name. All others would go by their Python name, in English in every language.
Words are not schema, so they stand here and not in migrations; `tests/core/test_words.py` finds a column without one.
"""

from django.apps import apps
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import pgettext_lazy as _

COLUMNS = {
    "action": _("column", "action"),
    "active_at": _("column", "last worked on"),
    "after": _("column", "after number"),
    "amount": _("column", "amount"),
    "answered_at": _("column", "answered"),
    "assigned_at": _("column", "assigned"),
    "assignee": _("column", "assignee"),
    "assignment": _("column", "assignment"),
    "at": _("column", "when"),
    "attempts": _("column", "attempts"),
    "body": _("column", "body"),
    "by": _("column", "who"),
    "calendar": _("column", "calendar"),
    "channel": _("column", "channel"),
    "claimed_at": _("column", "taken for sending"),
    "closed_at": _("column", "closed"),
    "company": _("column", "company"),
    "content_type": _("column", "type of the body"),
    "conversation": _("column", "conversation"),
    "crashes": _("column", "crashes"),
    "created_at": _("column", "created"),
    "custom": _("column", "fields of its own"),
    "dead": _("column", "given up"),
    "deal": _("column", "deal"),
    "deal_ref": _("column", "deal, number"),
    "debt": _("column", "owed"),
    "decays_at": _("column", "fades on"),
    "dedup": _("column", "mark against doubles"),
    "delivery": _("column", "delivery"),
    "delivery_at": _("column", "delivery known"),
    "delta": _("column", "change"),
    "detail": _("column", "in detail"),
    "details": _("column", "details"),
    "digest": _("column", "digest"),
    "done_at": _("column", "done"),
    "done_by": _("column", "done by"),
    "due_at": _("column", "due"),
    "ended_at": _("column", "ended"),
    "engagement": _("column", "engagement"),
    "error": _("column", "error"),
    "first_campaign": _("column", "first campaign"),
    "first_click_at": _("column", "first click"),
    "first_open_at": _("column", "first opened"),
    "first_origin": _("column", "first origin"),
    "fit": _("column", "fit"),
    "form": _("column", "form"),
    "from_stage": _("column", "from stage"),
    "given": _("column", "given"),
    "headers": _("column", "headers"),
    "html": _("column", "email as HTML"),
    "idempotency_key": _("column", "idempotency key"),
    "imported": _("column", "imported"),
    "interaction": _("column", "interaction"),
    "ip_hash": _("column", "address, hashed"),
    "is_imported": _("column", "imported"),
    "judged_at": _("column", "read"),
    "key": _("column", "key"),
    "kind": _("column", "kind"),
    "last_campaign": _("column", "last campaign"),
    "last_origin": _("column", "last origin"),
    "lead": _("column", "lead"),
    "leased_until": _("column", "being done until"),
    "lost_reason": _("column", "reason of the loss"),
    "merged_into": _("column", "merged into"),
    "message": _("column", "email"),
    "method": _("column", "method"),
    "mql_at": _("column", "MQL since"),
    "name_key": _("column", "name for matching"),
    "next_at": _("column", "next step"),
    "next_step_at": _("column", "next step"),
    "note": _("column", "note"),
    "origin": _("column", "origin"),
    "owner": _("column", "owner"),
    "parked_until": _("column", "waits until"),
    "parsed": _("column", "as understood"),
    "part": _("column", "which of several in one body"),
    "path": _("column", "path"),
    "person": _("column", "client"),
    "phone_tail": _("column", "end of the phone"),
    "pipeline": _("column", "pipeline"),
    "points": _("column", "points"),
    "prefix": _("column", "begins with"),
    "provider_id": _("column", "number at the provider"),
    "qualification": _("column", "qualification"),
    "queue": _("column", "queue"),
    "reason": _("column", "reason"),
    "receipt": _("column", "number for the sender"),
    "received_at": _("column", "received"),
    "ref": _("column", "about"),
    "rejected_reason": _("column", "reason of the rejection"),
    "rule": _("column", "rule"),
    "search": _("column", "search text"),
    "seconds": _("column", "seconds in the stage"),
    "sender": _("column", "sender"),
    "sent_at": _("column", "sent"),
    "sequence": _("column", "sequence"),
    "sha256": _("column", "SHA-256 checksum"),
    "source": _("column", "source"),
    "sql_at": _("column", "SQL since"),
    "stage": _("column", "stage"),
    "stage_entered_at": _("column", "in the stage since"),
    "state": _("column", "state"),
    "step": _("column", "step"),
    "stopped_why": _("column", "why stopped"),
    "subject": _("column", "subject"),
    "task": _("column", "task"),
    "team": _("column", "team"),
    "template": _("column", "template"),
    "text": _("column", "text"),
    "to": _("column", "recipient"),
    "to_stage": _("column", "to stage"),
    "token": _("column", "token"),
    "tracked": _("column", "opens and clicks counted"),
    "used_at": _("column", "last used"),
    "user": _("column", "colleague"),
    "value": _("column", "address"),
    "version": _("column", "moves"),
    "waiting_since": _("column", "waiting since"),
    "warnings": _("column", "warnings"),
    "whole": _("column", "came in the body of"),
    "why": _("column", "why"),
    "withdraws": _("column", "takes points back"),
}
SIGN_INS = {  # the tables of axes and their columns
    "accessattempt": (gettext_lazy("counter of failed sign-ins"), gettext_lazy("counters of failed sign-ins")),
    "accesslog": (gettext_lazy("sign-in"), gettext_lazy("log of sign-ins")),
    "accessfailurelog": (gettext_lazy("failed sign-in"), gettext_lazy("failed sign-ins")),
}
SIGN_IN_COLUMNS = {
    "username": _("column", "name typed in"),
    "ip_address": _("column", "IP address"),
    "user_agent": _("column", "browser"),
    "http_accept": _("column", "what the browser accepts"),
    "session_hash": _("column", "session, hashed"),
    "path_info": _("column", "page"),
    "attempt_time": _("column", "when"),
    "logout_time": _("column", "signed out"),
    "failures_since_start": _("column", "failures"),
    "locked_out": _("column", "locked out"),
}


def numbered(number):
    """The number of a card as the reader's language writes it."""
    return gettext("#%s") % number


def name_columns():
    """Names the columns that do not name themselves; before any form takes its labels from them."""
    for model in apps.get_models():
        for field in model._meta.fields:
            if field._verbose_name is None and field.name in COLUMNS:
                field.verbose_name = COLUMNS[field.name]


def name_sign_ins(config):
    for name, words in SIGN_INS.items():
        meta = config.get_model(name)._meta
        meta.verbose_name, meta.verbose_name_plural = words
        for field in meta.fields:
            field.verbose_name = SIGN_IN_COLUMNS.get(field.name, field.verbose_name)
