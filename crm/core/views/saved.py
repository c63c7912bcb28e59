"""Saving, renaming and deleting views of lists."""

from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from crm.core.models import SavedView
from crm.core.saved_views import ViewForm

PAGES = ("leads:list", "deals:list")


def _address(view):
    return f"{reverse(view.page)}?{view.query}" if view.query else reverse(view.page)


def _form(request, instance):
    data = request.POST if request.method == "POST" else None
    initial = {name: request.GET.get(name, "")[:2000] for name in ("page", "query")} if not instance.pk else None
    form = ViewForm(data, instance=instance, initial=initial, pages=PAGES, user=request.user)
    if data is not None and form.is_valid():
        response = redirect(_address(form.save()))
        if request.htmx:
            response["HX-Redirect"], response.status_code = response.url, 204
            del response["Location"]
        return response
    return render(request, "core/view_form.html", {"form": form}, status=422 if data is not None else 200)


@require_http_methods(["GET", "POST"])
def new(request):
    return _form(request, SavedView(user=request.user))


@require_http_methods(["GET", "POST"])
def rename(request, pk):
    return _form(request, get_object_or_404(SavedView, pk=pk, user=request.user))


@require_POST
def delete(request, pk):
    view = get_object_or_404(SavedView, pk=pk, user=request.user)
    view.delete()
    return redirect(view.page)
