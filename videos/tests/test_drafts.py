"""Captions that are made of others: translated by a server and by a command of the tests' own, and aligned texts."""

import io
import json
import stat
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network

import pytest
from django.core.management import CommandError, call_command

from transcoding.tests.conftest import broker
from videos.models import CaptionTrack, CaptionVersion, Cue
from videos.tests.factories import VideoFactory, add_captions
from vlog import translators
from vlog.speech import Translation

__all__ = ["broker"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders", "broker")]

LONG = "The ferry leaves the harbour at seven in the morning, and returns at noon."
COMMAND = """#!/usr/bin/env python3
import json, os, sys
message = json.load(sys.stdin)
secret = [name for name in os.environ if name.startswith("VLOG") or "SECRET" in name]
print(json.dumps({"texts": [f"{message['target']} {len(secret)} {text}" for text in message["texts"]]}))
"""


class Server(ThreadingHTTPServer):
    status, answer = 200, None

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.messages = []

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.messages.append((self.path, message))
        answer = self.server.answer or {"translatedText": [f"[{text}]" for text in message["q"]]}
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments): ...


@contextmanager
def serving():
    server = Server()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def server(settings):
    with serving() as found:
        settings.WEBHOOK_PRIVATE_ADDRESSES = [ip_network("127.0.0.1")]
        settings.TRANSLATION = Translation(url=found.address, key="a-key")
        yield found


@pytest.fixture
def command(settings, tmp_path, monkeypatch):
    """Write a program, and make it the one that translates."""
    monkeypatch.setenv("VLOG_SECRET_KEY", "secret")

    def write(text):
        program = tmp_path / "translate"
        program.write_text(text)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        settings.TRANSLATION = Translation(command=(str(program),))

    return write


@pytest.fixture
def video():
    return VideoFactory(public=True, title="Lake", slug="lake", duration=20.0)


@pytest.fixture
def track(video):
    return add_captions(video, (0, 2, "Hello"), (2, 4.5, "two\nlines"))


def run(*arguments):
    out = io.StringIO()
    call_command("captions", *arguments, stdout=out)
    return out.getvalue()


def translated(*arguments):
    return run("translate", "lake", "--from", "en", "--to", "de", *arguments)


def texts(track):
    return list(track.cues.order_by("start").values_list("start", "end", "text"))


class TestTranslation:
    def test_a_server_makes_a_draft_with_the_same_times(self, server, track):
        said = translated()
        assert said == "Captions 1 were translated: captions 2 (de), a draft.\n"
        made = CaptionTrack.objects.get(language="de")
        assert (made.state, made.origin, made.kind) == ("draft", "translated", "subtitles")
        assert texts(made) == [(0, 2, "[Hello]"), (2, 4.5, "[two lines]")]
        assert server.messages == [
            (
                "/translate",
                {"q": ["Hello", "two lines"], "source": "en", "target": "de", "format": "text", "api_key": "a-key"},
            )
        ]

    def test_the_second_one_is_a_draft_of_the_track(self, server, track):
        translated()
        assert translated() == "Captions 1 were translated: draft 1 of captions 2 (de), a draft.\n"
        version = CaptionVersion.objects.get()
        assert (version.state, version.origin, version.length) == ("draft", "translated", 2)

    def test_many_texts_are_sent_in_portions(self, server, video):
        add_captions(video, *((n / 10, n / 10 + 0.1, f"text {n}") for n in range(120)))
        translated()
        assert [len(message["q"]) for _, message in server.messages] == [50, 50, 20]
        assert CaptionTrack.objects.get(language="de").cues.count() == 120

    def test_long_lines_are_divided(self, server, video):
        add_captions(video, (0, 5, LONG))
        translated()
        assert all(len(line) <= 42 for line in Cue.objects.get(track__language="de").text.splitlines())

    def test_what_is_translated_is_not_trusted(self, server, track):
        server.answer = {"translatedText": ["<script>alert(1)</script>Hallo\u202e\0", "zwei"]}
        translated()
        assert [text for *_, text in texts(CaptionTrack.objects.get(language="de"))] == ["Hallo", "zwei"]

    @pytest.mark.parametrize(
        ("status", "answer", "sentence"),
        [
            (403, {"error": "Invalid API key"}, r"answered with 403: Invalid API key\."),
            (500, b"<html>", r"answered with 500\."),
            (200, b"nothing", "did not answer with 2 texts"),
            (200, {"translatedText": ["one"]}, "did not answer with 2 texts"),
            (200, {"translatedText": ["one", 2]}, "did not answer with 2 texts"),
            (200, b"[" * 100_000, "did not answer with 2 texts"),
        ],
    )
    def test_refusals_are_sentences_and_nothing_is_changed(self, server, track, status, answer, sentence):
        server.status, server.answer = status, answer
        with pytest.raises(CommandError, match=sentence) as caught:
            translated()
        assert caught.value.returncode == 1
        assert CaptionTrack.objects.count() == 1

    def test_private_addresses_are_refused(self, server, track, settings):
        settings.WEBHOOK_PRIVATE_ADDRESSES = []
        with pytest.raises(CommandError, match="is not a public address"):
            translated()
        assert server.messages == []

    def test_a_server_that_does_not_answer_is_left(self, track, settings, server, monkeypatch):
        monkeypatch.setattr(translators, "REQUEST_SECONDS", 0.3)
        server.answer = None
        server.shutdown()
        with pytest.raises(CommandError, match="There was no answer within"):
            translated()

    def test_a_command_translates_and_gets_no_secrets(self, command, track):
        command(COMMAND)
        translated()
        assert texts(CaptionTrack.objects.get(language="de")) == [(0, 2, "de 0 Hello"), (2, 4.5, "de 0 two lines")]

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("#!/bin/sh\necho no such language >&2\nexit 3\n", "ended with 3: no such language"),
            ("#!/bin/sh\nexit 3\n", "ended with 3: it says nothing"),
            ("#!/bin/sh\necho nonsense\n", "did not answer with 2 texts"),
            ("no program", "cannot be started"),
        ],
    )
    def test_a_command_that_fails_is_a_sentence(self, command, track, text, sentence):
        command(text)
        with pytest.raises(CommandError, match=sentence):
            translated()

    def test_a_command_that_hangs_is_ended_with_its_children(self, command, track, monkeypatch):
        monkeypatch.setattr(translators, "COMMAND_SECONDS", 0.5)
        command("#!/bin/sh\nsleep 60 &\nsleep 60\n")
        with pytest.raises(CommandError, match=r"took longer than 0 s, and was ended"):
            translated()

    def test_it_is_off_by_default(self, track, settings):
        assert not settings.TRANSLATION.is_enabled
        with pytest.raises(CommandError, match="This site translates nothing"):
            translated()

    def test_into_the_same_language_is_wrong_use(self, server, track):
        with pytest.raises(CommandError, match="in this language already") as caught:
            run("translate", "lake", "--from", "en", "--to", "en-GB")
        assert caught.value.returncode == 2


class TestAlignment:
    @pytest.fixture
    def heard(self, track):
        words = ["The", "fairy", "leaves", "the", "harbour", "at", "seven"]
        rows = [[1000 * n, 1000 * n + 600, word, 0.8] for n, word in enumerate(words)]
        Cue.objects.filter(track=track, start=0).update(words=rows[:4])
        Cue.objects.filter(track=track, start=2).update(words=rows[4:])
        return track

    def align(self, tmp_path, text, *arguments):
        (tmp_path / "text.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
        return run("import", "lake", str(tmp_path / "text.txt"), "--language", "en", "--align", *arguments)

    def test_a_plain_text_gets_the_times_of_the_words(self, heard, tmp_path):
        said = self.align(tmp_path, "The ferry leaves\nthe harbour at seven.\n")
        assert "draft 1 of captions 1" in said
        first, second = CaptionVersion.objects.get().as_cues()
        assert (first.text, second.text) == ("The ferry leaves", "the harbour at seven.")
        assert (first.start, second.start, second.end) == (0, 3, 6.6)
        assert first.words == [[0, 600, "The", 1.0], [600, 2000, "ferry", 1.0], [2000, 2600, "leaves", 1.0]]

    def test_a_file_of_windows_is_read(self, heard, tmp_path):
        self.align(tmp_path, "The ferry leaves the harbour at seven.".encode("utf-16"))
        assert CaptionVersion.objects.get().length == 1

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("Something else altogether was said.", "too few words in common"),
            ("", "The file has no text"),
            (b"\xe9\xe8\xe7 Caf\xe9", "is no text in UTF-8"),
            (b"x" * ((2 << 20) + 1), "larger than 2 MB"),
            (b"PK\x03\x04\x14\xff", "is no text in UTF-8"),
        ],
    )
    def test_what_cannot_be_aligned_is_a_sentence(self, heard, tmp_path, text, sentence):
        with pytest.raises(CommandError, match=sentence) as caught:
            self.align(tmp_path, text)
        assert caught.value.returncode == 2
        assert not CaptionVersion.objects.exists()

    def test_without_recognized_words_it_says_what_to_do(self, track, tmp_path):
        with pytest.raises(CommandError, match=r"manage\.py captions transcribe lake"):
            self.align(tmp_path, "The ferry leaves.")
