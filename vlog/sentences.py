"""Parts of sentences for people."""


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun, and the verb if it has one: "1 video", "2 videos", "3 videos wait".

    many: the form for all numbers but 1; by default `one` with an s.
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"
