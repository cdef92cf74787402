"""The texts of the player's scripts, in the language of the page."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from django.utils.html import json_script
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext as _


def script(chapters: Iterable[tuple[float, str]] | None) -> SafeString:
    """Return the element with the texts, and with the start and the title of each chapter."""
    marks = [{"start": round(start, 3), "title": title} for start, title in chapters or ()]
    element = json_script({**_texts(get_language()), "chapters": marks})
    return mark_safe(element.replace(">", ' class="player-words">', 1))  # noqa: S308 - of json_script


@cache
def _texts(language: str | None) -> dict[str, Any]:
    return {**_of_errors(), **_of_answers(), **_of_menu(), **_of_end()}


def _of_errors() -> dict[str, str]:
    return {
        "unsupported": _("This browser cannot play the video. Use a newer one."),
        "offline": _("You are offline. The video goes on when the connection is back."),
        "gone": _("This video is no longer available. Load the page again to see why."),
        "unreachable": _("The video could not be loaded. Check your connection, then retry."),
        "undecodable": _("The video could not be played. Retry, or choose another quality in the settings."),
    }


def _of_answers() -> dict[str, str]:
    """In braces are names of values."""
    return {
        "back": _("\u2212 {seconds} s"),
        "forward": _("+ {seconds} s"),
        "volume": _("Volume {value} %"),
        "muted": _("Muted"),
        "speedIs": _("Speed {value}×"),
        "captionsOn": _("Captions on"),
        "captionsOff": _("Captions off"),
        "position": _("{now} of {whole}"),
        "resumed": _("Continues at {now}"),
    }


def _of_menu() -> dict[str, Any]:
    return {
        "speed": _("Speed"),
        "normal": _("Normal"),
        "times": "{value}×",
        "quality": _("Quality"),
        "automatic": _("Automatic"),
        "automaticAt": _("Automatic ({height}p)"),
        "audio": _("Audio"),
        "captions": _("Captions"),
        "off": _("Off"),
        "captionStyle": _("Caption style"),
        "size": _("Size"),
        "percent": _("{value} %"),
        "background": _("Background"),
        "grounds": {"dim": _("Translucent"), "solid": _("Black"), "none": _("None, with outlines")},
        "chaptersTitle": _("Chapters"),
        "keys": _("Keyboard shortcuts"),
    }


def _of_end() -> dict[str, str]:
    return {
        "next": _("The next video plays in {seconds} seconds."),
        "cancelled": _("The next video does not play by itself."),
    }
