from django.contrib import admin, messages
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from crm.core.admin_base import ReadOnlyAdmin, SettingsAdmin
from crm.core.naming import COLUMNS
from leads.conditions import all_in_words
from routing.forms import RuleForm
from routing.models import Debt, DebtEntry, Rule, thousandths
from routing.services import enqueue_deal
from routing.staff import Staff, staff


@admin.register(Rule)
class RuleAdmin(SettingsAdmin):
    """Tried from the top; the first rule that holds and has somebody at work decides."""

    form = RuleForm
    list_display = ["name", "position", "asks", "strategy", "who", "is_active"]
    list_editable = ["position", "is_active"]
    list_filter = ["is_active", "strategy"]
    list_select_related = ["team", "person"]
    search_fields = ["name"]
    filter_horizontal = ["skills"]

    @admin.display(description=gettext_lazy("condition"))
    def asks(self, rule):
        return all_in_words(rule.condition)

    @admin.display(description=gettext_lazy("to whom"))
    def who(self, rule):
        return rule.person or rule.team or _("all managers")

    def has_delete_permission(self, request, obj=None):
        """A rule that has dealt leads is switched off, not deleted: its ledger proves who got what."""
        return super().has_delete_permission(request, obj) and not (obj and obj.debts.exists())

    def get_actions(self, request):
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    def save_related(self, request, form, formsets, change):
        """Leads that wait in the pool may have somebody now; a rule about nobody is pointed out, not refused."""
        super().save_related(request, form, formsets, change)
        enqueue_deal()
        rule = form.instance
        skills = frozenset(rule.skills.values_list("pk", flat=True))
        wants_product = rule.strategy == Rule.Strategy.SKILL and not skills
        sellers = staff().fitting(rule, skills, {})
        if not sellers and not wants_product:
            messages.warning(request, _("Nobody fits this rule now: it will be passed by until somebody does."))
        elif sellers and all(c.away for c in Staff.candidates(sellers, timezone.now())):
            messages.info(request, _("Nobody of this rule is at work at this minute."))


@admin.register(Debt)
class DebtAdmin(ReadOnlyAdmin):
    about = gettext_lazy(
        "How many leads more or fewer than their share each colleague has had by a rule: who is owed most gets the next one."
    )
    fields = ["rule", "user", "given", "owed"]
    list_display = ["rule", "user", "given", "owed"]
    list_select_related = ["rule", "user"]
    list_filter = ["rule"]

    @admin.display(description=COLUMNS["debt"], ordering="debt")
    def owed(self, row):
        return thousandths(row.debt)


@admin.register(DebtEntry)
class DebtEntryAdmin(ReadOnlyAdmin):
    about = gettext_lazy(
        "Each lead that was handed out, and what it changed for everybody who could have had it. "
        "Leads of a list are counted together, at the last of them."
    )
    fields = ["at", "rule", "user", "change", "handed"]
    list_display = ["at", "rule", "user", "change", "handed"]
    list_select_related = ["rule", "user", "assignment__lead", "assignment__to_owner"]
    list_filter = ["rule"]

    @admin.display(description=COLUMNS["delta"], ordering="delta")
    def change(self, row):
        return thousandths(row.delta)

    @admin.display(description=COLUMNS["assignment"])
    def handed(self, row):
        """The lead, and to whom it went."""
        lead, owner = row.assignment.lead, row.assignment.to_owner or "—"
        went = format_html('<a href="{}">{}</a> → {}', reverse("leads:card", args=[lead.pk]), lead, owner)
        got_it = row.user_id == row.assignment.to_owner_id
        of_one = row.delta <= 0 if got_it else row.delta >= 0  # one lead gives to all and takes from who got it
        return went if of_one else format_html("{} · {}", went, _("with other leads of a list"))
