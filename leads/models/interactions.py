from django.db import models
from django.db.models.functions import Now
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _


class Kind(models.TextChoices):
    """What can happen to a person or lead. ``REACTING`` are those that set the automation going."""

    CAPTURED = "captured", _("Enquiry")  # made the lead
    RECAPTURED = "recaptured", _("Enquiry again")  # of a person whose lead is open
    IMPORTED = "imported", _("Imported")
    NOTE = "note", _("Note")
    CALL = "call", _("Call")
    MEETING = "meeting", _("Meeting")
    EMAIL_OUT = "email_out", _("Email sent")
    EMAIL_OPENED = "email_opened", _("Email opened")
    EMAIL_CLICKED = "email_clicked", _("Link clicked")
    REPLIED = "replied", _("Client replied")
    UNSUBSCRIBED = "unsubscribed", _("Unsubscribed")
    PAGE_VIEW = "page_view", _("Page view")
    STAGE_MOVED = "stage_moved", _("Stage")
    OWNER_CHANGED = "owner_changed", _("Owner")
    PARKED = "parked", _("Waiting for working hours")
    BAND_CHANGED = "band_changed", _("Readiness")
    QUALIFIED = "qualified", _("Qualification")
    EDITED = "edited", _("Fields changed")
    TAGGED = "tagged", _("Tags")
    TASK_SET = "task_set", _("Task set")
    TASK_DONE = "task_done", _("Task done")
    CONVERTED = "converted", _("Converted to a deal")
    REJECTED = "rejected", _("Rejected")
    REOPENED = "reopened", _("Reopened")
    DEAL_OPENED = "deal_opened", _("Deal opened")
    DEAL_MOVED = "deal_moved", _("Deal stage")
    DEAL_WON = "deal_won", _("Deal won")
    DEAL_LOST = "deal_lost", _("Deal lost")
    DEAL_REOPENED = "deal_reopened", _("Deal reopened")
    SEQUENCE = "sequence", _("Sequence")
    MESSAGE_IN = "message_in", _("Message from the client")  # a messenger or the chat
    MESSAGE_OUT = "message_out", _("Message to the client")
    CALL_MISSED = "call_missed", _("Missed call")
    EMAIL_IN = "email_in", _("Email from the client")  # no answer to ours: a new letter
    BOUNCED = "bounced", _("Email not delivered")
    AUTO_REPLY = "auto_reply", _("Automatic reply")
    SUBSCRIBED = "subscribed", _("Subscribed")
    REGISTERED = "registered", _("Registered for an event")
    ATTENDED = "attended", _("Attended an event")
    DOWNLOADED = "downloaded", _("Downloaded a material")
    REFERRED = "referred", _("Referral")
    MERGED = "merged", _("Cards merged")
    UNMERGED = "unmerged", _("Merge undone")


# Kinds that make a ``crm.react`` job; a test holds them equal to the keys of crm.automation.reactions.REACTIONS.
REACTING = {
    Kind.CAPTURED,
    Kind.RECAPTURED,
    Kind.CALL,
    Kind.MEETING,
    Kind.EMAIL_OPENED,
    Kind.EMAIL_CLICKED,
    Kind.REPLIED,
    Kind.UNSUBSCRIBED,
    Kind.PAGE_VIEW,
    Kind.STAGE_MOVED,
    Kind.EDITED,
    Kind.TAGGED,
    Kind.CONVERTED,
    Kind.REJECTED,
    Kind.REOPENED,
    Kind.DEAL_WON,
    Kind.MESSAGE_IN,
    Kind.CALL_MISSED,
    Kind.EMAIL_IN,
    Kind.BOUNCED,
    Kind.SUBSCRIBED,
    Kind.REGISTERED,
    Kind.ATTENDED,
    Kind.DOWNLOADED,
    Kind.MERGED,
    Kind.UNMERGED,
}
# What a colleague did towards the client: the first of them stops the speed-to-lead clock.
HUMAN_TOUCHES = {Kind.NOTE, Kind.CALL, Kind.MEETING, Kind.EMAIL_OUT, Kind.MESSAGE_OUT}


class Interaction(models.Model):
    """The timeline: one row for each thing that happened; append-only, written by ``leads.services.record`` alone.

    ``at`` is when it happened, ``id`` the order in which it became known. ``deal_ref`` is the key of a deal (deals
    live a storey higher). ``text`` is what search looks in.
    """

    person = models.ForeignKey("leads.Person", models.CASCADE, related_name="interactions", db_index=False)
    lead = models.ForeignKey("leads.Lead", models.CASCADE, null=True, related_name="interactions", db_index=False)
    deal_ref = models.BigIntegerField(null=True)
    kind = models.CharField(max_length=16, choices=Kind)
    at = models.DateTimeField(db_default=Now())
    by = models.ForeignKey("core.User", models.PROTECT, null=True, related_name="+", db_index=False)
    text = models.TextField(blank=True)
    details = models.JSONField(default=dict)
    submission = models.ForeignKey("leads.Submission", models.SET_NULL, null=True, related_name="+", db_index=False)
    message = models.ForeignKey("leads.Message", models.SET_NULL, null=True, related_name="+", db_index=False)

    class Meta:
        verbose_name, verbose_name_plural = _("interaction"), _("interactions")
        indexes = [
            models.Index(fields=["lead", "-at", "-id"], name="leads_interaction_lead"),
            models.Index(fields=["person", "-at", "-id"], name="leads_interaction_person"),
            models.Index(
                fields=["deal_ref", "-at", "-id"],
                condition=models.Q(deal_ref__isnull=False),
                name="leads_interaction_deal",
            ),
            models.Index(fields=["by", "-at"], condition=models.Q(by__isnull=False), name="leads_interaction_by"),
            # Most rows have neither: these are for the foreign keys alone.
            models.Index(
                fields=["submission"], condition=models.Q(submission__isnull=False), name="leads_interaction_receipt"
            ),
            models.Index(
                fields=["message"], condition=models.Q(message__isnull=False), name="leads_interaction_message"
            ),
        ]

    def __str__(self):
        return f"{self.get_kind_display()}, {date_format(localtime(self.at), 'SHORT_DATETIME_FORMAT')}"
