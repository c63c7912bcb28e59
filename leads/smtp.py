"""Django's SMTP backend that can tell "not taken" from "nobody knows": the answer to the whole letter got lost."""

import smtplib

from django.core.mail.backends.smtp import EmailBackend


class AnswerLost(Exception):
    """The letter has been handed over to its last byte, the server's answer to it has not come."""


class _KnowsItsPlace:
    """Marks the one place of the SMTP conversation where a broken line leaves the outcome open."""

    handed_over = False

    def send(self, s):
        super().send(s)
        ended = s.endswith(b"\r\n.\r\n") if isinstance(s, bytes) else False
        self.handed_over = self.handed_over or ended

    def data(self, msg):
        self.handed_over = False
        try:
            return super().data(msg)
        except (smtplib.SMTPServerDisconnected, OSError) as error:
            if self.handed_over:
                raise AnswerLost(str(error)) from error
            raise


class _Plain(_KnowsItsPlace, smtplib.SMTP):
    pass


class _Ssl(_KnowsItsPlace, smtplib.SMTP_SSL):
    pass


class Backend(EmailBackend):
    @property
    def connection_class(self):
        return _Ssl if self.use_ssl else _Plain
