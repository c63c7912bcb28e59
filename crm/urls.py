"""Every address of the product: each app's own list under its prefix."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from crm.api import urls as api_urls
from crm.core.counting import noop
from crm.core.views.icon import favicon
from crm.home import home

urlpatterns = [
    path("", home, name="home"),
    path("favicon.ico", favicon, name="favicon"),
    path("", include("crm.core.urls")),
    path("", include("leads.urls")),
    path("", include("deals.urls")),
    path("", include("scoring.urls")),
    path("", include("routing.urls")),
    path("", include("nurturing.urls")),
    path("", include("analytics.urls")),
    path("api/v1/", api_urls),
    path("admin/", admin.site.urls),
]
if settings.BENCH:
    urlpatterns.append(path("bench/noop/", noop))
handler400 = "crm.core.views.bad_request"
handler403 = "crm.core.views.permission_denied"
handler404 = "crm.core.views.page_not_found"
handler500 = "crm.core.views.server_error"
