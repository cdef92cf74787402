"""Validation of plans from another machine, which must not make ffmpeg do anything but make the renditions. Pure."""

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from transcoding.engine.codecs.table import CODECS
from transcoding.engine.plan.plan import Plan

# No quotes, brackets, slashes or semicolons: the text stays within its argument, and a filter cannot open a file.
WORD = re.compile(r"[\w.+-]*", re.ASCII)
FRACTION = re.compile(r"-?\d+(?:/\d+)?", re.ASCII)
FILTERS = frozenset(
    (
        "aformat",
        "alimiter",
        "bwdif",
        "format",
        "hwupload",
        "scale",
        "setparams",
        "setsar",
        "tonemap",
        "volume",
        "zscale",
    ),
)
OPTIONS = re.compile(r"(?:\w+=[\w{}.|-]+|[\w{}.-]+)(?::(?:\w+=[\w{}.|-]+|[\w{}.-]+))*", re.ASCII)
UNUSED = ("ffmpeg", "language", "name", "role", "warnings")  # these texts do not become part of any argument
FILTER_TEXTS = ("deinterlace", "filters", "finish", "tone_map")
FRACTIONS = ("time_base", "unit", "zero")


def read_plan(data: Mapping[str, Any]) -> Plan:
    """Return the plan that untrusted data contain.

    Raise KeyError, TypeError or ValueError if it is not a plan, or would make ffmpeg do something else.
    """
    try:
        plan = Plan.from_json(data)
    except ZeroDivisionError as error:
        raise ValueError("the plan contains a fraction of zero") from error
    if not any(plan.encoder in codec.encoders for codec in CODECS.values()) or not all(_harmless(plan.to_json())):
        raise ValueError("the plan contains texts that do not belong in one")
    for rendition in plan.renditions:
        _check_arguments(rendition.arguments)
    return plan


def _harmless(value: Any, name: str = "") -> Iterator[bool]:
    """Yield, for each text in a value of a plan, whether it is harmless there; name is the key of the value."""
    if isinstance(value, Mapping):
        names = value.keys() - {*UNUSED, "arguments"}  # arguments are checked on their own
        yield from chain.from_iterable(_harmless(value[each], each) for each in names)
    elif isinstance(value, list):
        yield from chain.from_iterable(_harmless(part, name) for part in value)
    elif isinstance(value, str):
        if name in FILTER_TEXTS:
            yield _is_filter_chain(value)
        else:
            yield bool((FRACTION if name in FRACTIONS else WORD).fullmatch(value))


def _is_filter_chain(text: str) -> bool:
    """Return whether a text is a chain of known filters with harmless options, or empty."""
    for filter_text in text.split(",") if text else ():
        name, _, options = filter_text.partition("=")
        if name not in FILTERS or (options and not OPTIONS.fullmatch(options)):
            return False
    return True


def _check_arguments(arguments: tuple[str, ...]) -> None:
    """Raise ValueError unless the arguments are options of encoders in the table, each with a harmless value."""
    rows = [encoder.arguments for codec in CODECS.values() for encoder in codec.encoders.values()]
    options = frozenset(chain.from_iterable(row[::2] for row in rows))
    values_are_harmless = all(map(WORD.fullmatch, arguments[1::2]))
    if len(arguments) % 2 or not options.issuperset(arguments[::2]) or not values_are_harmless:
        raise ValueError("the plan has arguments that no encoder needs")
