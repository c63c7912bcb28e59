from django.db import models
from django.db.models.functions import Now


class PageView(models.Model):
    """A page of the company's site seen by a visitor. ``visitor`` is a random id; it never merges people."""

    visitor = models.UUIDField()
    person = models.ForeignKey("leads.Person", models.SET_NULL, null=True, related_name="page_views")
    source = models.ForeignKey("leads.Source", models.CASCADE)
    url = models.CharField(max_length=500)
    title = models.CharField(max_length=200, blank=True)
    referrer = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["visitor", "-id"], name="leads_pageview_visitor")]

    def __str__(self):
        return self.url
