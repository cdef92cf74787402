"""Old addresses lead to the present ones, for ever."""

from django.http import Http404, HttpRequest, HttpResponsePermanentRedirect
from django.urls import reverse

from videos.models import AddressedQuerySet
from videos.models.addresses import Row


def row_or_404(rows: AddressedQuerySet[Row], slug: str) -> Row:
    """Return the row with this slug, or the one that had it before: then the answer is `moved`. Raises Http404."""
    row = rows.at(slug)
    if row is None:
        raise Http404(f"No such {rows.model._meta.verbose_name}")
    return row


def moved(request: HttpRequest, slug: str) -> HttpResponsePermanentRedirect:
    """Redirect to the same address with another slug; the rest of the path and the query stay.

    Browsers ask again each time, because an editor may give the old slug to another row.
    """
    match = request.resolver_match
    assert match is not None  # noqa: S101 - of a request that has reached a view
    path = reverse(match.view_name, kwargs={**match.kwargs, "slug": slug})
    query = request.META.get("QUERY_STRING", "")
    address = f"{path}?{query}" if query else path
    return HttpResponsePermanentRedirect(address, headers={"Cache-Control": "no-cache"})
