"""The OpenAPI document of all HTTP APIs: `/api/schema/`."""

from functools import cache
from typing import Any

from django.http import HttpResponse
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = "vlog.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "A personal API token with the scope of the call."}


class SchemaView(SpectacularAPIView):
    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        media_type = request.accepted_renderer.media_type
        return HttpResponse(_document(media_type), content_type=f"{media_type}; charset=utf-8")


@cache
def _document(media_type: str) -> str | bytes:
    """Return the document in one format. It takes a second and changes with a release only, so a process keeps it."""
    renderer = next(one for one in SchemaView.renderer_classes if one.media_type == media_type)
    return renderer().render(SchemaGenerator().get_schema(public=True), renderer_context={})
