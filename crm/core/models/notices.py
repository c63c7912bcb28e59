from django.db import models
from django.db.models.functions import Now


class Notice(models.Model):
    """Something a signed-in person is told at once; pages hold a stream that reads the tail of this table.

    ``kind`` is a word of the interface (``hot``, ``assigned``, ``returned``, ``task``, ``import``); the text is
    composed from ``details`` in the reader's language when it is shown, never stored.
    """

    user = models.ForeignKey("core.User", models.CASCADE, related_name="notices", db_index=False)
    kind = models.CharField(max_length=20)
    url = models.CharField(max_length=200, blank=True)
    details = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["user", "-id"], name="core_notice_user"),
            models.Index(fields=["user"], condition=models.Q(seen_at=None), name="core_notice_unseen"),
        ]

    def __str__(self):
        return f"{self.kind} → {self.user_id}"
