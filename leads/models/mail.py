"""Letters from outside: the mailboxes that are read, each letter once, and the files that came along."""

import secrets

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class MailFolder(models.Model):
    """How far a folder of a mailbox has been read: UIDs of one UIDVALIDITY only grow, so the last one says all.

    The cursor moves after the letters are stored and committed, never by what the server says is unseen.
    """

    source = models.ForeignKey("leads.Source", models.CASCADE, related_name="folders", db_index=False)
    name = models.CharField(max_length=200)
    uidvalidity = models.BigIntegerField(null=True)
    last_uid = models.BigIntegerField(default=0)
    old_below = models.BigIntegerField(
        default=0, db_default=0
    )  # what lay there at the first look; not all of it is taken
    stored = models.BigIntegerField(default=0)  # letters taken from it, all in all
    polled_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=300, blank=True)  # code|what the server said
    withheld_uid = models.BigIntegerField(default=0, db_default=0)  # a letter that is listed and not given
    withheld = models.PositiveSmallIntegerField(default=0, db_default=0)  # at how many looks

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "name"], name="leads_mailfolder_once")]

    def __str__(self):
        return f"{self.source_id}:{self.name}"


class IncomingLetterQuerySet(models.QuerySet):
    def visible_to(self, user):
        """Whose lead somebody may see, that client's letters too; those without a card are for who sees all."""
        if user.sees_all:
            return self
        leads = self.model._meta.get_field("lead").related_model.objects.visible_to(user)
        return self.filter(lead__in=leads)


class IncomingLetter(models.Model):
    """A letter that came, once however many folders it lay in; the raw letter is in its receipt.

    ``key`` tells it again. ``answers``: our letter that it answers, or that it is about. When its client is deleted
    the words go and the key stays, so that the letter, which still lies on the server, makes no card a second time.
    """

    class Sort(models.TextChoices):
        HUMAN = "human", pgettext_lazy("letter sort", "email")
        AUTO_REPLY = "auto_reply", pgettext_lazy("letter sort", "automatic reply")
        BOUNCE = "bounce", pgettext_lazy("letter sort", "bounced email")
        COMPLAINT = "complaint", pgettext_lazy("letter sort", "complaint")
        MAILING_LIST = "mailing_list", pgettext_lazy("letter sort", "mailing list")
        CALENDAR = "calendar", pgettext_lazy("letter sort", "invitation")
        ENCRYPTED = "encrypted", pgettext_lazy("letter sort", "encrypted email")

    key = models.CharField(max_length=64, unique=True)
    source = models.ForeignKey("leads.Source", models.PROTECT, related_name="+")
    submission = models.ForeignKey("leads.Submission", models.SET_NULL, null=True, related_name="letters")
    lead = models.ForeignKey("leads.Lead", models.SET_NULL, null=True, related_name="letters", db_index=False)
    person = models.ForeignKey("leads.Person", models.SET_NULL, null=True, related_name="letters")
    answers = models.ForeignKey("leads.Message", models.SET_NULL, null=True, related_name="answers")
    message_id = models.CharField(max_length=255, blank=True)
    references = models.JSONField(default=list)
    sort = models.CharField(max_length=12, choices=Sort)
    why = models.CharField(max_length=60, blank=True)  # the sign by which it was sorted
    severity = models.CharField(max_length=10, blank=True)  # of a bounce: hard, soft, delivered
    sender_name = models.CharField(max_length=200, blank=True)
    sender = models.CharField(max_length=254, blank=True)
    recipients = models.JSONField(default=list)
    subject = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField()
    text = models.TextField(blank=True)  # what is new in it
    rest = models.TextField(blank=True)  # the signature and the quotation
    html = models.TextField(blank=True)  # sanitised
    is_mismatch = models.BooleanField(default=False)  # answers in a thread that is somebody else's
    is_claimed = models.BooleanField(default=False)  # comes from outside under a colleague's address
    warnings = models.JSONField(default=list)
    created_at = models.DateTimeField(db_default=Now())

    objects = IncomingLetterQuerySet.as_manager()

    class Meta:
        verbose_name, verbose_name_plural = _("email from a client"), _("emails from clients")
        indexes = [
            models.Index(fields=["lead", "-id"], name="leads_letter_lead"),
            models.Index(fields=["message_id"], name="leads_letter_message_id"),
        ]

    def __str__(self):
        return f"{self.sender}: {self.subject}"


def opaque_path(instance, filename):
    """Nothing of the sender's name reaches the disk."""
    name = secrets.token_hex(16)
    return f"letters/{name[:2]}/{name}"


class LetterFile(models.Model):
    """A file of a letter: kept under an opaque name, never opened or unpacked, only ever downloaded."""

    class State(models.TextChoices):
        WAITING = "waiting", pgettext_lazy("file", "on its way")
        KEPT = "kept", pgettext_lazy("file", "here")
        TOO_LARGE = "too_large", pgettext_lazy("file", "too large")
        INFECTED = "infected", pgettext_lazy("file", "carries a virus, was not kept")
        TOO_MANY = "too_many", pgettext_lazy("file", "too many files in one email")

    letter = models.ForeignKey(IncomingLetter, models.CASCADE, related_name="files", db_index=False)
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=200)
    mime = models.CharField(max_length=100, blank=True)  # as the sender says; it is never served as that
    size = models.BigIntegerField(default=0)
    cid = models.CharField(max_length=200, blank=True)  # by what the HTML calls it
    is_inline = models.BooleanField(default=False)
    state = models.CharField(max_length=10, choices=State, default=State.WAITING)
    reason = models.CharField(max_length=300, blank=True, default="", db_default="")  # what the scanner calls the virus
    file = models.FileField(upload_to=opaque_path, max_length=100, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["letter", "position"], name="leads_letterfile_once")]

    def __str__(self):
        return self.name


class MailNews(models.Model):
    """What a mail service told of one of our letters, each once: delivered, opened, came back, complained of."""

    source = models.ForeignKey("leads.Source", models.PROTECT, related_name="+", db_index=False)
    provider_id = models.CharField(max_length=200)
    message = models.ForeignKey("leads.Message", models.CASCADE, null=True, related_name="news")
    kind = models.CharField(max_length=14)
    recipient = models.CharField(max_length=254, blank=True)
    said = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "provider_id", "kind"], name="leads_mailnews_once")]

    def __str__(self):
        return f"{self.kind} {self.recipient}"
