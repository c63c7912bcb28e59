"""Templates of letters and call scripts, for those who write them: marketers and administrators."""

from functools import wraps

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from crm.core.models import AuditEntry
from crm.core.versions import locked, refusal
from leads.forms.letters import TemplateForm
from leads.letters import VARIABLES
from leads.models import Lead, Template
from leads.services import letters
from leads.views import answers


def for_writers(view):
    """Heads read, marketers and administrators write; managers choose templates in the letter itself."""

    @wraps(view)
    def guarded(request, *args, **kwargs):
        user = request.user
        if not (user.is_marketer or user.is_administrator):
            raise PermissionDenied(_("Marketers and administrators write the templates."))
        return view(request, *args, **kwargs)

    return guarded


@require_GET
@for_writers
def index(request):
    rows = Template.objects.order_by("-is_active", "kind", "name")
    return render(request, "leads/letter_templates.html", {"rows": rows})


@require_http_methods(["GET", "POST"])
@for_writers
@transaction.atomic
def edit(request, pk=None):
    template = get_object_or_404(locked(Template.objects.all(), request), pk=pk) if pk else None
    form = TemplateForm(request.POST or None, instance=template)
    if request.method == "POST" and form.is_valid():
        row = form.save()
        details = {"pk": row.pk}
        AuditEntry.objects.create(user=request.user, action="template_changed", subject=row.name, details=details)
        return answers.away(request, reverse("leads:templates"), _("The template is saved."))
    context = {"form": form, "template": template, "variables": VARIABLES, "leads": recent_leads(request.user)}
    status = refusal(form) if request.method == "POST" else 200
    return render(request, "leads/letter_template.html", context, status=status)


@require_POST
@for_writers
def preview(request):
    """The text being written, filled in for a real lead; nothing is kept."""
    language = request.POST.get("language")
    language = language if language in dict(settings.LANGUAGES) else settings.LANGUAGE_CODE
    template = Template(
        subject=request.POST.get("subject", "")[:300], body=request.POST.get("body", ""), language=language
    )
    faults = letters.faults(template)
    lead = chosen_lead(request)
    subject, text = letters.render(template, lead) if lead and not faults else ("", "")
    context = {"faults": faults, "lead": lead, "subject": subject, "text": text}
    return render(request, "leads/_letter_preview.html", context, status=422 if faults else 200)


def recent_leads(user):
    """Real leads to try a template on."""
    return Lead.objects.visible_to(user).order_by("-created_at", "-pk")[:20]


def chosen_lead(request):
    """The lead that a preview is for: the chosen one, else the newest; None where there is none to see."""
    rows, key = Lead.objects.visible_to(request.user), request.POST.get("lead") or request.GET.get("lead") or ""
    if key.isascii() and key.isdecimal() and len(key) < 16:
        rows = rows.filter(pk=int(key))
    return rows.select_related("owner").order_by("-created_at", "-pk").first()
