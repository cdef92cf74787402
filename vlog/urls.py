import inspect

from django.contrib import admin
from django.urls import include, path
from django.views import defaults

from vlog import openapi, outages, readiness, site_files

# Django's error pages without their CSRF check, which would read the body of a request that no view wants.
handler400, handler403, handler404 = (
    inspect.unwrap(page) for page in (defaults.bad_request, defaults.permission_denied, defaults.page_not_found)
)
handler500 = outages.handle_error

urlpatterns = [
    path("", include("videos.urls")),
    path("", include("transcoding.urls")),
    path("api/v1/playback/", include("analytics.urls")),
    path("privacy/", include("analytics.page_urls")),
    path("api/worker/v1/", include("workers.urls")),
    path("api/schema/", openapi.SchemaView.as_view(), name="schema"),
    path("admin/", admin.site.urls),
    path("site/<str:key>.css", site_files.theme, name="theme"),
    path("site/<str:key>.png", site_files.logo, name="logo"),
    path("site.webmanifest", site_files.manifest, name="manifest"),
    path("favicon.ico", site_files.icon, {"name": "favicon.ico"}),
    path("apple-touch-icon.png", site_files.icon, {"name": "apple-touch-icon.png"}),
    path("site/<str:language>-<str:key>.js", site_files.words, name="words"),
    path("healthz", readiness.healthz),
    path("readyz", readiness.readyz),
    path("readyz/full", readiness.readyz_full),
]
