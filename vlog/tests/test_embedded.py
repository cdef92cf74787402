import fcntl
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from vlog.embedded import keeper, places
from vlog.embedded.services import valkey_server
from vlog.environment import BASE_DIR
from vlog.tests.processes import (
    MEMBER,
    PATIENCE_SECONDS,
    Member,
    belonging_to,
    both_answer,
    environment_for,
    execute,
    keeper_of,
    kill,
    kill_all,
    member_of,
    pid_of,
    redis_of,
    wait_until,
)

pytestmark = pytest.mark.slow("starts and kills PostgreSQL and Valkey at every moment of their lives")


def write_something(data_dir: Path) -> None:
    execute(data_dir, "CREATE TABLE kept (word text)")
    execute(data_dir, "INSERT INTO kept VALUES ('here')")
    redis_of(data_dir).set("kept", "here")
    wait_until(lambda: redis_of(data_dir).info("persistence")["aof_pending_bio_fsync"] == 0, "Redis' file")


def has_something(data_dir: Path) -> bool:
    return execute(data_dir, "SELECT word FROM kept") == [("here",)] and redis_of(data_dir).get("kept") == b"here"


def test_the_first_process_finds_both_services_and_an_empty_database(new_dir):
    with member_of(new_dir):
        assert both_answer(new_dir)
        assert execute(new_dir, "SELECT current_user, current_database()") == [("vlog", "vlog")]
        assert execute(new_dir, "SELECT count(*) FROM pg_stat_user_tables") == [(0,)]


def test_nothing_listens_on_the_network(data_dir):
    with member_of(data_dir):
        assert execute(data_dir, "SHOW listen_addresses") == [("",)]
        assert redis_of(data_dir).config_get("port") == {"port": "0"}


def test_only_the_owner_may_enter_the_folders(new_dir):
    with member_of(new_dir):
        folders = [new_dir, new_dir / "run", new_dir / "postgres", new_dir / "redis"]
        assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700] * 4


def test_the_database_knows_letters_beyond_ascii(data_dir):
    with member_of(data_dir):
        assert execute(data_dir, "SHOW server_encoding") == [("UTF8",)]
        assert execute(data_dir, "SELECT upper('äöü'), 'É' ILIKE 'é'") == [("ÄÖÜ", True)]
        assert execute(data_dir, "SELECT to_tsvector('simple', '„Äpfel“, Öl')::text") == [("'äpfel':1 'öl':2",)]


def test_redis_never_forgets_a_message_to_make_room(data_dir):
    with member_of(data_dir):
        assert redis_of(data_dir).config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert redis_of(data_dir).config_get("appendonly") == {"appendonly": "yes"}


def test_a_data_folder_of_redis_6_keeps_its_messages(data_dir):
    (data_dir / "redis").mkdir(mode=0o700)
    shutil.copy(BASE_DIR / "vlog/tests/redis-6.2.aof", data_dir / "redis/appendonly.aof")
    for _ in range(2):  # the first start converts the file, the second one reads the converted form
        with member_of(data_dir):
            client = redis_of(data_dir)
            assert client.lrange("queue", 0, -1) == [b"message"]
            assert (client.get("before"), client.get("after")) == (b"rewritten", b"appended")
        wait_until(lambda: not belonging_to(data_dir), "the end of the services")


def test_a_machine_without_a_server_of_its_own_is_named():
    with pytest.raises(places.ServiceError, match=r"no server for this machine \(riscv64\): set VLOG_REDIS_URL"):
        valkey_server("riscv64")


def test_a_second_process_shares_the_services_of_the_first(data_dir):
    with member_of(data_dir):
        keeper, postgres = keeper_of(data_dir), pid_of(data_dir, "postgres -D")
        with member_of(data_dir):
            assert (keeper_of(data_dir), pid_of(data_dir, "postgres -D")) == (keeper, postgres)


def test_the_services_stay_when_the_first_process_leaves_before_the_second(data_dir):
    first = Member(data_dir)
    assert first.has_joined()
    with member_of(data_dir):
        postgres = pid_of(data_dir, "postgres -D")
        first.leave()
        with member_of(data_dir):
            assert pid_of(data_dir, "postgres -D") == postgres


def test_the_services_end_cleanly_after_the_last_process(data_dir):
    with member_of(data_dir):
        write_something(data_dir)
    wait_until(lambda: not belonging_to(data_dir), "the end of the services")
    assert not (data_dir / "postgres" / "postmaster.pid").exists()
    assert "database system is shut down" in places.log_file(data_dir).read_text()
    with member_of(data_dir):
        assert has_something(data_dir)
    assert "not properly shut down" not in places.log_file(data_dir).read_text()


def test_leaving_waits_until_the_services_are_down(data_dir):
    code = "from vlog import embedded; embedded.join(); embedded.leave()"
    command = [sys.executable, "-W", "always::ResourceWarning", "-c", code]
    done = subprocess.run(
        command, cwd=BASE_DIR, env=environment_for(data_dir), stderr=subprocess.PIPE, text=True, check=True
    )
    assert done.stderr == ""  # no warning that the keeper is still running
    assert not places.has_keeper(data_dir)
    assert not (data_dir / "postgres" / "postmaster.pid").exists()


def test_leaving_takes_nothing_from_others(data_dir):
    code = "from vlog import embedded; embedded.join(); embedded.leave()"
    with member_of(data_dir):
        postgres = pid_of(data_dir, "postgres -D")
        subprocess.run([sys.executable, "-c", code], cwd=BASE_DIR, env=environment_for(data_dir), check=True)
        assert both_answer(data_dir)
        assert pid_of(data_dir, "postgres -D") == postgres


def test_four_processes_that_start_a_new_installation_at_once_meet(new_dir):
    members = [Member(new_dir) for _ in range(4)]
    try:
        assert [member.has_joined() for member in members] == [True] * 4
        assert both_answer(new_dir)
        assert len(places.holders(places.keeper_lock(new_dir))) == 1
    finally:
        for member in members:
            member.leave()


@pytest.mark.parametrize("program", ["postgres -D", "valkey-server"])
def test_a_killed_service_comes_back_by_itself_with_its_data(data_dir, program):
    with member_of(data_dir):
        write_something(data_dir)
        victim = pid_of(data_dir, program)
        kill(victim)
        wait_until(lambda: victim not in belonging_to(data_dir) and both_answer(data_dir), f"a new {program}")
        assert has_something(data_dir)


def test_after_the_keepers_death_the_next_process_starts_another_and_finds_the_data(data_dir):
    with member_of(data_dir):
        write_something(data_dir)
        kill(keeper_of(data_dir))
        with member_of(data_dir):
            assert has_something(data_dir)


def test_a_dead_keeper_speaks_for_no_successor(data_dir):
    with member_of(data_dir):
        kill(keeper_of(data_dir))
        successor = places.wait_for_lock(places.keeper_lock(data_dir), fcntl.LOCK_EX, PATIENCE_SECONDS)
        assert not places.are_up(data_dir, ["postgres"])
        os.close(successor)


def test_a_standby_replaces_a_killed_keeper_without_anybody_joining(data_dir):
    standby = [sys.executable, "-m", "vlog.embedded", "--standby"]
    with (
        member_of(data_dir),
        subprocess.Popen(standby, cwd=BASE_DIR, env=environment_for(data_dir), stderr=subprocess.DEVNULL) as process,
    ):
        write_something(data_dir)
        for _ in range(2):
            victim = keeper_of(data_dir)
            kill(victim)
            wait_until(lambda: not places.are_up(data_dir, ["postgres"]), "the keeper's end")
            wait_until(lambda: both_answer(data_dir), "the next keeper")
            assert has_something(data_dir)
        process.terminate()
        assert process.wait() == 0


def test_after_kill_9_of_everything_the_data_is_there(data_dir):
    member = Member(data_dir)
    assert member.has_joined()
    write_something(data_dir)
    kill_all(data_dir)
    member.leave()
    with member_of(data_dir):
        assert has_something(data_dir)


@pytest.mark.parametrize("everything", [False, True], ids=["the keeper", "everything"])
def test_a_kill_while_the_database_is_made_leaves_nothing_half_made(new_dir, everything):
    member = Member(new_dir)
    wait_until((new_dir / "postgres.new" / "base").exists, "a database in the making")
    if everything:
        kill_all(new_dir)
    else:
        kill(keeper_of(new_dir))
    assert not (new_dir / "postgres").exists()
    with member_of(new_dir):
        assert both_answer(new_dir)
        assert not (new_dir / "postgres.new").exists()
    member.leave()


def test_a_joining_process_outlives_the_death_of_the_keeper_it_waits_for(new_dir):
    member = Member(new_dir)
    wait_until((new_dir / "postgres.new").exists, "a database in the making")
    kill(keeper_of(new_dir))
    assert member.has_joined(), member.leave()
    assert both_answer(new_dir)
    member.leave()


def test_a_very_long_path_gets_its_sockets_elsewhere(tmp_path):
    data_dir = tmp_path / ("long" * 20) / ("path" * 20) / "with spaces, and ünicode"
    data_dir.mkdir(parents=True)
    with member_of(data_dir):
        sockets = places.socket_dir(data_dir)
        assert data_dir not in sockets.parents
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        assert both_answer(data_dir)
    wait_until(lambda: not sockets.exists(), "the removal of the sockets' folder")
    kill_all(data_dir)


def test_a_socket_folder_that_is_not_ours_is_refused(tmp_path):
    data_dir = tmp_path / ("long" * 40)
    sockets = places.socket_dir(data_dir)
    sockets.symlink_to(tmp_path)
    try:
        member = Member(data_dir)
        assert not member.has_joined()
        assert f"{sockets} belongs to another user" in member.leave()
    finally:
        sockets.unlink()
    kill_all(data_dir)


@pytest.mark.skipif(os.geteuid() != 0, reason="all the other tests show it")
@pytest.mark.parametrize("number", [65534, 54321], ids=["the user 65534", "a number that has no name"])
def test_a_user_without_privileges_may_run_the_services(new_dir, number):
    # Root in a namespace in which its files and processes belong to that user.
    member = Member(new_dir, prefix=("unshare", "--user", f"--map-user={number}", f"--map-group={number}", "--"))
    assert member.has_joined(), member.leave()
    assert both_answer(new_dir)
    member.leave()


def test_with_both_addresses_set_nothing_is_started(new_dir):
    with member_of(new_dir, VLOG_DATABASE_URL="postgresql://db/vlog", VLOG_REDIS_URL="redis://cache"):
        assert not new_dir.exists()


def test_with_one_address_set_only_the_other_service_is_started(new_dir):
    with member_of(new_dir, VLOG_DATABASE_URL="postgresql://db/vlog"):
        assert redis_of(new_dir).ping()
        assert not (new_dir / "postgres").exists()
        with member_of(new_dir):
            assert both_answer(new_dir)


def test_a_forked_child_keeps_the_services_after_its_parents_death(data_dir):
    # The only process that remains when the master of a prefork server is killed.
    fork = MEMBER.replace("print(", "import os, time\nif not os.fork(): time.sleep(600)\nprint(")
    parent = Member(data_dir, code=fork)
    assert parent.has_joined()
    child = max(pid for pid in belonging_to(data_dir) if "os.fork" in Path(f"/proc/{pid}/cmdline").read_text())
    kill(parent.process.pid)
    parent.process.wait()
    assert child in places.holders(places.users_lock(data_dir))
    assert places.refuses(places.users_lock(data_dir), places.fcntl.LOCK_EX)
    kill(child)
    parent.leave()
    wait_until(lambda: not places.refuses(places.users_lock(data_dir), places.fcntl.LOCK_EX), "the lock")


def test_a_program_that_a_process_starts_does_not_keep_the_services(data_dir):
    start = MEMBER.replace("print(", "import subprocess\nsubprocess.Popen(['sleep', '600'])\nprint(")
    member = Member(data_dir, code=start)
    assert member.has_joined()
    kill(member.process.pid)
    wait_until(lambda: not places.has_keeper(data_dir), "the end of the services")
    kill(pid_of(data_dir, "sleep 600"))
    member.leave()


def test_a_folder_that_is_in_the_way_is_explained_in_sentences(new_dir):
    (new_dir / "postgres").mkdir(parents=True)
    (new_dir / "postgres" / "something-else").touch()
    command = [sys.executable, "manage.py", "migrate", "--plan"]
    done = subprocess.run(
        command, cwd=BASE_DIR, env=environment_for(new_dir), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert f"{new_dir}/keeper.log ends with" in done.stderr
    assert "VLOG_DATABASE_URL" in done.stderr


def test_the_log_is_bounded_while_servers_write_it(tmp_path, monkeypatch):
    log = places.log_file(tmp_path)
    monkeypatch.setattr(keeper, "LOG_BYTES", 1000)
    monkeypatch.setattr(keeper, "LOG_KEPT_BYTES", 100)
    with log.open("a") as server:
        server.write("x" * 900 + "y" * 100)
        server.flush()
        keeper._bound_log(log)
        server.write("z")
    assert log.read_text() == "z"
    assert log.with_suffix(".log.1").read_text() == "y" * 100
