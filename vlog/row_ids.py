"""Ids of rows that people and programs send as text."""

LARGEST = 2**31 - 1  # of PostgreSQL's integer


def row_id(text: str) -> int | None:
    """Return the id that a text names; None where no row can have it."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(LARGEST))
    return int(text) if is_number and int(text) <= LARGEST else None
