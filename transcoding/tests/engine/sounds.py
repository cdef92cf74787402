"""Sources of tones, and a way to find which tone a published rendition has when."""

import io
from pathlib import Path

import av
import numpy as np

from transcoding.engine.ffmpeg import processes
from transcoding.tests import clips

SMALL = ("-c:v", "mpeg2video", "-b:v", "300k")  # quickly made, in every container, and never copied


def picture(seconds):
    return ("-f", "lavfi", "-i", f"testsrc2=size=64x64:rate=25:duration={seconds}")


def tone(frequency, seconds, late=0):
    """A tone that begins so many seconds after the picture."""
    return ("-itsoffset", str(late), "-f", "lavfi", "-i", f"sine={frequency}:sample_rate=48000:duration={seconds}")


def joined(target: Path, *parts: Path) -> Path:
    """Write files one after another into one, as `cat` does."""
    target.write_bytes(b"".join(part.read_bytes() for part in parts))
    return target


def samples(stream: bytes) -> np.ndarray:
    """Decode a rendition: an array of two channels, at 48 kHz."""
    with av.open(io.BytesIO(stream)) as container:
        return np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)


def frequency(channel: np.ndarray, second: float, rate: int = 48_000) -> int:
    """Return the strongest frequency in the fifth of a second around a time, to 5 Hz; 0 where it is silent."""
    start = int((second - 0.1) * rate)
    window = channel[start : start + rate // 5]
    if len(window) < rate // 5 or np.sqrt(np.mean(window**2)) < 0.003:
        return 0
    return int(np.argmax(np.abs(np.fft.rfft(window * np.hanning(len(window)))))) * 5


def heard(package, times, key="audio", channel=0):
    """Return the frequencies that a rendition has at these times, in seconds."""
    found = samples(package.stream(key))[channel]
    rate = package.plan.rendition(key).sample_rate
    return [frequency(found, second, rate) for second in times]


def mp4(source: Path, target: Path, *arguments: str) -> Path:
    """Pack a source again without encoding it."""
    return clips.make(target, "-i", str(source), "-map", "0", "-c", "copy", *arguments)


def ffmpeg(*arguments: str) -> bytes:
    return processes.run(arguments, timeout=60)
