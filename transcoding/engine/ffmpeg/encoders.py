"""Which of ffmpeg's encoders work on this machine: each is tried before it encodes a video."""

import logging
import tempfile
from fractions import Fraction
from functools import cache
from io import BytesIO
from pathlib import Path

from transcoding.engine.codecs import table
from transcoding.engine.codecs.h264 import CODEC, ENCODERS, SOFTWARE, Pictures
from transcoding.engine.ffmpeg import processes
from transcoding.engine.ffmpeg.audio import sound_trial_arguments
from transcoding.engine.ffmpeg.video import trial_arguments
from transcoding.engine.formats import h264
from transcoding.engine.formats.boxes import BrokenBoxes, FragmentReader, Sample
from transcoding.engine.formats.h264 import BrokenStream
from transcoding.engine.plan import filters
from transcoding.engine.plan.media import ColorInfo
from transcoding.engine.plan.plan import Plan
from transcoding.engine.renditions import VideoRendition
from transcoding.engine.timeline import Timeline

log = logging.getLogger(__name__)

AUTO = "auto"
PATIENCE = 30  # seconds for one second of a small picture
WIDTH, HEIGHT, CAP = 320, 180, 600
RATE, GOP = 25, 12  # of the trial; its second has keyframes at the frames 0 and 12


def preferred(setting: str) -> tuple[str, ...]:
    """Return the encoders that a setting asks for, the best first; the software encoder is always the last resort."""
    requested = tuple(ENCODERS) if setting == AUTO else (setting,)
    return tuple(dict.fromkeys([*(name for name in requested if name != SOFTWARE), SOFTWARE]))


@cache
def usable(setting: str) -> tuple[str, ...]:
    """Return the preferred encoders that work on this machine; each is tried once in each process."""
    found = []
    for name in preferred(setting):
        reason = "" if name == SOFTWARE else why_not(name)
        if reason:
            log.warning("the encoder %s cannot be used on this machine: %s", name, reason)
        else:
            found.append(name)
    return tuple(found)


def why_not(name: str) -> str:
    """Return what is wrong with an encoder, found by a trial of one second; empty where it may be used."""
    with tempfile.TemporaryDirectory(prefix="vlog-trial-") as folder:
        target = Path(folder) / "trial.mp4"
        try:
            processes.run(trial_arguments(_plan(name), target), timeout=PATIENCE, folder=target.parent)
            _check(target.read_bytes())
            processes.run(sound_trial_arguments(), timeout=PATIENCE)
        except processes.FfmpegError as error:
            return str(error).partition(": ")[2].splitlines()[0]
        except (BrokenBoxes, BrokenStream) as error:
            return f"its output cannot be used: a fragment {error}"
    return ""


def _plan(encoder: str) -> Plan:
    chosen = ENCODERS[encoder]
    rendition = VideoRendition(
        f"{HEIGHT}p",
        CODEC.name,
        width=WIDTH,
        height=HEIGHT,
        bitrate=CAP,
        arguments=chosen.arguments_for("veryfast", CAP),
        filters=filters.scaled(WIDTH, HEIGHT, ColorInfo(), chosen.upload),
    )
    return Plan(
        stream=0,
        zero=0,
        time_base=Fraction(1, RATE),
        timeline=Timeline(Fraction(1, RATE), (0,), RATE),
        gop=GOP,
        seeks=(None,),
        renditions=(rendition,),
        encoder=encoder,
        preset="veryfast",
        ffmpeg=processes.version(),
    )


def _check(data: bytes) -> None:
    """Check that it is H.264 with IDR pictures exactly at the forced keyframes. Raises BrokenBoxes or BrokenStream."""
    reader = FragmentReader()
    (_, init), *fragments = reader.feed(data)
    reader.close()
    _, pictures = table.describe(init, CODEC)
    profile = pictures.parameters.shown.profile if isinstance(pictures, Pictures) else 0
    if profile != h264.HIGH:
        raise BrokenStream(f"has profile {profile}, not High")
    lengths = []
    for fragment, content in fragments:
        if fragment is None:
            raise BrokenStream("follows a second init segment")
        begin = int.from_bytes(content[:4], "big") + 8
        pictures.check(Sample(BytesIO(content), begin, fragment.first_sample - begin))
        lengths.append(fragment.samples)
    if lengths != [GOP, RATE - GOP]:
        raise BrokenStream(f"is not between forced keyframes: the keyframes lie {lengths} pictures apart")
