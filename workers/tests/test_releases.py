"""Workers of another release than the site: how they are recognised, and where they are named."""

import io
import json
import subprocess
import sys
import zipfile

import pytest
from django.core.management import call_command
from django.utils import timezone

from transcoding.operations.doctor import check_queues
from videos.tests.factories import NodeFactory, WorkerFactory
from vlog import release, running
from vlog.health import State
from workers import nodes, zipapp
from workers.releases import EARLIER, FROM_SOURCES, of_agent, other_release

pytestmark = pytest.mark.django_db


def facts(**more):
    return {"encoders": ["libx264"], "plan_formats": [1], **more}


@pytest.mark.parametrize(
    ("factory", "capabilities", "other"),
    [
        (NodeFactory, lambda: facts(release=release.name()), ""),
        (NodeFactory, lambda: facts(release="0.1.0 (5f0c2a9b)"), "0.1.0 (5f0c2a9b)"),
        (NodeFactory, facts, EARLIER),
        (NodeFactory, lambda: None, ""),
        (WorkerFactory, lambda: facts(release=of_agent()), ""),
        (WorkerFactory, lambda: facts(release=FROM_SOURCES), ""),
        (WorkerFactory, lambda: facts(release="5f0c2a9b"), "5f0c2a9b"),
        (WorkerFactory, lambda: facts(agent="1"), EARLIER),
    ],
)
def test_a_worker_of_another_release_is_recognised_while_it_runs(factory, capabilities, other):
    worker = factory(capabilities=capabilities(), status="active")
    assert other_release(worker) == other
    worker.status = "offline"
    assert other_release(worker) == ""


def test_a_node_and_an_agent_report_the_release_that_the_site_compares(agent, tmp_path):
    assert other_release(nodes.register("encode@here")) == ""
    answer = agent.post("heartbeat", {"capabilities": facts(release=of_agent())})
    assert answer.status_code == 200
    agent.worker.refresh_from_db()
    assert other_release(agent.worker) == ""
    file = tmp_path / "agent.pyz"
    file.write_bytes(zipapp.agent())
    code = f"import sys; sys.path.insert(0, {str(file)!r}); from workers.agent import agent; print(agent._release())"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == of_agent()
    assert zipfile.is_zipfile(file)


@pytest.fixture
def old(monkeypatch):
    monkeypatch.setattr(running, "REPLY_SECONDS", 0.1)  # no node replies
    columns = {"status": "active", "last_heartbeat": timezone.now()}
    node = NodeFactory(worker_name="encode@oak", capabilities=facts(release="0.1.0 (5f0c2a9b)"), **columns)
    return node, WorkerFactory(worker_name="attic", capabilities=facts(agent="1"), **columns)


def test_the_doctor_names_each_with_what_to_do(old):
    told = {finding.message: finding.advice for finding in check_queues() if finding.state == State.AMBER}
    begin, number = f"runs another release than this one, {release.name()}", "0.1.0 (5f0c2a9b)"
    assert told == {
        f"the worker encode@oak {begin}: {number}": "Install this release on its machine, and restart the node.",
        f"the worker attic {begin}: {EARLIER}": "Download agent.pyz again on its machine, and restart the agent.",
    }


def test_the_admin_and_the_command_name_them_too(old, admin_client):
    shown = admin_client.get("/admin/workers/worker/").content.decode()
    assert "Runs another release: 0.1.0 (5f0c2a9b)" in shown
    assert f"Runs another release: {EARLIER}" in shown
    page = admin_client.get(f"/admin/workers/worker/{old[1].pk}/change/").content.decode()
    assert f"Runs another release than the site: {EARLIER}. Download agent.pyz again" in page
    output = io.StringIO()
    call_command("worker", stdout=output)
    assert "\nencode@oak runs another release: 0.1.0 (5f0c2a9b)\n  Install this release" in output.getvalue()
    call_command("worker", "list", "--json", stdout=(listed := io.StringIO()))
    assert json.loads(listed.getvalue())[1]["capabilities"]["release"] == "0.1.0 (5f0c2a9b)"
