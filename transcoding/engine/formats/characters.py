"""The characters of a text that comes from outside, and what is not text. Pure."""

import re

# Control characters except tab and line break, surrogates, and what is no character; PostgreSQL refuses NUL.
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufffe\uffff]")
# They turn the direction of what follows, also beyond the text that has them.
_DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_BREAKS = re.compile("\r\n?|[\x85\u2028\u2029]")


def is_readable(text: str) -> bool:
    """Return whether a text is more than characters that could not be decoded."""
    return text.count("\ufffd") * 10 <= len(text)


def has_hidden(text: str) -> bool:
    """Return whether a text has characters that `cleaned` leaves out."""
    return _NO_TEXT.search(text) is not None or _DIRECTIONS.search(text) is not None


def cleaned(text: str) -> str:
    """Return a text without control characters and without marks that turn its direction; lines end with a newline."""
    return _DIRECTIONS.sub("", _NO_TEXT.sub("", _BREAKS.sub("\n", text)))


def one_line(text: str, longest: int) -> str:
    """Return a text as one line of at most so many characters, without what is not text."""
    return " ".join(cleaned(text[: 4 * longest]).split())[:longest].strip()
