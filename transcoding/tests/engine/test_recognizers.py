"""The recognizers behind one interface, where they compute, and what they replace of Whisper."""

import os
import sys

import numpy as np
import pytest
import torch
from whisper import timing
from whisper.tokenizer import get_tokenizer

from transcoding.engine.speech import openai_backend
from transcoding.engine.speech.backends import CannotTranscribe, Device, choose_device, is_faster
from transcoding.engine.speech.faster_backend import PACKAGE, FasterWhisper
from transcoding.engine.speech.openai_backend import OpenAIWhisper
from transcoding.tests import faster, speech


@pytest.mark.parametrize(
    ("card", "capability", "device"),
    [
        ("", (0, 0), Device("cpu", halves=False)),
        ("NVIDIA GeForce RTX 4090", (8, 9), Device("cuda", halves=True)),
        ("Tesla T4", (7, 5), Device("cuda", halves=True)),
        ("NVIDIA GeForce GTX 1660", (7, 5), Device("cuda", halves=False)),
        ("Tesla K80", (3, 7), Device("cuda", halves=False)),
    ],
)
def test_the_device_follows_from_the_card(card, capability, device):
    assert choose_device(card, capability) == device


def test_a_model_for_faster_whisper_is_recognised_by_its_name_or_its_folder(tmp_path):
    assert is_faster("faster:/opt/weights/base")
    assert not is_faster(str(tmp_path))
    (tmp_path / "model.bin").touch()
    assert is_faster(str(tmp_path))
    assert not is_faster("base")


def test_without_the_package_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    with pytest.raises(CannotTranscribe, match="Install the package faster-whisper"):
        FasterWhisper("faster:/opt/weights/base")


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (7, 7), (3, 50), (60, 300)])
def test_words_are_aligned_as_whisper_does(shape):
    cost = torch.rand(shape, generator=torch.Generator().manual_seed(shape[1]))
    assert np.array_equal(openai_backend._aligned(cost), timing.dtw_cpu(cost.double().numpy()))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return speech.weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def folder(checkpoint):
    return faster.convert(checkpoint, checkpoint.parent / "faster")


@pytest.fixture(scope="module")
def whispers(checkpoint, folder):
    return {"openai": OpenAIWhisper(str(checkpoint), checkpoint.parent, 1), "faster": FasterWhisper(str(folder), 1)}


@pytest.fixture(params=["openai", "faster"])
def backend(request, whispers):
    return whispers[request.param]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    return speech.samples(speech.film(folder / "film.mp4", speech.say(folder / "voice.wav"), 8, delay=speech.DELAY))


@pytest.mark.slow("teaches a small Whisper a sentence")
class TestInterface:
    def test_what_is_said_has_times_words_and_a_language(self, backend, sound):
        seconds = []
        language, segments = backend.transcribe(sound, "en", "", "", seconds.append)
        assert language == "en"
        assert " ".join(segment.text for segment in segments) == speech.SENTENCE
        assert all(segment.start < segment.end for segment in segments)
        assert "".join(word.text for segment in segments for word in segment.words) == f" {speech.SENTENCE}"
        assert all(0 <= word.confidence <= 1 for segment in segments for word in segment.words)
        assert seconds[-1] > 0

    def test_both_say_the_same_at_the_same_times(self, whispers, sound):
        found = [each.transcribe(sound, None, "", "", lambda seconds: None)[1] for each in whispers.values()]
        texts, starts, ends = (
            [[getattr(segment, name) for segment in segments] for segments in found]
            for name in ("text", "start", "end")
        )
        words = [[word for segment in segments for word in segment.words] for segments in found]
        assert texts[0] == texts[1]
        assert (starts[0], ends[0]) == (pytest.approx(starts[1], abs=0.02), pytest.approx(ends[1], abs=0.02))
        assert [word.text for word in words[0]] == [word.text for word in words[1]]
        assert [word.start for word in words[0]] == pytest.approx([word.start for word in words[1]], abs=200)

    def test_it_knows_languages_and_takes_a_prompt(self, backend):
        assert {"en", "de", "zh"} <= set(backend.languages)
        silence = np.zeros(16_000, np.float32)
        assert isinstance(backend.transcribe(silence, None, "Nessebar", "before", lambda seconds: None)[1], list)

    def test_a_long_glossary_leaves_room_for_words(self, backend, sound):
        """Of more than Whisper takes, the last names count."""
        names = " ".join(f"Özgür {number}" for number in range(200))
        assert len(backend.transcribe(sound, "en", names, names, lambda seconds: None)[1]) > 0


@pytest.mark.slow("teaches a small Whisper a sentence")
class TestOpenAI:
    def test_the_encoder_returns_the_same_for_the_same_sound(self, whispers):
        encoder, sound = whispers["openai"].model.encoder, torch.rand(1, 80, 3000)
        with torch.no_grad():
            first = encoder(sound)
            assert encoder(sound.clone()) is first
            assert encoder(sound + 1) is not first


@pytest.mark.slow("teaches a small Whisper a sentence")
class TestFaster:
    def test_a_window_begins_with_the_names_and_what_was_said_before(self, whispers):
        backend, tokenizer = whispers["faster"], get_tokenizer(True, language="en", task="transcribe")
        most = backend.model.max_length // 2 - 1
        begin = [tokenizer.sot_prev, *tokenizer.encode(" Nessebar")]
        before = list(range(1000))
        room = most - len(begin) + 1
        assert backend._prompt_of("Nessebar", tokenizer, before) == [*begin, *before[-room:], *tokenizer.sot_sequence]
        assert backend._prompt_of("", tokenizer, []) == list(tokenizer.sot_sequence)
        names = "a " * 500 + "Nessebar"
        assert backend._prompt_of(names, tokenizer, before)[most + 1 :] == list(tokenizer.sot_sequence)
        assert backend._prompt_of(names, tokenizer, before)[: most + 1][-len(begin) + 1 :] == begin[1:]

    @pytest.mark.parametrize(
        ("file", "content", "sentence"),
        [
            ("model.bin", b"", "cannot be used as a model for faster-whisper"),
            ("model.bin", bytes(10_000), "cannot be used as a model for faster-whisper"),
            ("model.bin.sha256", b"0123", "says another. Copy the file again. Then transcribe again."),
            ("tokenizer.json", b"{", "It must be a folder with model.bin"),
            ("tokenizer.json", None, "No such file"),
            ("vocabulary.json", None, "Cannot load the vocabulary"),
        ],
    )
    def test_a_damaged_model_is_a_sentence(self, folder, tmp_path, file, content, sentence):
        """Without tokenizer.json, the package would ask a server for it."""
        for path in folder.iterdir():
            os.link(path, tmp_path / path.name)
        (tmp_path / file).unlink(missing_ok=True)
        if content is not None:
            (tmp_path / file).write_bytes(content)
        with pytest.raises(CannotTranscribe, match=sentence):
            FasterWhisper(f"faster:{tmp_path}", 1)
