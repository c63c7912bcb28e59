"""Who may try to sign in: beside the limit of axes for one account, one for all accounts that one address tries."""

from datetime import timedelta

from axes.backends import AxesStandaloneBackend
from axes.models import AccessFailureLog, AccessLog
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from crm.core.proxies import client_address

NAMES = 20  # user names that one address may get wrong …
WINDOW = timedelta(minutes=15)  # … in this time
AT_HOME = timedelta(days=30)  # whoever has signed in from an address lately is no stranger there


class Guard(AxesStandaloneBackend):
    """One password tried on many accounts never reaches the limit of any of them, so the address is looked at.

    A whole office comes from one address: colleagues who have signed in from there neither count nor wait.
    """

    def authenticate(self, request, username=None, password=None, **kwargs):
        super().authenticate(request, username=username, password=password, **kwargs)
        if username and tries_many(client_address(request), username):
            request.axes_locked_out = True  # its middleware answers
            raise PermissionDenied


def tries_many(address, username):
    now = timezone.now()
    at_home = AccessLog.objects.filter(ip_address=address, attempt_time__gt=now - AT_HOME, username__isnull=False)
    if not address or at_home.filter(username=username).exists():
        return False
    wrong = AccessFailureLog.objects.filter(ip_address=address, attempt_time__gt=now - WINDOW)
    names = wrong.exclude(username__in=at_home.values("username")).order_by().values("username").distinct()
    return names[:NAMES].count() >= NAMES
