"""Sources are read in a process of their own: `python -m transcoding.engine.source.sandbox`.

What a malformed file does to libav, it does there: a crash, a loop or a flood of memory becomes a sentence for the
editor, and the worker goes on. The process gets as JSON what to read and the ladder,

    {"source": path, or address on the loopback, "ladder": [[side, bitrate, audio bitrate], …]}

and answers with one line of JSON, either

    {"media": …}    {"refused": sentence}
"""

import json
import sys
import time
from dataclasses import astuple
from pathlib import Path

from transcoding.engine.ffmpeg import processes
from transcoding.engine.ffmpeg.confinement import Rights
from transcoding.engine.ffmpeg.inputs import ports
from transcoding.engine.plan.ladder import LADDER, Ladder, LadderRung
from transcoding.engine.plan.media import MediaInfo
from transcoding.engine.source.probe import MediaError, read_media

MEMORY = 4 << 30  # bytes; the packets of a day take one, a picture of 8K half of one
PATIENCE = 300  # seconds
SLOWEST = 4_000_000  # bytes a second that a storage must bring, beyond those
TICK = 1  # seconds between looks at the clock
ENDING = 30  # seconds that the process may take to end after its answer


def read_apart(path: Path, source: str = "", patience: float = PATIENCE, ladder: Ladder = LADDER) -> MediaInfo:
    """read_media, within bounds of memory and time; raises MediaError. source: as what libav opens it, if not so."""
    size = path.stat().st_size if path.exists() else 0
    end = time.monotonic() + patience + size / SLOWEST
    try:
        answer = _answer(source or str(path), ladder, end)
    except processes.FfmpegError as error:
        raise MediaError(
            "This file cannot be read without harm: it is damaged, or asks for more memory or time than any video "
            f"should. Export it again (MP4 with H.264 is safe) and upload that. ({_last_line(error)})"
        ) from error
    if "refused" in answer:
        raise MediaError(answer["refused"])
    return MediaInfo.from_json(answer["media"])


def _answer(source: str, ladder: Ladder, end: float) -> dict[str, dict[str, object]]:
    lines = []
    limits, rights = processes.Limits(memory=MEMORY), Rights(ports=ports([source]))
    message = json.dumps({"source": source, "ladder": [astuple(rung) for rung in ladder]})
    with processes.Python("transcoding.engine.source.sandbox", message, limits, rights) as program:
        for line in program.lines(TICK):
            if line is not None:
                lines.append(line)
            elif time.monotonic() > end:
                raise processes.FfmpegError("reading it took too long")
        program.finish(ENDING)
    answer: dict[str, dict[str, object]] = json.loads(lines[-1])
    return answer


def _last_line(error: processes.FfmpegError) -> str:
    return str(error).splitlines()[-1][:200]


def main() -> int:
    try:
        message = json.loads(sys.stdin.read())
        ladder = tuple(LadderRung(*rung) for rung in message["ladder"])
        answer = {"media": read_media(message["source"], ladder).to_json()}
    except MediaError as error:
        answer = {"refused": str(error)}  # type: ignore[dict-item]
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
