"""The cells of Django's lists."""

from collections.abc import Iterable
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst

register = template.Library()


@register.filter
def labelled(cells: Iterable[str], headers: list[dict[str, Any]]) -> list[SafeString]:
    """Return the cells of a row, each with the name of its column, which a narrow screen shows before its value."""
    return [_with_label(cell, header["text"]) for cell, header in zip(cells, headers, strict=False)]


def _with_label(cell: str, label: str) -> SafeString:
    if not cell.startswith("<td") or cell.startswith('<td class="action-checkbox"'):
        return mark_safe(cell)  # noqa: S308 - Django has made it
    return format_html('<td data-label="{}"{}', capfirst(label), mark_safe(cell.removeprefix("<td")))  # noqa: S308
