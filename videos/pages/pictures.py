"""The pictures of categories and playlists."""

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from videos.models import Picture
from videos.pages.queue import may_see
from videos.storage.delivery import CHECKED, FOREVER


@require_safe
def picture(request: HttpRequest, key: UUID) -> HttpResponse:
    """Serve a picture to everyone who may see what it belongs to. Another picture has another address."""
    found = Picture.objects.select_related("playlist").filter(pk=key).first()
    if found is None or (found.playlist and not may_see(request, found.playlist)):
        raise Http404("No such picture")
    headers = {"Cache-Control": CHECKED if found.playlist else FOREVER, "ETag": f'"{key.hex}"'}
    response = HttpResponse(bytes(found.jpeg), content_type="image/jpeg", headers=headers)
    return get_conditional_response(request, etag=headers["ETag"], response=response) or response
