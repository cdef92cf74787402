"""Speech from espeak-ng, and a Whisper so small that a test can teach it one sentence in some seconds."""

import math
import os
import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from whisper.audio import HOP_LENGTH, N_FRAMES, N_SAMPLES, log_mel_spectrogram, pad_or_trim
from whisper.model import ModelDimensions, Whisper
from whisper.tokenizer import get_tokenizer

from transcoding.engine.ffmpeg import processes
from transcoding.tests import clips

SENTENCE = "The ferry leaves the harbour at seven."
PARTS = ("The ferry leaves", "the harbour at seven.")
FIRST = 3  # tokens of the first part
RATE = 16_000
DELAY = 0.7  # seconds of silence before the sentence, as the model has been taught
LENGTHS = (8, 30)  # seconds of the films that it has been taught; a window's unused end looks like nothing else
STEPS = 75
DIMENSIONS = ModelDimensions(
    n_mels=80, n_audio_ctx=1500, n_audio_state=64, n_audio_head=2, n_audio_layer=0,
    n_vocab=51865, n_text_ctx=448, n_text_state=64, n_text_head=2, n_text_layer=2,
)  # fmt: skip


def say(target: Path) -> Path:
    """The sentence as a WAV file."""
    program = shutil.which("espeak-ng")
    assert program, "the tests of captions need a voice: apt-get install espeak-ng"
    subprocess.run([program, "-v", "en", "-s", "150", "-w", str(target), SENTENCE], check=True, capture_output=True)
    return target


def film(target: Path, voice: Path | None, seconds: float, *arguments: str, delay: float = 0.0) -> Path:
    """A picture of so many seconds with the sentence, which begins after `delay`; without a voice, with silence."""
    sound = ("-i", str(voice)) if voice else ("-f", "lavfi", "-i", "anullsrc=r=48000:cl=mono")
    return clips.make(
        target,
        *("-f", "lavfi", "-i", f"testsrc2=size=320x240:rate=25:duration={seconds}", *sound),
        *("-af", f"aresample=48000,adelay={round(1000 * delay)},apad", "-t", str(seconds)),
        *(*clips.H264, *clips.AAC, *arguments),
    )


def samples(file: Path) -> np.ndarray:
    """What Whisper would be given of a file: 16 kHz, one channel."""
    command = [processes.executable(), "-v", "error", "-i", str(file), "-ac", "1", "-ar", str(RATE), "-f", "s16le", "-"]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(data, np.int16).astype(np.float32) / 32768


def spoken_seconds(voice: Path) -> float:
    loud = np.flatnonzero(np.abs(samples(voice)) > 0.01)
    return float(loud[-1]) / RATE


def weights(folder: Path) -> Path:
    """A checkpoint that knows the sentence, made once for all processes that share the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    target, lock = folder / "tiny-test.pt", folder / "lock"
    while not target.exists():
        with suppress(FileExistsError):
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
            _teach(target, say(folder / "voice.wav"))
            break
        time.sleep(0.2)
    return target


def _teach(target: Path, voice: Path) -> None:
    """Teach a model of only the words that occur, then give it the whole vocabulary.

    The other words' vectors are zero, so that each weighs exp(0): while it learns, they stand together as one.
    """
    torch.manual_seed(7)
    torch.set_num_threads(1)  # so small a model only waits for its threads
    lessons = _lessons(samples(voice), spoken_seconds(voice))
    given, right = (
        torch.nn.utils.rnn.pad_sequence([torch.tensor(lesson[i]) for lesson in lessons], True, -100) for i in (1, 2)
    )
    known = torch.cat([given, right]).unique()[1:]  # without -100
    small = Whisper(replace(DIMENSIONS, n_vocab=len(known)))
    torch.nn.init.normal_(small.decoder.token_embedding.weight, std=0.3)
    torch.nn.init.normal_(small.decoder.positional_embedding, std=0.01)
    with torch.no_grad():  # the sounds must weigh more than their times
        small.encoder.conv1.weight *= 3
        small.encoder.conv2.weight *= 3
    others = math.log(DIMENSIONS.n_vocab - len(known))
    places = torch.where(right < 0, -100, torch.searchsorted(known, right))
    _learn(small, torch.stack([lesson[0] for lesson in lessons]), torch.searchsorted(known, given), places, others)
    state = small.state_dict()
    words = torch.zeros(DIMENSIONS.n_vocab, DIMENSIONS.n_text_state)
    words[known] = state["decoder.token_embedding.weight"]
    draft = target.with_suffix(".part")
    torch.save(
        {"dims": asdict(DIMENSIONS), "model_state_dict": {**state, "decoder.token_embedding.weight": words}}, draft
    )
    draft.rename(target)


def _learn(model: Whisper, mels: torch.Tensor, given: torch.Tensor, right: torch.Tensor, others: float) -> None:
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(STEPS):
        picked = torch.randint(len(mels), (5,))
        said = model(mels[picked] + 0.05 * torch.randn(1), given[picked])
        said = torch.nn.functional.pad(said, (0, 1), value=others)
        loss = torch.nn.functional.cross_entropy(said.flatten(0, 1), right[picked].flatten(), ignore_index=-100)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _lessons(sound: np.ndarray, length: float) -> list[tuple[torch.Tensor, list[int], list[int]]]:
    said = [_lesson(sound, length, DELAY, seconds, heard) for seconds in LENGTHS for heard in (0, 1)]
    return [*said, _lesson(np.zeros(1, np.float32), 0, 0, LENGTHS[0], 0)]


def _lesson(
    sound: np.ndarray, length: float, offset: float, seconds: int, heard: int
) -> tuple[torch.Tensor, list[int], list[int]]:
    """A window, the tokens that are given, and those that should follow each; `heard` sentences came before it."""
    tokenizer = get_tokenizer(True, language="en", task="transcribe")
    film = np.zeros(seconds * RATE, np.float32)
    film[int(offset * RATE) :][: len(sound)] = sound
    mel = log_mel_spectrogram(film, padding=N_SAMPLES)  # the rest as `whisper.transcribe` does it
    window = pad_or_trim(mel[:, : seconds * RATE // HOP_LENGTH], N_FRAMES)
    clock = tokenizer.timestamp_begin
    words = tokenizer.encode(f" {SENTENCE}")
    before = [tokenizer.sot_prev, *(words * heard)] if heard else []
    start, middle, end = (clock + round((offset + part * length) / 0.02) for part in (0, 0.4, 1))
    # Two captions, as Whisper writes them; of one alone it would not tell when it begins.
    said = [start, *words[:FIRST], middle, middle, *words[FIRST:], end] if length else [clock]
    given = [*before, *tokenizer.sot_sequence, *said]
    wanted = [*given[1:], tokenizer.eot]
    wanted[: len(before)] = [-100] * len(before)
    if not length:
        wanted[0] = tokenizer.no_speech
    return window, given, wanted
