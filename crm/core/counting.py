"""Switched on by the bench alone (``CRM_BENCH=1`` in local mode): how many queries an answer took, and an idle POST."""

from django.contrib.auth.decorators import login_not_required
from django.db import connection
from django.http import HttpResponse
from django.views.decorators.csrf import csrf_exempt


class CountQueries:
    """Adds ``X-Query-Count``; outermost, so that sessions and users count as well."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        count = 0

        def counted(execute, sql, params, many, context):
            nonlocal count
            count += 1
            return execute(sql, params, many, context)

        with connection.execute_wrapper(counted):
            response = self.get_response(request)
        response["X-Query-Count"] = str(count)
        return response


@csrf_exempt
@login_not_required
def noop(request):
    """A POST through the same middleware that does nothing: the yardstick of the capture address."""
    return HttpResponse(b"{}", status=202, content_type="application/json")
