"""The agent as operators start it: one file, run by Python without packages."""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from transcoding.engine.ffmpeg import processes
from transcoding.engine.plan.plan import KNOWN_FORMATS
from workers.agent import agent
from workers.agent.connection import Site
from workers.tests.agent.site import KEY, PATIENCE

HERE = Path(__file__).parents[3]
BARE = (sys._base_executable, "-I", "-S")  # no packages, and nothing of this folder
MAIN = "import sys\nfrom workers.agent.agent import main\nsys.exit(main())\n"
LINE = re.compile(r"\d\d:\d\d:\d\d ")


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    """Return a file with all modules of the agent."""
    listing = (
        f"import sys; sys.path.insert(0, {str(HERE)!r}); import workers.agent.agent\n"
        "print(*(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] in ('workers', 'transcoding')))"
    )
    files = subprocess.run([*BARE, "-c", listing], capture_output=True, text=True, check=True).stdout.split()
    path = tmp_path_factory.mktemp("agent") / "vlog-agent.pyz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__main__.py", MAIN)
        for file in files:
            archive.write(file, Path(file).relative_to(HERE))
    return path


@pytest.fixture
def start(program, tmp_path):
    """start(site, "--once") → the process; its log is tmp_path / "said"."""
    started = []

    def run(site, *arguments, **environment):
        env = {"PATH": os.environ["PATH"], "VLOG_FFMPEG": processes.executable(), "VLOG_WORKER_KEY": KEY, **environment}
        command = [*BARE, str(program), site.address, "--encoder", "libx264", *arguments]
        with (tmp_path / "said").open("ab") as said:
            started.append(subprocess.Popen(command, env=env, stderr=said, stdout=said, cwd=tmp_path))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()
    print((tmp_path / "said").read_text())  # noqa: T201 - shown where the test fails


def ended(process):
    return process.wait(PATIENCE)


def done(site):
    return all(chunk.state == "completed" for chunk in site.chunks.values())


def encoders_of(process):
    """Return the running ffmpeg processes that a process has started."""
    children = Path(f"/proc/{process.pid}/task").glob("*/children")
    pids = [int(pid) for file in children for pid in file.read_text().split()]
    return [pid for pid in pids if is_alive(pid)]


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def hold(site, call):
    """Make the next such request wait; return an event that is set when it arrives, and one that lets it continue."""
    came, over = threading.Event(), threading.Event()

    def misdeed(handler):
        came.set()
        over.wait(PATIENCE)

    site.misbehave(call, misdeed)
    return came, over


def test_a_film_is_made_byte_for_byte_as_it_is_here(site, film, start, tmp_path):
    process = start(site, "--concurrency", "2")
    site.wait_for(lambda: done(site), "the film")
    said = tmp_path / "said"
    site.wait_for(lambda: "no work is pending" in said.read_text(), "the agent to have nothing to do")
    count = len(site.calls("POST claim"))
    site.wait_for(lambda: len(site.calls("POST claim")) > count + 4, "more questions")
    process.send_signal(signal.SIGTERM)
    assert ended(process) == 0
    assert site.delivered == film.made
    lines = said.read_text().splitlines()
    assert all(LINE.match(line) for line in lines), lines
    assert f"{site.address} knows this worker as attic" in lines[0]
    assert sum("«Harbour at dawn» segments 0-0: started" in line for line in lines) == 1
    assert lines[-1].endswith("no work is pending")
    assert sum("no work is pending" in line for line in lines) == 1
    assert KEY not in said.read_text()


def test_it_reports_its_capabilities(site, film, start):
    assert ended(start(site, "--once", "--kinds", "audio")) == 0
    message = site.heartbeat["capabilities"]
    assert message["encoders"] == ["libx264"]
    assert (message["ffmpeg"], message["agent"]) == (processes.version(), "1")
    assert message["plan_formats"] == list(KNOWN_FORMATS)
    assert message["cores"] >= 1
    assert message["memory"] > 1 << 20
    assert "whisper" not in message
    assert set(site.heartbeat["metadata"]) == {"host", "system", "python"}
    assert [chunk.state for chunk in site.chunks.values()] == ["pending", "pending", "completed"]
    assert {name: data for name, data in film.made.items() if name[0] == "audio"} == site.delivered


def test_once_ends_where_there_is_nothing_to_do(site, start):
    site.chunks.clear()
    assert ended(start(site, "--once")) == 0
    assert len(site.calls("POST claim")) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_on_a_signal_it_releases_its_chunk(site, start, number):
    came, over = hold(site, "PUT")
    process = start(site)
    assert came.wait(PATIENCE)
    process.send_signal(number)
    assert ended(process) == 0
    over.set()
    assert site.chunks[41].state == "pending"


def test_a_second_ctrl_c_ends_it_at_once_and_its_encoder(site, start):
    came, over = hold(site, "PUT")
    held, release = hold(site, "POST chunks/41/give_back")
    process = start(site)
    assert came.wait(PATIENCE)
    process.send_signal(signal.SIGINT)
    assert held.wait(PATIENCE)
    process.send_signal(signal.SIGINT)
    assert ended(process) == 128 + signal.SIGINT
    over.set()
    release.set()


def test_killed_it_leaves_no_encoder(site, start):
    came, over = hold(site, "GET")
    process = start(site)
    assert came.wait(PATIENCE)
    encoders = encoders_of(process)
    assert encoders
    process.kill()
    ended(process)
    site.wait_for(lambda: not any(map(is_alive, encoders)), "the encoder's end")
    over.set()


def test_one_that_slept_while_its_lease_ran_out_stops_that_chunk_and_goes_on(site, start, tmp_path):
    came, over = hold(site, "PUT")
    process = start(site)
    assert came.wait(PATIENCE)
    process.send_signal(signal.SIGSTOP)
    site.chunks[41].attempt += 1  # another worker has it now
    process.send_signal(signal.SIGCONT)
    over.set()
    site.wait_for(lambda: site.chunks[42].state == site.chunks[43].state == "completed", "the other chunks")
    assert ("360p", "0") not in site.delivered
    assert "stopped, the lease is lost" in (tmp_path / "said").read_text()


def test_a_refused_key_is_a_sentence_and_the_end(site, start, tmp_path):
    site.key = "another"
    assert ended(start(site)) == 1
    (line,) = (tmp_path / "said").read_text().splitlines()
    assert "does not know this key" in line


@pytest.mark.parametrize(("environment", "words"), [
    ({"VLOG_WORKER_KEY": ""}, "There is no key"),
    ({"VLOG_WORKER_KEY": "too short"}, "The key is invalid"),
    ({"VLOG_WORKER_KEY_FILE": "/nowhere"}, "/nowhere cannot be read: No such file or directory"),
])  # fmt: skip
def test_a_key_that_is_none_is_wrong_use(site, start, tmp_path, environment, words):
    assert ended(start(site, **environment)) == 2
    (line,) = (tmp_path / "said").read_text().splitlines()
    assert words in line


@pytest.mark.parametrize("arguments", [
    ["--concurrency", "0"], ["--threads", "many"], ["--kinds", "video,pictures"], ["--encoder", "best"], ["--what"],
    ["--kinds", "none"], ["--whisper", "tiny"],
])  # fmt: skip
def test_wrong_use_ends_with_a_sentence(site, start, tmp_path, arguments):
    assert ended(start(site, *arguments)) == 2
    assert "Traceback" not in (tmp_path / "said").read_text()
    assert site.said == []


@pytest.mark.slow("imports PyTorch")
def test_a_model_that_is_none_is_found_before_any_video_fails_by_it(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "")
    with pytest.raises(agent.UsageError, match="neither a file nor a model's name"):
        agent._options(["https://video.example.org", "--whisper", "nonsense"])


def test_without_ffmpeg_it_says_so(site, start, tmp_path):
    assert ended(start(site, VLOG_FFMPEG="/nowhere/ffmpeg")) == 1
    (line,) = (tmp_path / "said").read_text().splitlines()
    assert "/nowhere/ffmpeg is not an ffmpeg that runs: install ffmpeg, or set VLOG_FFMPEG" in line


def test_the_key_may_come_from_a_file_and_others_must_not_read_it(site, start, tmp_path):
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    file.chmod(0o644)
    site.chunks.clear()
    assert ended(start(site, "--once", "--key-file", str(file), VLOG_WORKER_KEY="")) == 0
    assert f"other users of this machine can read {file}" in (tmp_path / "said").read_text()


class TestInside:
    """Tests in this process, where waiting times can be shortened."""

    def run(self, site, stop, **options):
        options = {
            "concurrency": 1,
            "threads": 0,
            "kinds": ("video", "audio"),
            "once": False,
            "whisper": None,
        } | options
        return agent.Agent(Site(site.address, KEY), argparse.Namespace(**options), stop).run({"encoders": ["libx264"]})

    def test_a_disabled_worker_retries_and_logs_it_once(self, site, hasty, monkeypatch, caplog):
        caplog.set_level("INFO")
        monkeypatch.setattr(agent, "DISABLED_SECONDS", 0.05)
        stop = threading.Event()
        site.disabled = True
        thread = threading.Thread(target=self.run, args=(site, stop))
        thread.start()
        site.wait_for(lambda: len(site.calls("POST heartbeat")) > 3, "more questions")
        site.disabled = False
        site.wait_for(lambda: done(site), "the film")
        stop.set()
        thread.join(PATIENCE)
        assert sum("retrying every minute" in message for message in caplog.messages) == 1

    def test_a_drained_worker_logs_the_reason_once(self, site, hasty, caplog):
        caplog.set_level("INFO")
        stop = threading.Event()
        site.held_back = "its last chunks all failed"
        thread = threading.Thread(target=self.run, args=(site, stop))
        thread.start()
        site.wait_for(lambda: len(site.calls("POST claim")) > 3, "more questions")
        stop.set()
        thread.join(PATIENCE)
        assert caplog.messages.count("the site gives this worker no new work: its last chunks all failed") == 1

    def test_whatever_ends_one_worker_ends_all(self, site, hasty, monkeypatch):
        def break_down(*arguments):
            raise ZeroDivisionError

        monkeypatch.setattr(agent, "work_one", break_down)
        monkeypatch.setattr(threading, "excepthook", lambda message: None)
        assert self.run(site, threading.Event(), concurrency=3) == 1

    def test_a_title_cannot_write_elsewhere_on_the_terminal(self):
        record = agent.logging.LogRecord("agent", 20, "", 0, "%s", ("«\x1b[2Jgone\r»",), None)
        assert agent._LineFormatter("%(message)s").format(record) == "«?[2Jgone?»"

    def test_its_facts_are_json(self):
        options = argparse.Namespace(encoder="libx264", whisper=None)
        assert json.loads(json.dumps(agent._capabilities(options)))["encoders"] == ["libx264"]
