"""What can be wrong with a file, a mapping or a row, in words."""

from django.utils.translation import gettext_lazy as _

# Why a row was refused. Codes stand in the database, words in the error file and on the page.
REASONS = {
    "no_contact": _("no phone, email, messenger or external id to know the person by"),
    "bad_contact": _("the phone or email could not be read, and there is no other contact"),
    "phone_mangled": _("a spreadsheet has cut the phone number's digits off (7.99E+10); save the column as text"),
    "too_long": _("the line is longer than allowed"),
    "unbalanced": _("a quotation mark is opened and never closed"),
    "unreadable": _("the line could not be read"),
    # Why nothing was to be done for a row.
    "known": _("known already, nothing new"),
    "erased": _("the person was deleted and is not made again"),
}
# Why undoing has left a card as it is, or a part of it.
KEPT = {
    "worked": _("somebody has worked on the card since"),
    "list": _("another list has completed the card since"),
    "linked": _("emails, tasks, calls or other cards depend on it"),
    "deal": _("somebody has worked on its deal since"),
    "changed": _("changed since"),
}


class Unreadable(Exception):
    """The file as a whole cannot be imported; the message says why. ``code`` is for programs."""

    def __init__(self, code, message):
        self.code = code
        super().__init__(message)


class MappingError(Exception):
    """The mapping asks for what is not there; ``messages`` says all of it at once."""

    def __init__(self, messages):
        self.messages = list(messages)
        super().__init__(" ".join(self.messages))
