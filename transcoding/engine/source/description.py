"""What libavformat says of a container in its description for people, the only place where PyAV shows these facts."""

import re
from dataclasses import dataclass, field

import av.container
import av.logging

NO_CROP = (0, 0, 0, 0)
_LINE = re.compile(
    r"^  (?P<program>(?:No )?Program\b)"
    r"|^ +Stream #\d+:(?P<stream>\d+).*?: (?:Video|Audio|Subtitle|Data|Attachment|Unknown): (?P<codec>\w+)"
    r"|^ +Frame Cropping: (?P<crop>\d+/\d+/\d+/\d+)$",
    re.MULTILINE,
)

Crop = tuple[int, int, int, int]  # pixels that are cut off at the left, right, top and bottom


@dataclass
class Description:
    """The programs of a container, each a set of streams; the format of each stream; and what is cut off its pictures.

    codecs has libavcodec's names, also of formats that it cannot decode. crops has only the streams that are cropped.
    """

    programs: list[set[int]] = field(default_factory=list)
    codecs: dict[int, str] = field(default_factory=dict)
    crops: dict[int, Crop] = field(default_factory=dict)


def describe(container: av.container.InputContainer) -> Description:
    """Return the description of a container."""
    before = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)  # or it describes nothing
    try:
        text: str = container.dumps_format()  # type: ignore[attr-defined]  # PyAV's stubs lack it
    finally:
        av.logging.set_level(before)
    return parse(text)


def parse(text: str) -> Description:
    found, number = Description(), -1
    for line in _LINE.finditer(text):
        if line["program"]:
            found.programs.append(set())
        elif line["stream"]:
            number = int(line["stream"])
            found.codecs[number] = line["codec"]
            for program in found.programs[-1:]:
                program.add(number)
        else:
            left, right, top, bottom = map(int, line["crop"].split("/"))
            found.crops[number] = left, right, top, bottom
    return found
