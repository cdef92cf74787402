"""What operators do with workers: keys without a gap, and work that goes back unspent."""

import re
import subprocess

import pytest
from django.utils import timezone

from transcoding.engine.contract import LeaseLost
from transcoding.engine.plan.plan import KNOWN_FORMATS
from transcoding.models import TranscodingChunk
from transcoding.queue.local import LocalQueue
from transcoding.tests.conftest import broker
from transcoding.tests.queue.test_local import VIDEO, deliver_all, laid_out, own_folders
from videos.tests.factories import NodeFactory, WorkerFactory
from workers import control, keys, zipapp
from workers.control import Refused
from workers.models import Worker

__all__ = ["broker", "own_folders"]  # fixtures of every test here, too
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("broker")]


@pytest.fixture
def garage():
    """A remote worker that has one piece, its queue, and the piece."""
    worker, key = control.create("garage")
    worker.capabilities = {"plan_formats": list(KNOWN_FORMATS)}  # as its first heartbeat says
    worker.save()
    job = laid_out()
    queue = LocalQueue(worker, lambda number: None, job)
    return worker, key, queue, queue.claim(VIDEO)


def fresh(worker):
    return Worker.objects.get(pk=worker.pk)


def piece(assignment):
    return TranscodingChunk.objects.get(pk=assignment.chunk)


class TestKeys:
    def test_a_new_worker_is_remote_never_seen_and_has_one_key(self):
        worker, key = control.create("garage", days=30)
        row = fresh(worker)
        assert (row.worker_name, row.worker_type, row.status, row.last_heartbeat) == (
            "garage",
            "remote",
            "offline",
            None,
        )
        found = keys.find(key)
        assert found.worker == row
        assert (found.expires_at - timezone.now()).days == 29

    @pytest.mark.parametrize("name", ["", "encode@here", "two words", "a" * 101, "-rf", "a\n", "<b>", "a/b"])
    def test_a_name_that_could_be_taken_for_something_else_is_refused(self, name):
        with pytest.raises(Refused, match="cannot be a worker's name"):
            control.create(name)
        assert not Worker.objects.exists()

    def test_the_same_name_again_is_refused_and_changes_nothing(self):
        _, key = control.create("garage")
        with pytest.raises(Refused, match="worker rotate garage"):
            control.create("garage")
        assert keys.find(key)
        assert Worker.objects.count() == 1

    def test_after_a_rotation_both_keys_open_until_the_older_is_revoked(self):
        worker, old = control.create("garage")
        new, told = control.rotate(worker)
        assert keys.find(old)
        assert keys.find(new)
        assert "revoke them when" in told
        assert control.revoke(worker, older=True) == "«garage»: 1 key revoked."
        assert keys.find(old) is None
        assert keys.find(new)

    def test_a_rotation_now_leaves_the_new_one_alone(self):
        worker, old = control.create("garage")
        new, told = control.rotate(worker, now=True)
        assert (keys.find(old), keys.find(new).worker) == (None, worker)
        assert told == "«garage» has a new key. 1 key revoked."

    def test_one_key_is_revoked_by_its_beginning(self):
        worker, old = control.create("garage")
        new, _ = control.rotate(worker)
        assert control.revoke(worker, prefix=new[:8]) == "«garage»: 1 key revoked."
        assert keys.find(old)
        with pytest.raises(Refused, match="no key"):
            control.revoke(worker, prefix=new[:8])

    def test_a_revoked_newest_key_is_not_the_one_that_is_kept(self):
        worker, old = control.create("garage")
        new, _ = control.rotate(worker)
        control.revoke(worker, prefix=new[:8])
        assert control.revoke(worker, older=True) == "«garage»: 0 keys revoked."
        assert keys.find(old)

    def test_without_a_good_key_none_is_older(self):
        worker, _ = control.create("garage")
        control.revoke(worker)
        with pytest.raises(Refused, match="Make one"):
            control.revoke(worker, older=True)

    def test_whoever_has_no_key_left_has_no_work_either(self, garage):
        worker, _, _, held = garage
        assert control.revoke(worker) == "«garage»: 1 key revoked. 1 chunk released."
        assert piece(held).status == "pending"
        assert "went back" not in control.revoke(worker)

    def test_a_node_needs_no_key(self):
        with pytest.raises(Refused, match="needs no key"):
            control.rotate(NodeFactory())


class TestKeptFromWork:
    def test_what_a_remote_worker_has_goes_back_at_once_unspent(self, garage):
        worker, _, queue, held = garage
        assert control.disable(worker) == "«garage» is disabled. 1 chunk released."
        chunk, row = piece(held), fresh(worker)
        assert (chunk.status, chunk.failures, chunk.lease_expires_at) == ("pending", 0, None)
        assert (row.status, row.current_job) == ("disabled", None)
        assert list(chunk.attempts.values_list("outcome", "error")) == [("given_back", "the worker was disabled")]
        with pytest.raises(LeaseLost):
            queue.complete(held)
        assert queue.claim(VIDEO) is None

    def test_again_is_no_harm_and_ends_what_was_cut_off(self, garage):
        worker, _, _, held = garage
        Worker.objects.filter(pk=worker.pk).update(status="disabled")  # killed before anything went back
        assert "1 chunk released" in control.disable(worker)
        assert control.disable(worker) == "«garage» is disabled."
        assert piece(held).status == "pending"

    @pytest.mark.parametrize("keep", [control.disable, lambda worker: control.drain(worker, "ann")])
    def test_a_node_finishes_what_it_has_and_gets_nothing_new(self, keep):
        queue = LocalQueue(NodeFactory(), lambda number: None, laid_out())
        held = queue.claim(VIDEO)
        keep(queue.worker)
        deliver_all(queue, held)
        queue.complete(held)
        assert piece(held).status == "completed"
        assert queue.claim(VIDEO) is None

    def test_a_drained_remote_worker_keeps_what_it_has(self, garage):
        worker, _, queue, held = garage
        assert control.drain(worker, "ann").startswith("«garage» is drained")
        assert (fresh(worker).held_back, fresh(worker).status) == ("drained by ann", "offline")
        deliver_all(queue, held)
        queue.complete(held)
        assert queue.claim(VIDEO) is None

    def test_enabled_whatever_kept_it(self, garage):
        worker, _, queue, _ = garage
        control.drain(worker, "ann")
        control.disable(worker)
        control.enable(worker)
        assert (fresh(worker).held_back, fresh(worker).status) == (None, "offline")
        assert queue.claim(VIDEO)

    def test_enabling_a_live_worker_leaves_it_active(self):
        worker = WorkerFactory(hold="drained", held_back="drained by ann")
        control.enable(worker)
        assert (fresh(worker).held_back, fresh(worker).status) == (None, "active")


class TestDeletion:
    def test_its_work_goes_back_and_the_record_keeps_its_name(self, garage):
        worker, key, _, held = garage
        assert control.delete(worker) == "«garage» is deleted. What it made keeps its name in the record."
        assert keys.find(key) is None
        chunk = piece(held)
        assert (chunk.status, chunk.worker, chunk.failures) == ("pending", None, 0)
        assert list(chunk.attempts.values_list("worker", "worker_name", "outcome")) == [(None, "garage", "given_back")]

    def test_who_finished_a_video_is_known_when_the_worker_is_gone(self):
        worker = WorkerFactory(worker_name="garage")
        job = laid_out(processed_by_worker_id=worker.worker_id, processed_by_worker_name="garage")
        control.delete(worker)
        job.refresh_from_db()
        assert (job.processed_by_worker_id, job.processed_by_worker_name) == (worker.worker_id, "garage")

    def test_twice_is_no_harm(self, garage):
        control.delete(garage[0])
        assert control.delete(garage[0]) == "«garage» is gone."

    def test_a_node_that_runs_would_come_back(self):
        node = NodeFactory(worker_name="encode@here", last_heartbeat=timezone.now(), status="disabled")
        with pytest.raises(Refused, match="stop it first"):
            control.delete(node)
        Worker.objects.update(status="offline")
        assert "is deleted" in control.delete(node)

    def test_a_node_that_still_has_a_piece_stays(self):
        queue = LocalQueue(NodeFactory(worker_name="encode@here"), lambda number: None, laid_out())
        queue.claim(VIDEO)
        Worker.objects.update(status="offline")
        with pytest.raises(Refused, match="still has a chunk"):
            control.delete(queue.worker)
        assert fresh(queue.worker)


@pytest.mark.parametrize("site", ["http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"])
def test_an_address_that_means_every_machine_itself_is_cautioned_against(settings, site):
    settings.BASE_URL = site
    assert f"{site} is the address of this machine only" in control.caution()
    settings.BASE_URL = "http://192.168.1.2:8000"
    assert control.caution() == ""


def test_the_command_for_the_other_machine_has_no_key_in_it(settings):
    settings.BASE_URL = "https://video.example.org"
    command = control.invitation()
    assert command.startswith("curl -fsSO https://video.example.org/api/worker/v1/agent.pyz && ")
    assert command.endswith("python3 agent.pyz https://video.example.org --key-file worker.key")
    assert not re.search(r"[\w-]{43}", command.replace(zipapp.digest(), ""))


def test_the_command_checks_the_agent_that_arrived(tmp_path):
    file = tmp_path / "agent.pyz"
    for content, code in ((zipapp.agent(), 0), (zipapp.agent() + b"\n", 1)):
        file.write_bytes(content)
        assert (
            subprocess.run(["sh", "-c", control.check()], cwd=tmp_path, check=False, capture_output=True).returncode
            == code
        )
