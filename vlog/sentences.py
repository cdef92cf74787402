"""Parts of sentences for people."""

from typing import Any

from django.utils.translation import get_language, ngettext

NOUNS_ARE_CAPITAL = ("de", "lb")  # languages that write nouns with a capital letter within a sentence, too


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun in English, for logs and commands: "1 video", "2 videos", "3 videos wait".

    many: the form for all numbers but 1; by default `one` with an s.
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def plural(one: str, many: str, number: int, **values: Any) -> str:
    """Return a sentence about a number, in the language of the page.

    one, many: the sentence in English, in which %(number)s stands for the number; values: what else it names.
    """
    return ngettext(one, many, number) % {"number": number, **values}


def one_or_many(one: str, many: str) -> tuple[str, str]:
    """Mark a sentence for translation that `plural` gets later."""
    return one, many


def within_sentence(text: Any) -> str:
    """Return a label, such as "Job", as it is written within a sentence."""
    text = str(text)
    if (get_language() or "").partition("-")[0] in NOUNS_ARE_CAPITAL:
        return text
    return text[:1].lower() + text[1:]
