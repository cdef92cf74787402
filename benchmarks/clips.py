"""The sources that are measured with: command lines, so that everybody measures with the same ones."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from transcoding.engine.ffmpeg import processes
from transcoding.tests.speech import say

FOLDER = Path(__file__).parent / "results" / "clips"
PATIENCE = 3600  # seconds

# Moving shapes under moderate noise: x264 at veryfast and CRF 23 needs about 4.5 Mbit/s for it, as for a lively film.
PICTURE = "testsrc2=size=1920x1080:rate=30,noise=alls=2:allf=t:all_seed=7"
SOUND = "sine=frequency=440:beep_factor=4:sample_rate=48000"
X264 = ("-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-pix_fmt", "yuv420p")
LONG_GOPS = (*X264, "-crf", "18", "-g", "250")
SHORT_GOPS = (*X264, "-crf", "23", "-maxrate", "4500k", "-bufsize", "4500k", "-g", "60", "-sc_threshold", "0")


@dataclass(frozen=True)
class Clip:
    """A source and what makes it; `{from}` among the arguments stands for another one."""

    name: str
    arguments: tuple[str, ...]
    origin: "Clip | None" = None
    suffix: str = ".mp4"

    def make(self) -> Path:
        """The file; made once for each command line and version of ffmpeg, then kept."""
        origin = str(self.origin.make()) if self.origin else ""
        key = hashlib.sha256("\0".join((*self.arguments, origin, processes.version())).encode()).hexdigest()[:12]
        path = FOLDER / f"{self.name}-{key}{self.suffix}"
        if not path.exists():
            print(f"making {path.name} …", flush=True)
            FOLDER.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".part{self.suffix}")
            arguments = [argument.replace("{from}", origin) for argument in self.arguments]
            if self.suffix == ".mp4":
                arguments += ["-movflags", "+faststart"]
            processes.run(["-y", *arguments, str(part)], timeout=PATIENCE, folder=part.parent)
            part.rename(path)
        return path


def drawn(name: str, seconds: int, video: tuple[str, ...], audio: str) -> Clip:
    inputs = ("-f", "lavfi", "-i", PICTURE, "-f", "lavfi", "-i", SOUND)
    return Clip(name, (*inputs, "-t", str(seconds), *video, "-c:a", "aac", "-ac", "2", "-b:a", audio))


# Nothing of it can be copied: keyframes too far apart, a bitrate above the cap, sound above its cap.
FOREIGN = drawn("foreign", 60, LONG_GOPS, "320k")
# Its 1080p picture and its sound are what VLog would make.
FITTING = drawn("fitting", 60, SHORT_GOPS, "128k")
SHORT = drawn("short", 20, LONG_GOPS, "320k")
SILENT = Clip("silent", ("-i", "{from}", "-an", "-c", "copy"), FOREIGN)
LONG = Clip(
    "long",
    (
        *("-stream_loop", "9", "-i", "{from}", "-f", "lavfi", "-i", SOUND, "-t", "600"),
        *("-c:v", "copy", "-c:a", "aac", "-ac", "2", "-b:a", "320k"),
    ),
    SILENT,
)
LARGE = Clip(
    "large",
    (
        *("-i", "{from}", "-t", "20", "-vf", "scale=3840:2160", *X264[:2], "-preset", "ultrafast", "-crf", "20"),
        *("-g", "250", "-pix_fmt", "yuv420p", "-c:a", "copy"),
    ),
    FOREIGN,
)

SECOND_SOUND = ("-f", "lavfi", "-i", "sine=frequency=330:beep_factor=4:sample_rate=48000")
TWO_TRACKS = Clip(
    "two-tracks",
    (
        *("-i", "{from}", *SECOND_SOUND, "-map", "0:v", "-map", "0:a", "-map", "1:a", "-t", "60"),
        *("-c:v", "copy", "-c:a:0", "copy", "-c:a:1", "aac", "-ac", "2", "-b:a:1", "320k"),
    ),
    FOREIGN,
)


def sound(seconds: int, suffix: str, *codec: str) -> Clip:
    """Sound alone."""
    return Clip(f"sound-{seconds}", ("-f", "lavfi", "-i", SOUND, "-t", str(seconds), "-ac", "2", *codec), suffix=suffix)


def lecture(seconds: int, *, moves: bool) -> Clip:
    """A lecture of 720p: slides that stand for half a minute each, or moving pictures."""
    slides = "testsrc2=size=1280x720:rate=1/30,fps=25"
    picture = PICTURE.replace("1920x1080:rate=30", "1280x720:rate=25") if moves else slides
    inputs = ("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", SOUND)
    name = "moving" if moves else "slides"
    return Clip(
        f"{name}-{seconds}", (*inputs, "-t", str(seconds), *LONG_GOPS, "-c:a", "aac", "-ac", "2", "-b:a", "320k")
    )


# Of many pieces, so that the last ones weigh little.
PIECES = Clip("pieces", ("-f", "lavfi", "-i", PICTURE.replace("1920x1080", "854x480"), "-t", "300", *LONG_GOPS))


def bars(seconds: int) -> Clip:
    """A picture so small and still that encoding it takes next to nothing; no sound."""
    picture = ("-f", "lavfi", "-i", f"smptebars=size=160x90:rate=30:duration={seconds}")
    return Clip(f"bars-{seconds}", (*picture, "-c:v", "mpeg4", "-q:v", "6", "-g", "50"))


SPEECH_SECONDS, QUICK_SPEECH_SECONDS = 1200, 60
WINDOW = 30  # seconds: one sentence in each window of Whisper's, as the weights were taught


def speech(seconds: int) -> Clip:
    """A small picture with a sentence of espeak-ng every half minute."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    voice = FOLDER / "voice.wav"
    if not voice.exists():
        say(voice)
    said = Clip("said", ("-i", str(voice), "-af", "aresample=48000,adelay=700,apad", "-t", str(WINDOW), "-c:a", "aac"))
    picture = ("-f", "lavfi", "-i", f"testsrc2=size=320x180:rate=10:duration={seconds}")
    looped = ("-stream_loop", str(seconds // WINDOW), "-i", "{from}")
    return Clip("speech", (*picture, *looped, "-t", str(seconds), *X264, "-c:a", "aac", "-b:a", "96k"), said)


# For a look at whether everything works.
QUICK_FOREIGN = drawn("quick-foreign", 10, LONG_GOPS, "320k")
QUICK_FITTING = drawn("quick-fitting", 10, SHORT_GOPS, "128k")
