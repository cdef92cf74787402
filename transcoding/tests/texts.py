"""Sources with subtitles, chapters and CEA-608 captions, for tests."""

import re
from pathlib import Path

from transcoding.tests import clips

SRT = "1\n00:00:00,500 --> 00:00:01,500\n{first}\n\n2\n00:00:02,000 --> 00:00:03,500\n{second}\n"
ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Alignment
Style: Default,Arial,20,&H00FFFFFF,2

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.50,0:00:01.50,Default,,0,0,0,,{\\an8\\i1}Bonjour{\\i0}\\Nà tous
Dialogue: 0,0:00:01.60,0:00:01.90,Default,,0,0,0,,{\\p1}m 0 0 l 100 0 100 100{\\p0}
Dialogue: 0,0:00:02.00,0:00:03.00,Default,,0,0,0,,<script>alert(1)</script>Fin
"""
CHAPTERS = ";FFMETADATA1\n" + "".join(
    f"[CHAPTER]\nTIMEBASE=1/1000\nSTART={start}\nEND={start + 900}\ntitle={title}\n"
    for start, title in ((0, "Start"), (1000, "First"), (2000, "Second <b>"), (90_000, "Beyond"))
)
PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=4")
SOUND = ("-f", "lavfi", "-i", "sine=440:duration=4")


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def subtitled(folder: Path) -> Path:
    """A Matroska file with English, French, forced, empty and drawn subtitles, a font, and chapters out of order."""
    english = written(folder / "en.srt", SRT.format(first="Hello.", second="<i>Good</i> bye."))
    forced = written(folder / "forced.srt", SRT.format(first="[sign]", second="[another]"))
    french = written(folder / "fr.ass", ASS)
    drawn = folder / "drawn.sup"
    drawn.write_bytes(b"PG" + (90_000).to_bytes(4, "big") * 2 + b"\x80\x00\x00")
    font = written(folder / "font.ttf", "no font")
    chapters = written(folder / "chapters.txt", CHAPTERS)
    return clips.make(
        folder / "subtitled.mkv",
        *(*PICTURE, *SOUND, "-i", str(english), "-i", str(french), "-i", str(forced), "-f", "sup", "-i", str(drawn)),
        *("-f", "ffmetadata", "-i", str(chapters), "-map_chapters", "6", "-attach", str(font)),
        *("-map", "0", "-map", "1", "-map", "2", "-map", "3", "-map", "4", "-map", "5", *clips.H264, *clips.AAC),
        *("-c:s:0", "srt", "-c:s:1", "ass", "-c:s:2", "srt", "-c:s:3", "copy"),
        *("-metadata:s:a:0", "language=eng", "-metadata:s:s:0", "language=eng", "-metadata:s:s:0", "title=SDH"),
        *("-metadata:s:s:1", "language=fre", "-metadata:s:s:2", 'language=e"g', "-metadata:s:s:3", "language=ger"),
        *("-disposition:s:0", "hearing_impaired", "-disposition:s:2", "forced"),
        *("-metadata:s:t:0", "mimetype=font/ttf"),
    )


def _parity(byte: int) -> int:
    return byte | (0x80 if bin(byte & 0x7F).count("1") % 2 == 0 else 0)


def _pair(one: int, two: int) -> bytes:
    return bytes((0xFC, _parity(one), _parity(two)))


def captioned(folder: Path, text: str, frames: int = 100, kind: int = 0) -> Path:
    """An MP4 at 25 pictures a second with CEA-608: the text from picture 20 to picture 60, and again from 80 on.

    kind: cc_type of its triplets; 2 has them be of CEA-708, of which a decoder would make nothing.
    """
    folder.mkdir(exist_ok=True)
    even = text + " " * (len(text) % 2)
    letters = [_pair(ord(even[at]), ord(even[at + 1])) for at in range(0, len(even), 2)]
    load = [_pair(0x14, 0x20), _pair(0x14, 0x2E), _pair(0x14, 0x70), *letters]
    pairs = {**dict(enumerate(load)), 20: _pair(0x14, 0x2F), 60: _pair(0x14, 0x2C)}
    pairs |= {61 + number: pair for number, pair in enumerate(load)} | {80: _pair(0x14, 0x2F)}
    bare = clips.make(
        folder / "bare.h264",
        *("-f", "lavfi", "-i", f"testsrc2=size=160x120:rate=25:duration={frames / 25}", *clips.H264),
        *("-bf", "0", "-x264-params", "slices=1:sliced-threads=0", "-f", "h264"),
    ).read_bytes()
    numbers = iter(range(frames))
    marked = re.sub(
        b"\x00\x00\x01(?=[\x61\x65\x41\x01])",
        lambda match: _user_data(pairs.get(next(numbers), _pair(0, 0)), kind) + match[0],
        bare,
    )
    (folder / "marked.h264").write_bytes(marked)
    return clips.make(
        folder / "captioned.mp4",
        *("-r", "25", "-f", "h264", "-i", str(folder / "marked.h264"), *SOUND, "-c:v", "copy", *clips.AAC),
    )


def _user_data(pair: bytes, kind: int) -> bytes:
    """An SEI message of user data with one pair: ATSC A/53 part 4, 6.2.3."""
    payload = b"\xb5\x00\x31GA94\x03\x41\xff" + bytes([pair[0] | kind]) + pair[1:] + b"\xff"
    return b"\x00\x00\x01\x06\x04" + bytes([len(payload)]) + payload + b"\x80"
