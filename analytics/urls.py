from django.urls import path

from analytics import views

app_name = "analytics"
urlpatterns = [
    path("reports/", views.index, name="index"),
    path("reports/panel/funnel/", views.funnel_panel, name="funnel_panel"),
    path("reports/rows/<slug:cell>/", views.rows, name="rows"),
    path("reports/<slug:key>/", views.report, name="report"),
]
