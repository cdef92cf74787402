"""Which encoders this machine really has: each is tried before a video is entrusted to it."""

import logging
import tempfile
from fractions import Fraction
from functools import cache
from io import BytesIO
from pathlib import Path

from transcoding.engine.ffmpeg import commands, processes
from transcoding.engine.ffmpeg.commands import ENCODERS, SOFTWARE
from transcoding.engine.formats import boxes, h264
from transcoding.engine.formats.boxes import BrokenBoxes, FragmentReader, Sample
from transcoding.engine.formats.h264 import BrokenStream
from transcoding.engine.plan.ladder import Rung
from transcoding.engine.plan.plan import Plan
from transcoding.engine.timeline import Timeline

log = logging.getLogger(__name__)

AUTO = "auto"
PATIENCE = 30  # seconds for one second of a small picture
RATE, GOP = 25, 12  # of the trial; its second has keyframes at the frames 0 and 12


def preferred(setting: str) -> tuple[str, ...]:
    """The encoders that a setting asks for, the best first; the software's own is always the last resort."""
    asked = tuple(ENCODERS) if setting == AUTO else (setting,)
    return tuple(dict.fromkeys([*(name for name in asked if name != SOFTWARE), SOFTWARE]))


@cache
def usable(setting: str) -> tuple[str, ...]:
    """Those of the preferred encoders that work on this machine; tried once in each process."""
    found = []
    for name in preferred(setting):
        reason = "" if name == SOFTWARE else why_not(name)
        if reason:
            log.warning("the encoder %s cannot be used on this machine: %s", name, reason)
        else:
            found.append(name)
    return tuple(found)


def why_not(name: str) -> str:
    """What is wrong with an encoder, found by a trial of one second; empty where it may be used."""
    with tempfile.TemporaryDirectory(prefix="vlog-trial-") as folder:
        target = Path(folder) / "trial.mp4"
        try:
            processes.run(commands.trial_arguments(_plan(name), target), timeout=PATIENCE)
            _check(target.read_bytes())
        except processes.FfmpegError as error:
            return str(error).partition(": ")[2].splitlines()[0]
        except (BrokenBoxes, BrokenStream) as error:
            return f"what it writes cannot be used: a fragment {error}"
    return ""


def _plan(encoder: str) -> Plan:
    return Plan(
        stream=0,
        zero=0,
        time_base=Fraction(1, RATE),
        timeline=Timeline(Fraction(1, RATE), (0,), RATE),
        gop=GOP,
        seeks=(None,),
        rungs=(Rung("trial", 320, 180, 600),),
        audio=None,
        encoder=encoder,
        preset="veryfast",
        ffmpeg=processes.version(),
    )


def _check(data: bytes) -> None:
    """Whether it is H.264 with IDR pictures exactly where they were asked for. Raises BrokenBoxes or BrokenStream."""
    reader = FragmentReader()
    (_, init), *fragments = reader.feed(data)
    reader.close()
    description = h264.read_description(boxes.read_init(init).config)
    if description.shown.profile != h264.HIGH:
        raise BrokenStream(f"is of profile {description.shown.profile}, not High")
    lengths = []
    for fragment, content in fragments:
        if fragment is None:
            raise BrokenStream("follows a second init segment")
        begin = int.from_bytes(content[:4], "big") + 8
        h264.check_idr(Sample(BytesIO(content), begin, fragment.first_sample - begin), description)
        lengths.append(fragment.samples)
    if lengths != [GOP, RATE - GOP]:
        raise BrokenStream(f"does not begin where it was asked to: the keyframes lie {lengths} pictures apart")
