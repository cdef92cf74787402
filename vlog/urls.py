from django.contrib import admin
from django.urls import include, path
from django.views.decorators.cache import cache_page
from drf_spectacular.views import SpectacularAPIView

from vlog import health

SCHEMA_KEPT = 3600  # seconds: it changes with a release only

urlpatterns = [
    path("", include("videos.urls")),
    path("", include("transcoding.urls")),
    path("api/v1/playback/", include("analytics.urls")),
    path("api/worker/v1/", include("workers.urls")),
    path("api/schema/", cache_page(SCHEMA_KEPT)(SpectacularAPIView.as_view()), name="schema"),
    path("admin/", admin.site.urls),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
]
