from django.contrib import admin, messages
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from crm.core.admin_base import ReadOnlyAdmin, SettingsAdmin
from crm.core.naming import COLUMNS
from leads.conditions import all_in_words
from leads.models import Kind
from scoring.forms import RuleForm, ThresholdsForm
from scoring.models import Evidence, Rescoring, Rule, Thresholds
from scoring.services import rescore_all


@admin.register(Rule)
class RuleAdmin(SettingsAdmin):
    form = RuleForm
    list_display = ["name", "kind", "points", "asks", "limits", "position", "is_active"]
    list_editable = ["position", "is_active"]
    list_filter = ["kind", "is_active"]
    search_fields = ["name"]
    actions = ["apply"]

    @admin.display(description=gettext_lazy("condition"))
    def asks(self, rule):
        """What it listens to, and what must hold then."""
        kinds, holds = ", ".join(str(Kind(kind).label) for kind in rule.on), all_in_words(rule.condition)
        return ": ".join(filter(None, [kinds, holds if rule.condition or not kinds else ""]))

    @admin.display(description=gettext_lazy("limits"))
    def limits(self, rule):
        """How often it may give points and how they fade; nothing where it does neither."""
        often = ngettext("at most %(n)s time", "at most %(n)s times", rule.cap) % {"n": rule.cap} if rule.cap else ""
        days = rule.half_life
        fades = ngettext("half is left in %(n)s day", "half is left in %(n)s days", days) % {"n": days} if days else ""
        return ", ".join(filter(None, [often, fades])) or "—"

    def has_delete_permission(self, request, obj=None):
        """A rule that has given points is switched off, not deleted: its evidence stands on leads."""
        return super().has_delete_permission(request, obj) and not (obj and obj.evidence.exists())

    def get_actions(self, request):
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    @admin.action(description=gettext_lazy("Apply all rules to the open leads now"))
    def apply(self, request, queryset):
        run = rescore_all(by=request.user)
        messages.success(request, _("Re-scoring of %(n)s open leads has begun.") % {"n": run.total})
        return redirect(reverse("admin:scoring_rescoring_changelist"))

    def save_model(self, request, obj, form, change):
        super().save_model(request, obj, form, change)
        if form.has_changed():
            text = _("New events are scored by it within seconds. To bring older leads along, apply the rules to them.")
            messages.info(request, text)


@admin.register(Thresholds)
class ThresholdsAdmin(SettingsAdmin):
    form = ThresholdsForm
    list_display = ["warm", "hot", "mql", "sql"]
    about = gettext_lazy("From how many points a lead is warm or hot, and from how many it is an MQL or an SQL.")

    def has_add_permission(self, request):
        return not Thresholds.objects.exists()

    def has_delete_permission(self, request, obj=None):
        return False

    def save_model(self, request, obj, form, change):
        """Bands follow from the limits, so every open lead is looked at again."""
        obj.pk = 1
        super().save_model(request, obj, form, change)
        rescore_all(by=request.user)
        messages.info(request, _("The bands of the open leads are being brought up to date."))


@admin.register(Rescoring)
class RescoringAdmin(ReadOnlyAdmin):
    about = gettext_lazy("Each application of the rules to all open leads, with what it has changed.")
    exclude = ["after"]
    list_display = ["started_at", "by", "total", "done", "changed", "finished_at"]
    list_select_related = ["by"]


@admin.register(Evidence)
class EvidenceAdmin(ReadOnlyAdmin):
    about = gettext_lazy(
        "Why a lead has its score: each row gave it points or took some back, and the score is their sum."
    )
    list_display = ["at", "lead", "rule", "points", "step", "reason"]
    list_select_related = ["lead", "rule"]
    list_filter = ["kind"]
    search_fields = ["=lead__pk"]
    exclude = ["why"]
    readonly_fields = ["reason"]

    @admin.display(description=COLUMNS["why"])
    def reason(self, row):
        return row.reason or (_("Points fade: half of them go with every half-life of the rule.") if row.step else "—")
