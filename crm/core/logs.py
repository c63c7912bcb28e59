import logging


class OneLine(logging.Formatter):
    """One line a record's message: control characters are escaped, so that input cannot forge a log line."""

    def format(self, record):
        if record.name.startswith("django.security."):  # what a stranger has sent: the line says it all
            record.exc_info = record.exc_text = None
        return super().format(record)

    def formatMessage(self, record):
        line = super().formatMessage(record)
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)
