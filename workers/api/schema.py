"""The parts of the worker API's OpenAPI schema that do not follow from its serializers."""

from collections.abc import Callable
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from transcoding.engine.contract import PROTOCOL
from workers.api import serializers

REFUSALS = {
    400: "The request is invalid",
    401: "The key is missing or invalid",
    403: "The worker is disabled",
    409: "The lease is lost",
    411: "The body has no Content-Length",
    413: "The body is too long",
    415: "The media type is wrong",
    422: "The content differs from the plan",
    426: "The agent is too old",
    429: "Too many requests: retry after Retry-After",
    503: "Not now: retry after Retry-After",
}
AGENT = OpenApiParameter("VLog-Agent", {"type": "integer", "minimum": PROTOCOL}, OpenApiParameter.HEADER, required=True)
ATTEMPT = OpenApiParameter(
    "attempt",
    {"type": "integer", "minimum": 1, "maximum": serializers.MAX_INTEGER},
    required=True,
    description="Of the claim",
)
CHUNK = OpenApiParameter("chunk", {"type": "integer", "minimum": 0}, OpenApiParameter.PATH)
RENDITION = OpenApiParameter(
    "rendition",
    {"type": "string", "pattern": "^(audio|[0-9]{1,4}p)$"},
    OpenApiParameter.PATH,
    description="Such as 720p",
)
INDEX = OpenApiParameter("index", {"type": "string", "pattern": "^(init|[0-9]{1,5})$"}, OpenApiParameter.PATH)
DIGEST = OpenApiParameter(
    "Content-Digest", OpenApiTypes.STR, OpenApiParameter.HEADER, required=True, description="RFC 9530, with sha-256"
)


class KeyScheme(OpenApiAuthenticationExtension):
    target_class = "workers.api.authentication.KeyAuthentication"
    name = "key"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer"}


def described(answers: dict[Any, Any], *parameters: OpenApiParameter, **more: Any) -> Callable[[Any], Any]:
    """Return the decorator that describes a call: its answers by status, and its own parameters."""
    refusals = {code: OpenApiResponse(serializers.RefusalSerializer, text) for code, text in REFUSALS.items()}
    return extend_schema(responses=refusals | answers, parameters=[AGENT, *parameters], **more)
