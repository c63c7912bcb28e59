"""Parts of pages that load by themselves: whoever opens the address of one in the browser comes to the whole page."""

from functools import wraps

from django.shortcuts import redirect
from django.urls import reverse


def part_of(page, *, anchor="", keys=None, only=None):
    """For a view that draws a part of ``page`` (a URL name).

    ``keys``: parameter of the page → that of the part; ``anchor``: where the part stands on the page; ``only``: the GET
    parameter with which the address is a part, where it is a page without. The view answers first, so a record that is
    hidden from the user stays a 404.
    """

    def decorate(view):
        @wraps(view)
        def answer(request, **kwargs):
            response = view(request, **kwargs)
            asked = request.method == "POST" or request.htmx or (only and only not in request.GET)
            if asked or response.status_code != 200:
                return response
            names = {theirs: kwargs[ours] for theirs, ours in (keys or {}).items()}
            return redirect(reverse(page, kwargs=names) + anchor)

        return answer

    return decorate
