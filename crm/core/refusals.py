"""Why something was refused: in the words of whoever asked for it, and later in those of whoever reads of it."""

from django.utils.translation import gettext_lazy as _

WORDS = {  # by code; an app adds its own beside its models
    "no_move": _("A move from “%(source)s” to “%(target)s” is not allowed in this funnel."),
    "heads_only": _("Only a head of sales may make this move."),
    "gate": _("To enter “%(stage)s”, fill in first what it asks for."),
    "moved_on": _("Somebody has moved this card meanwhile; it is at “%(stage)s” now."),
}


class Refusal(str):
    """The message of an error, in the language of now; ``code`` and ``values`` are what is kept of it."""

    def __new__(cls, code, **values):
        said = super().__new__(cls, in_words(code, values))
        said.code, said.values = code, values
        return said


def in_words(code, values):
    """The reason in the language of now; what has no code is kept in words and stays as it was said."""
    return str(WORDS[code]) % values if code in WORDS else code


def kept(error):
    """(code, values) of an error; where nobody gave it a code, its words."""
    said = error.args[0] if error.args else ""
    if isinstance(said, Refusal):
        return said.code, said.values
    return " ".join(getattr(error, "messages", [str(error)]))[:300], {}
