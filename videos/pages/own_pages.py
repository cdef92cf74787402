"""The site's own pages, such as the imprint."""

import re
from collections.abc import Iterator
from html import escape

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from videos.models import OwnPage
from vlog.serving.everybody import same_for_everybody

HEADING = re.compile(r"(#{1,3}) +(.+)")
ITEM = re.compile(r"[-*] +(.+)")
# [text](address), or an address alone; only addresses of the web, e-mail and this site become links.
LINK = re.compile(
    r"\[(?P<text>[^\[\]\n]{1,300})\]\((?P<target>(?:https?://|mailto:|/(?!/))[^\s()<>\"]{0,500})\)"
    r"|(?P<address>https?://[^\s()<>\"]{1,500}[^\s()<>\".,;:!?'])"
)


@require_safe
@cache_control(no_cache=True)
@same_for_everybody()
def own_page(request: HttpRequest, slug: str) -> HttpResponse:
    page = OwnPage.objects.filter(slug=slug).first()
    if page is None:
        raise Http404("No such page")
    return render(request, "videos/own_page.html", {"page": page, "body": rendered(page.text)})


def rendered(text: str) -> SafeString:
    """Return the HTML of a text: headings, lists and paragraphs with links. Everything else is shown as it is."""
    blocks = re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip())
    parts = (part for block in blocks for part in _block(block.split("\n")))
    return mark_safe("\n".join(parts))  # noqa: S308 - every text is escaped


def _block(lines: list[str]) -> Iterator[str]:
    """Yield the HTML of lines without an empty one between them."""
    kinds = [(_kind(line), line) for line in lines if line.strip()]
    start = 0
    while start < len(kinds):
        kind = kinds[start][0]
        end = start + 1
        while kind != "heading" and end < len(kinds) and kinds[end][0] == kind:
            end += 1
        yield _element(kind, [line for _, line in kinds[start:end]])
        start = end


def _kind(line: str) -> str:
    return "heading" if HEADING.fullmatch(line) else "list" if ITEM.fullmatch(line) else "paragraph"


def _element(kind: str, lines: list[str]) -> str:
    if kind == "heading" and (match := HEADING.fullmatch(lines[0])):
        level = len(match[1]) + 1  # the title of the page is the h1
        return f"<h{level}>{_inline(match[2])}</h{level}>"
    if kind == "list":
        items = (ITEM.fullmatch(line) for line in lines)
        return "<ul>" + "".join(f"<li>{_inline(item[1])}</li>" for item in items if item) + "</ul>"
    return "<p>" + "<br>".join(_inline(line) for line in lines) + "</p>"


def _inline(text: str) -> str:
    parts, end = [], 0
    for match in LINK.finditer(text):
        target = match["target"] or match["address"]
        shown = match["text"] or match["address"]
        parts += [escape(text[end : match.start()]), f'<a href="{escape(target)}">{escape(shown)}</a>']
        end = match.end()
    return "".join([*parts, escape(text[end:])])
