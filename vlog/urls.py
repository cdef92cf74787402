from django.contrib import admin
from django.urls import include, path

from vlog import health

urlpatterns = [
    path("", include("videos.urls")),
    path("api/v1/playback/", include("analytics.urls")),
    path("admin/", admin.site.urls),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
]
