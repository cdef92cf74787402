"""The agent as one file."""

import hashlib
import io
import os
import subprocess
import sys
import zipfile

import pytest

from workers import zipapp

# What the agent is made of and what it is not, by a tree of modules of its own.
TREE = {
    "workers/__init__.py": "",
    "workers/agent/__init__.py": "",
    "workers/agent/__main__.py": "import json\nfrom workers.agent import client\n\nclient.main()\n",
    "workers/agent/client.py": "from transcoding.engine.plan.plan import NAME\n\n\ndef main():\n    print(NAME)\n",
    "workers/models.py": "import django\n",
    "transcoding/__init__.py": "",
    "transcoding/engine/__init__.py": "",
    "transcoding/engine/plan/__init__.py": "",
    "transcoding/engine/plan/plan.py": (
        "def late():\n    from transcoding.engine import deep\n    return deep\n\n\nNAME = 'planned'\n"
    ),
    "transcoding/engine/deep/__init__.py": "from transcoding.engine.deep.inner import *\n",
    "transcoding/engine/deep/inner.py": "",
    "transcoding/engine/speech/__init__.py": "",
    "transcoding/engine/speech/recognition.py": "import whisper\n",
}
MADE_OF = {*TREE} - {"workers/models.py"}


@pytest.fixture
def tree(settings, tmp_path):
    settings.BASE_DIR = tmp_path
    for name, text in TREE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    zipapp.agent.cache_clear()
    zipapp.digest.cache_clear()
    yield tmp_path
    zipapp.agent.cache_clear()
    zipapp.digest.cache_clear()


def test_holds_what_the_agent_imports_however_deep_and_nothing_else(tree):
    with zipfile.ZipFile(io.BytesIO(zipapp.agent())) as archive:
        assert set(archive.namelist()) == {*MADE_OF, "__main__.py"}


def test_runs_with_python_alone(tree, tmp_path):
    file = tmp_path / "agent.pyz"
    file.write_bytes(zipapp.agent())
    ran = subprocess.run([sys.executable, "-I", "-S", file], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "planned\n"


def test_the_same_sources_make_the_same_bytes(tree):
    first = zipapp.agent()
    zipapp.agent.cache_clear()
    assert zipapp.agent() == first


def test_the_bytes_depend_on_no_compressor_no_clock_and_no_system(tree, monkeypatch):
    """Another machine makes the same file, so its SHA-256 can be published."""
    first, digest = zipapp.agent(), zipapp.digest()
    assert digest == hashlib.sha256(first).hexdigest()
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        facts = {(entry.compress_type, entry.date_time, entry.create_system) for entry in archive.infolist()}
    assert facts == {(zipfile.ZIP_STORED, (1980, 1, 1, 0, 0, 0), 3)}
    for path in tree.rglob("*.py"):
        os.utime(path, (0, 0))
        path.chmod(0o600)
    zipapp.agent.cache_clear()
    assert zipapp.agent() == first


def test_a_module_that_is_missing_is_an_error(tree):
    (tree / "workers/agent/__main__.py").unlink()
    with pytest.raises(FileNotFoundError, match=r"the agent needs the module workers\.agent\.__main__"):
        zipapp.agent()


def test_the_agent_itself_needs_nothing_but_python(tmp_path):
    """Without any package, as on another machine."""
    zipapp.agent.cache_clear()
    file = tmp_path / "agent.pyz"
    file.write_bytes(zipapp.agent())
    command = [sys.executable, "-I", "-S", file, "--help"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stderr == ""
    assert "--key-file" in ran.stdout
    with zipfile.ZipFile(file) as archive:
        sites_own = ("workers/api/", "workers/models", "workers/nodes", "transcoding/models/", "transcoding/queue/")
        assert not {name for name in archive.namelist() if name.startswith(sites_own)}


def test_it_is_public(tree, client, django_assert_num_queries, db):
    with django_assert_num_queries(0):
        answer = client.get("/api/worker/v1/agent.pyz")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/zip")
    assert answer.content == zipapp.agent()
