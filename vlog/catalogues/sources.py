"""The messages of the sources: what gettext looks up at run time, in English."""

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from babel.messages.extract import extract_javascript, extract_python
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.db.models import Field, Model
from django.utils.translation.template import templatize
from jinja2.ext import babel_extract

from vlog.apps import OWN_APPS
from vlog.names import NAME

AUDIT = "audit"  # the context of the actions of the audit log
# By the name of the function: which of its arguments are the message, its plural and its context.
KEYWORDS: dict[str, Any] = {
    "_": None,
    "gettext": None,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
    "plural": (1, 2),  # these two are vlog.sentences'
    "one_or_many": (1, 2),
    "Skip": None,  # the reasons that an edit of many videos stores, in English
    "translated": None,  # these two are static/desk.js's
    "translatedPlural": (1, 2),
}
# Texts of Django that its own catalogues do not have yet, or in which they use other words than VLog.
OF_DJANGO = (
    "After you’ve created a user, you’ll be able to edit more user options.",
    "Raw passwords are not stored, so there is no way to see the user’s password.",
    *("Reset password", "Save and add another", "Save and continue editing", "Save as new"),
)
OF_DJANGO_SCRIPTS = (
    *("Choose selected %s", "Remove selected %s", "Choose all %s", "Remove all %s"),
    "Type into this box to filter down the list of available %s.",
    "Type into this box to filter down the list of selected %s.",
)
STRING = r"""u?('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
CALL = re.compile(rf"\b(_|n?p?gettext)\(\s*{STRING}(?:\s*,\s*{STRING})?(?:\s*,\s*{STRING})?")
ACTION = re.compile(r"""\b(?:_?record|_change)\(\s*(?:worker,\s*)?"([a-z][a-z ]+)\"""")

JINJA = {"extensions": "jinja2.ext.i18n", "trimmed": "true", "newstyle_gettext": "true", "silent": "false"}
SCRIPT = {"parse_template_string": True}


class Message(NamedTuple):
    """One message. text: in English, with that of the plural where there is one; place: the file that has it."""

    text: str | tuple[str, str]
    context: str | None
    place: str


def python(folder: Path) -> Iterator[Message]:
    """Yield the messages of all Python modules, those that are tests or commands excepted."""
    for path in modules(folder):
        source = path.read_bytes()
        yield from _extracted(extract_python, source, path.relative_to(folder))
        yield from (Message(text, AUDIT, str(path.relative_to(folder))) for text in ACTION.findall(source.decode()))


def modules(folder: Path) -> Iterator[Path]:
    for app in OWN_APPS:
        found = sorted((folder / app).rglob("*.py"))
        yield from (path for path in found if not {"tests", "migrations", "commands"}.intersection(path.parts))


def templates(folder: Path) -> Iterator[Message]:
    """Yield the messages of all templates: those in templates/site are for Jinja2, all others for Django."""
    for path in html(folder):
        place, text = path.relative_to(folder), path.read_text("utf-8")
        if is_jinja(path):
            options = {
                "extensions": "jinja2.ext.i18n",
                "trimmed": "true",
                "newstyle_gettext": "true",
                "silent": "false",
            }
            yield from _extracted(babel_extract, text.encode(), place, options)
        else:
            yield from (_called(match, str(place)) for match in CALL.finditer(templatize(text)))


def html(folder: Path) -> list[Path]:
    return sorted((folder / "templates").rglob("*.html"))


def is_jinja(path: Path) -> bool:
    return "site" in path.parts[path.parts.index("templates") :]


def scripts(folder: Path) -> Iterator[Message]:
    yield from (Message(text, None, "django") for text in OF_DJANGO_SCRIPTS)
    for path in sorted((folder / "static").glob("*.js")):
        yield from _extracted(extract_javascript, path.read_bytes(), path.relative_to(folder), SCRIPT)


def names() -> Iterator[Message]:
    """Yield the names of models, fields and values that pages of the admin show, and some texts of Django."""
    yield from (Message(text, None, "django") for text in OF_DJANGO)
    for model, options in admin.site._registry.items():
        if _is_own(model):
            yield from (_named(name, model) for name in (model._meta.verbose_name, model._meta.verbose_name_plural))
        for field in _shown_fields(model, options):
            yield from (_named(text, model) for text in (field.verbose_name, field.help_text) if text)
            yield from (_named(label, model) for _value, label in field.flatchoices if label)


def _named(name: Any, model: type[Model]) -> Message:
    return Message(str(name), NAME, f"{model.__module__.replace('.', '/')}.py")


def _is_own(model: type[Model]) -> bool:
    return apps.get_containing_app_config(model.__module__).label in OWN_APPS  # type: ignore[union-attr]


def _shown_fields(model: type[Model], options: Any) -> Iterator[Any]:
    filters = (one[0] if isinstance(one, tuple) else one for one in options.list_filter)
    named = {name for name in (*options.list_display, *options.readonly_fields, *filters) if isinstance(name, str)}
    named |= {*(options.fields or ()), *flatten_fieldsets(options.fieldsets or ())}
    named |= {*getattr(options.form, "base_fields", {})}
    fields = (field for field in model._meta.get_fields() if isinstance(field, Field))
    yield from (
        field for field in fields if _is_own(field.model) and (field.name in named or "verbose_name" in _given(field))
    )


def _given(field: Any) -> dict[str, Any]:
    """Return what the code says of a field: a name of its own is there to be shown."""
    return {name: value for name, value in field.deconstruct()[3].items() if value}


def _extracted(
    extract: Callable[..., Iterable[Any]], source: bytes, place: Path, options: dict[str, Any] | None = None
) -> Iterator[Message]:
    options = {"encoding": "utf-8", **(options or {})}
    for found in extract(BytesIO(source), list(KEYWORDS), [], options):
        function, texts = found[1], found[2]
        texts = (texts,) if isinstance(texts, str) else tuple(texts or ())
        if (message := _message(function, texts, str(place))) is not None:
            yield message


def _called(match: re.Match[str], place: str) -> Message:
    texts = tuple(ast.literal_eval(text) for text in match.groups()[1:] if text)
    message = _message(match[1], texts, place)
    assert message is not None  # noqa: S101 - the expression found its text
    return message


def _message(function: str | None, texts: tuple[Any, ...], place: str) -> Message | None:
    """Return the message of a call, or None if its text is no constant."""
    wanted = KEYWORDS[function or "_"] or (1,)
    context: str | None = None
    found = []
    for one in wanted:
        number = one[0] if isinstance(one, tuple) else one
        text = texts[number - 1] if len(texts) >= number else None
        if not isinstance(text, str) or not text:
            return None
        if isinstance(one, tuple):
            context = text
        else:
            found.append(text)
    return Message(found[0] if len(found) == 1 else (found[0], found[1]), context, place)
