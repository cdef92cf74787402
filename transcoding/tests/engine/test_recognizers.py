"""The recognizers behind one interface, where they compute, and what they replace of Whisper. faster-whisper is tested
where it is installed, and a folder with a model for it is named in FASTER_WHISPER_MODEL.
"""

import importlib.util
import os

import numpy as np
import pytest
import torch
from whisper import timing

from transcoding.engine.speech import openai_backend
from transcoding.engine.speech.backends import CannotTranscribe, Device, choose_device, is_faster
from transcoding.engine.speech.faster_backend import PACKAGE, FasterWhisper
from transcoding.engine.speech.openai_backend import OpenAIWhisper
from transcoding.tests import speech

FOLDER = os.environ.get("FASTER_WHISPER_MODEL", "")


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


@pytest.mark.skipif(importlib.util.find_spec(PACKAGE) is not None, reason="faster-whisper is installed")
def test_without_the_package_a_sentence_says_what_to_install():
    with pytest.raises(CannotTranscribe, match="Install the package faster-whisper"):
        FasterWhisper("faster:/opt/weights/base")


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (7, 7), (3, 50), (60, 300)])
def test_words_are_aligned_as_whisper_does(shape):
    cost = torch.rand(shape, generator=torch.Generator().manual_seed(shape[1]))
    assert np.array_equal(openai_backend._aligned(cost), timing.dtw_cpu(cost.double().numpy()))


@pytest.fixture(
    scope="module",
    params=[
        "openai",
        pytest.param(
            "faster",
            marks=pytest.mark.skipif(
                importlib.util.find_spec(PACKAGE) is None or not FOLDER, reason="faster-whisper is not installed"
            ),
        ),
    ],
)
def backend(request, tmp_path_factory):
    if request.param == "faster":
        return FasterWhisper(FOLDER)
    return OpenAIWhisper(str(speech.weights(tmp_path_factory.mktemp("weights"))), tmp_path_factory.mktemp("none"), 1)


@pytest.mark.slow("teaches a small Whisper a sentence")
class TestInterface:
    def test_what_is_said_has_times_words_and_a_language(self, backend, tmp_path):
        film = speech.film(tmp_path / "film.mp4", speech.say(tmp_path / "voice.wav"), 8, delay=speech.DELAY)
        seconds = []
        language, segments = backend.transcribe(speech.samples(film), "en", "", "", seconds.append)
        assert language == "en"
        assert " ".join(segment.text for segment in segments) == speech.SENTENCE
        assert all(segment.start < segment.end for segment in segments)
        assert "".join(word.text for segment in segments for word in segment.words) == f" {speech.SENTENCE}"
        assert all(0 <= word.confidence <= 1 for segment in segments for word in segment.words)
        assert seconds[-1] > 0

    def test_it_knows_languages_and_takes_a_prompt(self, backend):
        assert {"en", "de", "zh"} <= set(backend.languages)
        silence = np.zeros(16_000, np.float32)
        assert isinstance(backend.transcribe(silence, None, "Nessebar", "before", lambda seconds: None)[1], list)

    def test_the_encoder_returns_the_same_for_the_same_sound(self, backend):
        if isinstance(backend, FasterWhisper):
            pytest.skip("it encodes once by itself")
        encoder, sound = backend.model.encoder, torch.rand(1, 80, 3000)
        with torch.no_grad():
            first = encoder(sound)
            assert encoder(sound.clone()) is first
            assert encoder(sound + 1) is not first
