"""The QR code of a video's page, which phones read from the screen."""

from io import BytesIO

import segno
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from videos.formatting import absolute, seconds_of
from videos.pages import shown
from videos.storage.delivery import CHECKED
from vlog.site import key_of


@require_safe
def code(request: HttpRequest, slug: str) -> HttpResponse:
    """Draw the address of a public or unlisted video, with `?t=` at a moment, as SVG."""
    video = shown.pageable().at(slug)
    if video is None or not video.is_open:
        raise Http404("No such video")
    second = seconds_of(request.GET.get("t", ""))
    moment = f"?t={second}" if 0 < second < video.duration else ""
    content = drawn(absolute(video.get_absolute_url()) + moment)
    headers = {"Cache-Control": CHECKED, "ETag": f'"{key_of(content)}"'}
    response = HttpResponse(content, content_type="image/svg+xml", headers=headers)
    return get_conditional_response(request, etag=headers["ETag"], response=response) or response


def drawn(address: str) -> bytes:
    """Return an address as a QR code with its quiet zone, dark on white in both themes."""
    file = BytesIO()
    made = segno.make(address, micro=False)
    made.save(file, kind="svg", border=4, dark="#000", light="#fff", omitsize=True, xmldecl=False)
    return file.getvalue()
