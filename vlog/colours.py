"""The accent colour: whether it can be read, and the style sheet that gives it to the pages.

An accent is the colour of links on a surface, and the ground of buttons with white or black text. The lightness that
suits the light theme is too dark for the dark one, so that theme gets a lighter tone of the same hue.
"""

import colorsys
import re

from django.utils.translation import gettext as _

MIN_CONTRAST = 4.5  # WCAG 2.2, 1.4.3, for text
# The grounds of static/tokens.css on which links stand, the least favourable of each theme.
LIGHT_GROUNDS = ("#ffffff", "#f7f7fa", "#f2f2f6")
DARK_GROUNDS = ("#17171e", "#0f0f14", "#212129")
WHITE, BLACK = "#ffffff", "#14101f"
STEPS = 100  # of lightness

COLOUR = re.compile("#[0-9a-f]{6}")

Colour = tuple[float, float, float]  # red, green and blue, each 0 to 1


class Unreadable(ValueError):
    """The colour cannot be read; the message says what to do."""


def is_colour(text: str) -> bool:
    return COLOUR.fullmatch(text) is not None


def parse(text: str) -> Colour:
    """Return a colour such as #5a3fe0."""
    red, green, blue = (int(text[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def as_text(colour: Colour) -> str:
    return "#" + "".join(f"{round(255 * part):02x}" for part in colour)


def luminance(text: str) -> float:
    """Return the relative luminance of WCAG 2.2, 0 to 1."""
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parse(text)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of WCAG 2.2, 1 to 21."""
    lighter, darker = sorted([luminance(one), luminance(other)], reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def least(colour: str, grounds: tuple[str, ...]) -> float:
    return min(contrast(colour, ground) for ground in grounds)


def check(colour: str) -> None:
    """Raise Unreadable for a colour with too little contrast to the light theme, or without a tone for the dark one.

    Empty is VLog's own.
    """
    if not colour:
        return
    found = min(least(colour, LIGHT_GROUNDS), contrast(colour, WHITE))
    if found < MIN_CONTRAST:
        raise Unreadable(
            _(
                "%(colour)s has a contrast of %(found)s to a light page, and links need %(least)s. Choose a darker "
                "tone, such as %(darker)s."
            )
            % {"colour": colour, "found": f"{found:.1f}", "least": MIN_CONTRAST, "darker": darkened(colour)}
        )
    if least(for_dark(colour), DARK_GROUNDS) < MIN_CONTRAST:
        raise Unreadable(
            _("No lighter tone of %(colour)s can be read on a dark page. Choose another colour.") % {"colour": colour}
        )


def darkened(colour: str) -> str:
    """Return the lightest tone of a colour that can be read on a light page."""
    return _first(colour, range(STEPS, -1, -1), LIGHT_GROUNDS)


def for_dark(colour: str) -> str:
    """Return the tone of a colour for the dark theme: the first lighter one that can be read well."""
    return _first(colour, range(STEPS + 1), DARK_GROUNDS, at_least=6.0)


def _first(colour: str, steps: range, grounds: tuple[str, ...], at_least: float = MIN_CONTRAST) -> str:
    hue, _lightness, saturation = colorsys.rgb_to_hls(*parse(colour))
    tones = (as_text(colorsys.hls_to_rgb(hue, step / STEPS, saturation)) for step in steps)
    return next(tone for tone in tones if least(tone, grounds) >= at_least)


def mixed(colour: str, other: str, share: float) -> str:
    """Return a mixture with this share of the first colour."""
    red, green, blue = (share * a + (1 - share) * b for a, b in zip(parse(colour), parse(other), strict=True))
    return as_text((red, green, blue))


def tokens(colour: str, *, dark: bool) -> str:
    """Return the declarations of one theme."""
    ground, strong = ("#17171e", WHITE) if dark else ("#ffffff", "#000000")
    return (
        f"--accent: {colour}; --accent-strong: {mixed(colour, strong, 0.82)}; "
        f"--accent-soft: {mixed(colour, ground, 0.2 if dark else 0.1)}; --on-accent: {BLACK if dark else WHITE}; "
        f"--plot: {colour}; --plot-soft: {mixed(colour, ground, 0.3 if dark else 0.22)}"
    )


def style_sheet(accent: str) -> str:
    """Return the style sheet that comes after tokens.css."""
    light, dark = tokens(accent, dark=False), tokens(for_dark(accent), dark=True)
    return (
        f":root {{ {light} }}\n"
        f'@media (prefers-color-scheme: dark) {{ :root:not([data-theme="light"]) {{ {dark} }} }}\n'
        f':root[data-theme="dark"] {{ {dark} }}\n'
    )
