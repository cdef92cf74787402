from django.contrib import admin
from django.urls import include, path

from vlog import health, openapi

urlpatterns = [
    path("", include("videos.urls")),
    path("", include("transcoding.urls")),
    path("api/v1/playback/", include("analytics.urls")),
    path("api/worker/v1/", include("workers.urls")),
    path("api/schema/", openapi.SchemaView.as_view(), name="schema"),
    path("admin/", admin.site.urls),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
]
