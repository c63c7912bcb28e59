from django.urls import path

from nurturing import views

app_name = "nurturing"
urlpatterns = [
    path("sequences/", views.index, name="index"),
    path("sequences/new/", views.new, name="new"),
    path("sequences/<int:pk>/", views.sequence, name="sequence"),
    path("sequences/<int:pk>/switch/", views.switch, name="switch"),
    path("sequences/<int:pk>/leads/", views.enrolled, name="enrolled"),
    path("sequences/<int:pk>/preview/", views.preview, name="preview"),
    path("sequences/<int:pk>/steps/", views.steps, name="steps"),
    path("sequences/<int:pk>/steps/new/", views.step, name="step_new"),
    path("sequences/<int:pk>/steps/<int:step_pk>/", views.step, name="step"),
    path("sequences/<int:pk>/steps/<int:step_pk>/move/", views.step_move, name="step_move"),
    path("sequences/<int:pk>/steps/<int:step_pk>/remove/", views.step_remove, name="step_remove"),
    path("leads/<int:lead_pk>/sequences/", views.panel, name="panel"),
    path("leads/<int:lead_pk>/sequences/enrol/", views.enrol, name="enrol"),
    path("enrolments/<int:pk>/stop/", views.stop, name="stop"),
]
