"""`manage.py whisper_model`, and the weights that it fetches from a server of the tests' own."""

import hashlib
import io
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import whisper
from django.core.management import CommandError, call_command

from transcoding.engine.speech import weights
from transcoding.engine.speech.weights import MODELS, Model, UnreachableWeights, UnusableWeights, fetch

CONTENT = bytes(range(256)) * 20_000
RIGHT = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    content, breaks_after, ranges, requests = CONTENT, None, True, 0


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        site = self.server
        site.requests += 1
        wanted = self.headers.get("Range") if site.ranges else None
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if start >= len(site.content):
            self.send_error(416)
            return
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(site.content) - start))
        self.end_headers()
        end = None if site.breaks_after is None else start + site.breaks_after
        self.wfile.write(site.content[start:end])

    def log_message(self, *arguments): ...


@contextmanager
def serving():
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as server:
        yield server


@pytest.fixture
def model(site, monkeypatch, settings, tmp_path):
    settings.WHISPER_DIR, settings.WHISPER_MODEL = tmp_path / "whisper", "mine"
    mine = Model("mine", RIGHT, 5, 1, home=f"http://127.0.0.1:{site.server_port}")
    monkeypatch.setitem(MODELS, "mine", mine)
    return mine


def run(*arguments):
    out = io.StringIO()
    call_command("whisper_model", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue()


def test_the_table_is_that_of_the_package():
    assert {model.name: model.address for model in MODELS.values()} == whisper._MODELS


def test_models_are_listed_with_size_and_hash(model):
    run("fetch")
    rows = {row["name"]: row for row in json.loads(run("list", "--json"))}
    assert (rows["mine"]["present"], rows["mine"]["used"]) == (True, True)
    assert (rows["base"]["megabytes"], rows["base"]["present"]) == (145, False)
    assert f"base              145 MB           {MODELS['base'].sha256}" in run("list")


def test_a_model_is_fetched_once_and_checked(model, site, settings):
    assert run("fetch", "mine") == f"{settings.WHISPER_DIR}/mine.pt is complete.\n"
    assert run("fetch") == f"{settings.WHISPER_DIR}/mine.pt is complete.\n"
    assert site.requests == 1
    assert "is the file of the model mine" in run("check")
    assert run("path") == f"{settings.WHISPER_DIR}/mine.pt\n"


def test_a_fetch_goes_on_where_the_last_one_ended(model, site, tmp_path):
    site.breaks_after = 2_000_000
    for _ in range(2):
        with pytest.raises(UnreachableWeights):
            fetch(model, tmp_path)
    assert (tmp_path / "mine.pt.part").stat().st_size == 4_000_000
    shown = []
    site.breaks_after = None
    assert fetch(model, tmp_path, lambda *numbers: shown.append(numbers)).read_bytes() == CONTENT
    assert shown[-1] == (len(CONTENT), len(CONTENT))
    assert shown[0][0] > 4_000_000
    assert not (tmp_path / "mine.pt.part").exists()


def test_a_server_without_ranges_begins_again(model, site, tmp_path):
    (tmp_path / "mine.pt.part").write_bytes(b"x" * 1000)
    site.ranges = False
    assert fetch(model, tmp_path).read_bytes() == CONTENT


def test_a_file_that_was_complete_but_not_renamed_is_taken(model, site, tmp_path):
    (tmp_path / "mine.pt.part").write_bytes(CONTENT)
    assert fetch(model, tmp_path).read_bytes() == CONTENT


def test_other_bytes_are_refused_and_deleted(model, site, settings):
    site.content = CONTENT[:-1] + b"x"
    with pytest.raises(CommandError, match=r"the SHA-256 is wrong\. It was deleted"):
        run("fetch")
    assert list(settings.WHISPER_DIR.iterdir()) == []


def test_a_damaged_file_is_named_and_never_loaded(model, settings):
    settings.WHISPER_DIR.mkdir()
    (settings.WHISPER_DIR / "mine.pt").write_bytes(b"damaged")
    for action in ("check", "fetch"):
        with pytest.raises(CommandError, match="is not the file of the model “mine”: its SHA-256 is") as caught:
            run(action)
        assert caught.value.returncode == 1


def test_without_a_server_it_says_where_the_file_belongs(model, site, settings):
    site.server_close()
    with pytest.raises(CommandError, match=f"put it at {settings.WHISPER_DIR}/mine.pt"):
        run("fetch")


def test_a_disk_without_space_is_a_sentence(model, monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "RESERVE", 1 << 60)
    with pytest.raises(UnreachableWeights, match="MB of free space, and the weights of “mine” need"):
        fetch(model, tmp_path)


@pytest.mark.parametrize("arguments", [("fetch", "huge"), ("check", "/nowhere.pt"), ("path", "nothing")])
def test_unknown_names_are_wrong_use(arguments):
    with pytest.raises(CommandError, match="is no model of OpenAI's") as caught:
        run(*arguments)
    assert caught.value.returncode == 2


def test_a_missing_file_is_named(model):
    with pytest.raises(CommandError, match=r"mine.pt does not exist. Fetch it"):
        run("check")


def test_a_checkpoint_of_ones_own_may_have_its_hash_beside_it(tmp_path):
    own = tmp_path / "own.pt"
    own.write_bytes(CONTENT)
    weights.check_own(own)
    (tmp_path / "own.pt.sha256").write_text(f"{RIGHT}  own.pt\n")
    assert RIGHT in run("check", str(own))
    own.write_bytes(b"other")
    with pytest.raises(UnusableWeights, match="says another"):
        weights.check_own(own)


def test_the_weights_for_faster_whisper_may_have_their_hash_beside_them(tmp_path):
    (tmp_path / "model.bin").write_bytes(CONTENT)
    (tmp_path / "model.bin.sha256").write_text(f"{RIGHT}  model.bin\n")
    assert RIGHT in run("check", f"faster:{tmp_path}")
    assert run("path", str(tmp_path)) == f"{tmp_path}/model.bin\n"
    (tmp_path / "model.bin").write_bytes(b"other")
    with pytest.raises(CommandError, match="says another"):
        run("check", f"faster:{tmp_path}")
