"""The page of the search: its words, filters and pages; and the titles that are suggested while words are typed."""

from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple

from django.conf import settings
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from videos.pages import filters, search, spelling, suggestions
from videos.pages.views import PAGE_SIZE, numbers_of, page_or_404
from vlog import ratelimit
from vlog.refusals import refuse
from vlog.serving.everybody import same_for_everybody

TOO_MANY_SEARCHES = _("There were too many searches from your network. Wait some seconds, then search again.")

no_cache = cache_control(no_cache=True)


class Menu(NamedTuple):
    """A filter in the form: its parameter, its label, and its choices as HTML."""

    parameter: str
    label: str
    options: SafeString


@require_safe
@no_cache
@same_for_everybody()
def search_page(request: HttpRequest) -> HttpResponse:
    text, number = request.GET.get("q", ""), request.GET.get("page", "1")
    offset = (page_or_404(Paginator(range(search.MAX_RESULTS), PAGE_SIZE), number).number - 1) * PAGE_SIZE
    if text and (wait := ratelimit.wait(ratelimit.client(request), "search", settings.SEARCH_LIMIT)):
        return refuse(request, HTTPStatus.TOO_MANY_REQUESTS, str(TOO_MANY_SEARCHES), wait=wait)
    chosen = filters.read(request.GET)
    found = search.find(text, limit=PAGE_SIZE, offset=offset, filters=chosen)
    if offset and not found.hits:
        raise Http404("The search has fewer pages of results")
    text = " ".join(text[: search.MAX_CHARACTERS].split())
    corrected = ""
    if text and not found.hits and not chosen.active:
        corrected, found = _corrected(text)
    page = page_or_404(Paginator(range(found.total), PAGE_SIZE), number)
    return render(
        request, "videos/search.html", _context(text, chosen, found) | _pages(page, corrected or text, chosen.chosen)
    )


def _corrected(text: str) -> tuple[str, search.Found]:
    """Return the query with its typing errors corrected, and what that finds; nothing where it finds nothing."""
    corrected = spelling.correct(text)
    found = search.find(corrected, limit=PAGE_SIZE)
    return (corrected, found) if found.hits else ("", found)


def _pages(page: Any, text: str, chosen: Mapping[str, str]) -> dict[str, Any]:
    query = urlencode({"q": text, **chosen}) + "&"
    return {
        "page": page,
        "page_numbers": numbers_of(page),
        "query": query,
        "used_text": text,
        "used_query": urlencode({"q": text}),
    }


def _context(text: str, chosen: filters.Filters, found: search.Found) -> dict[str, Any]:
    return {
        "text": text,
        "found": found,
        "chosen": chosen,
        "menus": _menus(filters.offered.get(), tuple(chosen.chosen.items()), get_language()) if text else (),
        "active": [(name, _without(text, chosen.chosen, parameter)) for parameter, name in chosen.active],
        "unfiltered": "?" + urlencode({"q": text}),
    }


def _without(text: str, chosen: Mapping[str, str], parameter: str) -> str:
    """Return the address of the search without one of its filters."""
    return "?" + urlencode({"q": text, **{name: value for name, value in chosen.items() if name != parameter}})


@lru_cache(maxsize=64)
def _menus(offered: filters.Offered, chosen: tuple[tuple[str, str], ...], language: str | None) -> tuple[Menu, ...]:
    """Return the menus of the form, without those with nothing to choose. language: that of their texts."""
    menus = (
        ("category", _("Category"), _("All categories"), offered.categories),
        ("length", _("Length"), _("Any length"), filters.LENGTHS),
        ("date", _("Published"), _("At any time"), filters.DATES),
        ("language", _("Language"), _("All languages"), offered.languages),
        ("captions", _("Captions"), _("With or without"), filters.CAPTIONED),
        ("sort", _("Order"), filters.SORTS[0].name, filters.SORTS[1:]),
    )
    keys = dict(chosen)
    return tuple(
        Menu(parameter, str(label), _options(none, choices, keys.get(parameter, "")))
        for parameter, label, none, choices in menus
        if choices
    )


def _options(none: str | Promise, choices: tuple[filters.Choice, ...], chosen: str) -> SafeString:
    """Return the options of a menu; `none` is the name of the one without a filter."""
    options = ((choice.key, " selected" if choice.key == chosen else "", choice.name) for choice in choices)
    listed = format_html_join("", '<option value="{}"{}>{}</option>', options)
    return format_html('<option value="">{}</option>{}', none, listed)


@require_safe
@no_cache
def suggest(request: HttpRequest) -> HttpResponse:
    """Return the titles and addresses of videos, as JSON, for the beginning of a query."""
    if wait := ratelimit.wait(ratelimit.client(request), "suggest", settings.SEARCH_LIMIT):
        return refuse(request, HTTPStatus.TOO_MANY_REQUESTS, str(TOO_MANY_SEARCHES), wait=wait)
    found = suggestions.suggest(request.GET.get("q", ""))
    return JsonResponse({"suggestions": [{"title": title, "address": address} for title, address in found]})
