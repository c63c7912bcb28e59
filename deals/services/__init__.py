"""What people and automation do with deals: ``from deals.services import convert, win``."""

from .cards import change_owner, edit
from .funnel import convert, lose, move_stage, open_deal, reopen, repeat, win
from .lines import add_line, change_line, remove_line
from .touches import log_call, note, plan

__all__ = [
    "add_line",
    "change_line",
    "change_owner",
    "convert",
    "edit",
    "log_call",
    "lose",
    "move_stage",
    "note",
    "open_deal",
    "plan",
    "remove_line",
    "reopen",
    "repeat",
    "win",
]
