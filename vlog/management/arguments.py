"""Types of the arguments that several commands take."""

import argparse
from datetime import datetime

from vlog import site

MAX_DAYS = 3650  # until a key or token expires


def days(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:9]) <= MAX_DAYS):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days from 1 to {MAX_DAYS}")
    return int(text)


def moment(text: str) -> datetime:
    """Parse a date or a time in ISO 8601; without an offset it is in the time zone of the site."""
    try:
        parsed = datetime.fromisoformat(text)
        if parsed.tzinfo is not None:
            return parsed.astimezone(site.current().zone)
        local = parsed.replace(tzinfo=site.current().zone)
        first, second = local.utcoffset(), local.replace(fold=1).utcoffset()
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time such as 2026-12-31, '2026-12-31 09:00' or 2026-12-31T09:00+01:00"
        ) from None
    if first != second:
        raise argparse.ArgumentTypeError(
            f"the clocks change in {site.current().time_zone} at {text!r}, so this time does not exist or "
            "exists twice: add its offset, such as +01:00"
        )
    return local
