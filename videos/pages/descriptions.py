"""The description of a video as HTML: paragraphs, in which addresses are links and times seek."""

import re

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from videos.formatting import seconds_of
from videos.models import Video

# An address of the web, an e-mail address, or a time such as 1:02 or 1:02:03 that is no part of something longer.
LINK = re.compile(
    r"(?P<address>(?:https?://|www\.)[^\s<>\"]{1,500})"
    r"|(?P<mail>\b[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}\b)"
    r"|(?P<time>(?<![\w:.,/-])(?:\d{1,2}:[0-5]?\d|\d{1,3}):[0-5]\d(?![\w:/-]|[.,]\d))",
    re.ASCII,
)
CLOSING = {")": "(", "]": "["}
ENDS = ".,;:!?'"


def described(video: Video) -> SafeString:
    """Return the description; everything in it is shown as it is."""
    text = video.description.replace("\r\n", "\n").strip()
    blocks = re.split(r"\n\s*\n", text) if text else []
    paragraphs = (f"<p>{_linked(block, video.duration).replace(chr(10), '<br>')}</p>" for block in blocks)
    return mark_safe("\n".join(paragraphs))  # noqa: S308 - every part is escaped


def _linked(text: str, duration: float) -> str:
    parts, end = [], 0
    for match in LINK.finditer(text):
        if match.start() < end:
            continue
        shown = _without_end(match[0]) if match["address"] else match[0]
        link = _link(match, shown, duration)
        if link:
            parts += [escape(text[end : match.start()]), link]
            end = match.start() + len(shown)
    return "".join([*parts, escape(text[end:])])


def _link(match: re.Match[str], shown: str, duration: float) -> str:
    """Return the element of a match; empty for a time that the video does not have."""
    if match["address"]:
        target = shown if shown.startswith("http") else f"https://{shown}"
        return f'<a href="{escape(target)}" rel="nofollow">{escape(shown)}</a>'
    if match["mail"]:
        return f'<a href="mailto:{escape(shown)}">{escape(shown)}</a>'
    second = seconds_of(shown)
    return f'<a href="?t={second}" data-seek="{second}">{shown}</a>' if second < duration else ""


def _without_end(address: str) -> str:
    """Return an address without the punctuation of the sentence, and without a bracket that was opened before it."""
    while address and (address[-1] in ENDS or _closes_more(address)):
        address = address[:-1]
    return address


def _closes_more(address: str) -> bool:
    last = address[-1]
    return last in CLOSING and address.count(last) > address.count(CLOSING[last])
