"""The first page: which one, the role says."""

from crm.core.models import Role
from leads.views import home as views

BY_ROLE = {
    Role.MANAGER: views.my_day,
    Role.HEAD: views.team,
    Role.ADMIN: views.system,
    Role.MARKETER: views.marketing,
}


def home(request):
    return BY_ROLE[request.user.role](request)
