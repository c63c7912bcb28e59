from django.urls import path

from routing import views

app_name = "routing"
urlpatterns = [
    path("leads/<int:lead_pk>/why-this-owner/", views.panel, name="panel"),
    path("distribution/", views.fairness, name="fairness"),
    path("distribution/try/", views.simulator, name="simulator"),
]
