"""The language of a page: that of the person on the desk and wherever they are logged in, elsewhere that of the site.

`locale/` has a catalogue for each language that VLog speaks besides English. Any other language can be that of the
titles and texts of a site: its pages say so, and VLog's own words stay English there.
"""

import gettext
import json
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import get_language_info, to_locale

from vlog import site

ENGLISH = "en"


@cache
def available() -> tuple[str, ...]:
    """Return the codes of the languages that VLog speaks: English, and those whose catalogue was compiled."""
    folders = [Path(folder) for folder in settings.LOCALE_PATHS]
    found = {code for code, _name in settings.LANGUAGES for folder in folders if _compiled(folder, code).is_file()}
    return ENGLISH, *sorted(found - {ENGLISH})


def _compiled(folder: Path, code: str) -> Path:
    return folder / to_locale(code) / "LC_MESSAGES" / "django.mo"


def choices() -> list[tuple[str, str]]:
    """Return the languages that a person chooses from, each by its own name."""
    return [(code, get_language_info(code)["name_local"]) for code in available()]


def spoken(code: str) -> str:
    """Return the language in which VLog's own words are shown to people who read this one."""
    return next((known for known in (code, code.partition("-")[0]) if known in available()), ENGLISH)


@cache
def script(code: str) -> str:
    """Return the script that gives the words of the desk's scripts in a language; static/desk.js reads it."""
    catalogue = gettext.translation("djangojs", settings.LOCALE_PATHS[0], [to_locale(code)], fallback=True)
    messages: dict[str, Any] = {}
    for key, text in sorted(getattr(catalogue, "_catalog", {}).items(), key=str):
        if isinstance(key, tuple):  # one form of a message about a number
            messages.setdefault(key[0], []).append(text)
        elif key:
            messages[key] = text
    form = catalogue.info().get("plural-forms", "plural=(n != 1)").partition("plural=")[2].rstrip(";")
    words = json.dumps(messages, ensure_ascii=False, separators=(",", ":"))
    return f"window.vlogCatalogue={{messages:{words},form:(n)=>Number({form})}};"


def script_url(code: str) -> str:
    """Return the address of that script, which changes with its content; empty for English."""
    return "" if code == ENGLISH else reverse("words", args=[code, site.key_of(script(code).encode())])


@cache
def _desk() -> str:
    return reverse("admin:index")


def of_request(request: HttpRequest) -> str:
    """Return the language of an answer. Without a session it is that of the site, so that the answer can be kept."""
    on_desk = request.path_info.startswith(_desk())
    own = ""
    if on_desk or settings.SESSION_COOKIE_NAME in request.COOKIES:
        own = getattr(request.user, "language", "")  # backends.LimitedBackend.get_user adds it
    return own or site.current().language
