import logging


class OneLine(logging.Formatter):
    """One line a record's message: control characters are escaped, so that input cannot forge a log line."""

    def formatMessage(self, record):
        line = super().formatMessage(record)
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)
