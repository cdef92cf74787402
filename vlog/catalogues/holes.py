"""What is missing: messages without a translation, and texts of the sources that no catalogue can translate."""

import ast
import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message

from vlog.catalogues import files, sources

PLACEHOLDER = re.compile(r"%\(\w+\)s|%%|\{\w*\}|</?\w+")
# Arguments and keys whose value people read.
NAMES = {"label", "help_text", "empty_label", "search_help_text", "short_description", "title"}
CALLS = {"message_user", "success", "warning", "error", "ValidationError"}
DECORATORS = {"display", "action"}  # of django.contrib.admin, with `description`
# Where forms and messages are written; elsewhere the same names mean other things.
DESK = re.compile(r"(^|/)(admin(_\w+)?|forms|accounts/\w+|pages/\w+)(\.py$|/)")
SHOWN_ATTRIBUTES = {"alt", "aria-label", "placeholder", "title"}
SILENT_TAGS = {"script", "style", "code", "pre", "kbd", "svg"}
VARIABLE_TAG = re.compile("(</?){{.*?}}")  # as in <{{ heading }} class="title">
ALWAYS_ENGLISH = "500.html"  # it is shown when nothing else works
# Names and units, which are the same in all languages.
NAMELESS = {"VLog", "VLog:", "kbit/s", "LUFS", "UTC", "ID", "E-mail"}
# What is no text: translations, comments, blocks that fill attributes, all other tags.
TAGS = re.compile(
    r"{%-?\s*(?:blocktrans|trans\b).*?{%-?\s*end(?:block)?trans\w*\s*-?%}|{%\s*comment.*?endcomment\s*%}"
    r"|{% block (?:bodyclass|coltype|fragment) %}.*?{% endblock %}|{%.*?%}|{{.*?}}|{#.*?#}",
    re.DOTALL,
)


def of_catalogues(folder: Path) -> Iterator[str]:
    """Yield a line for each hole of each catalogue."""
    for path in files.of(folder):
        catalog, template = files.read(path), files.wanted(folder, path.stem)
        found = [("not in the catalogue, run `make messages`", one) for one in _lacking(catalog, template)]
        found += [("no longer in the sources, run `make messages`", one) for one in _lacking(template, catalog)]
        found += [(fault, message) for message in catalog if message.id for fault in faults(message)]
        yield from (f"{path.relative_to(folder)}: {fault}: {_name(message)}" for fault, message in found)


def _lacking(catalog: Catalog, wanted: Catalog) -> list[Message]:
    """Return the messages of one catalogue that another one lacks."""
    known = {(message.id, message.context) for message in catalog}
    return [one for one in wanted if one.id and (one.id, one.context) not in known]


def _name(message: Message) -> str:
    return repr(message.id if isinstance(message.id, str) else message.id[0])[:120]


def faults(message: Message) -> Iterator[str]:
    """Yield what is wrong with the translation of a message."""
    ids: Any = message.id if isinstance(message.id, tuple) else (message.id,)
    texts: Any = message.string if isinstance(message.string, tuple | list) else (message.string,)
    if not all(texts):
        yield "no translation"
    elif message.fuzzy:
        yield "a guess (fuzzy)"
    elif any(_marks(text) not in [_marks(one) for one in ids] for text in texts):
        yield "other placeholders or tags than in English"


def _marks(text: str) -> list[str]:
    return sorted(PLACEHOLDER.findall(text))


def of_sources(folder: Path) -> Iterator[str]:
    """Yield a line for each text of the sources that people read and that no gettext function gets."""
    for path in sources.html(folder):
        texts = bare_texts(path.read_text("utf-8")) if path.name != ALWAYS_ENGLISH else ()
        yield from (f"{path.relative_to(folder)}: text outside of a translation: {text!r}" for text in texts)
    for path in sources.modules(folder):
        place = path.relative_to(folder)
        strings = bare_strings(path.read_text("utf-8")) if DESK.search(str(place)) else ()
        yield from (f"{place}:{line}: text outside of gettext: {text!r}" for line, text in strings)


def bare_texts(template: str) -> list[str]:
    """Return the texts of a template that stand outside of its translation tags."""
    reader = _Reader()
    reader.feed(TAGS.sub(" ", VARIABLE_TAG.sub(r"\1p", template)))
    return reader.found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent += tag in SILENT_TAGS
        self._take(value for name, value in attrs if name in SHOWN_ATTRIBUTES)
        if tag == "input" and dict(attrs).get("type") in ("submit", "button"):
            self._take([dict(attrs).get("value")])

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in SILENT_TAGS

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self._take([data])

    def _take(self, texts: Iterable[str | None]) -> None:
        words = (" ".join((text or "").split()).strip(" ·|,.:()“”") for text in texts)
        self.found += [text for text in words if re.search(r"[A-Za-z]{2}", text) and text not in NAMELESS]


def bare_strings(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each string that is given as a label or a message, without gettext."""
    for node in ast.walk(ast.parse(source)):
        for value in _shown_values(node):
            text = _literal(value)
            if re.search(r"[A-Za-z]{2}", text) and text not in NAMELESS and not text.startswith("<"):
                yield value.lineno, text


def _shown_values(node: ast.AST) -> Iterator[Any]:
    if isinstance(node, ast.Call):
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        wanted = NAMES | {"description"} if name in DECORATORS else NAMES
        yield from (keyword.value for keyword in node.keywords if keyword.arg in wanted)
        if name in CALLS and getattr(getattr(node.func, "value", None), "id", "") != "log":
            yield from node.args[:2]
    elif isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        yield from (value for key, value in pairs if isinstance(key, ast.Constant) and key.value in NAMES)


def _literal(value: ast.expr) -> str:
    """Return the text of a string or of the fixed parts of an f-string; empty for anything else."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    if isinstance(value, ast.JoinedStr):
        return "".join(str(part.value) for part in value.values if isinstance(part, ast.Constant)).strip(" :.,()/")
    return ""
