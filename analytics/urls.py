from django.urls import path

from analytics import views

urlpatterns = [
    path("start", views.start, name="playback_start"),
    path("report", views.report, name="playback_report"),
    path("end", views.report, {"ends": True}, name="playback_end"),
]
