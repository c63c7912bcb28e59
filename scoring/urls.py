from django.urls import path

from scoring import views

app_name = "scoring"
urlpatterns = [path("leads/<int:lead_pk>/score/", views.panel, name="panel")]
