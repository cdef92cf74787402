"""Every line of docs/roles.md, tried in every role."""

import importlib
import re
from functools import partial
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from videos import archive
from videos.models import Transcription
from videos.storage.paths import package_dir, package_name
from videos.tests.factories import CategoryFactory, TagFactory, TranscodingJobFactory, VideoFactory, WorkerFactory
from workers import keys

pytestmark = pytest.mark.django_db

DOCUMENT = (settings.BASE_DIR / "docs" / "roles.md").read_text()
ROLES = ("anonymous", "worker", "editor", "administrator")
TABLE = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in re.findall(r"^\|.*\|$", DOCUMENT, flags=re.MULTILINE)[2:]
]
LINES = [
    (how, {role: may == "yes" for role, may in zip(ROLES, cells, strict=True)})
    for _, addresses, *cells in TABLE
    for how in re.findall(r"`(.+?)`", addresses)
]
# Tests that only read share their rows.
CASES = [
    (how, may)
    for how, everybody in LINES
    for may in ([{role: yes} for role, yes in everybody.items()] if how.startswith(("POST", "PUT")) else [everybody])
]
WORKERS_API = "/api/worker/v1/"
NOT_FOR_ROLES = {
    "api/worker/v1/",
    # Logging in and out needs no role.
    *("admin/login/", "admin/logout/", "admin/password_change/done/"),
    # A redirect to the page of a row, which checks permissions itself, and the page for unknown addresses.
    *("admin/r/<path:content_type_id>/<path:object_id>/", r"admin/(?P<url>.*)$"),
    # Public for all pages; analytics/tests/test_beacons.py tests which viewers are counted.
    *("api/v1/playback/start", "api/v1/playback/report", "api/v1/playback/end"),
}


@pytest.fixture
def groups():
    """Create the groups of the migration again, after a test that emptied all tables."""
    if not Group.objects.filter(name="Editors").exists():
        importlib.import_module("videos.migrations.0004_roles").make_groups(apps, None)
        importlib.import_module("transcoding.migrations.0008_manage_job").grant(apps, None)
    return Group.objects


@pytest.fixture
def rows(settings, tmp_path):
    for name in ("SOURCES", "MEDIA", "ARCHIVE"):
        setattr(settings, f"{name}_DIR", tmp_path / name)
        (tmp_path / name).mkdir()
    category, tag = CategoryFactory(), TagFactory()
    public, hidden, archived = (VideoFactory(public=number != 1, category=category) for number in range(3))
    public.tags.add(tag)
    job = TranscodingJobFactory(video=hidden)
    package_dir(public).mkdir()
    (package_dir(public) / "master.m3u8").write_text("#EXTM3U\n")
    archive.archive(archived.pk, by="ann")
    return {
        "public": public.slug,
        "hidden": hidden.slug,
        "video": hidden.pk,
        "job": job.pk,
        "archived": archived.pk,
        "package": package_name(public),
        "category": category.slug,
        "category-id": category.pk,
        "tag": tag.slug,
        "tag-id": tag.pk,
        "worker": WorkerFactory().pk,
        "chunk": 1,
        "transcription": Transcription.objects.create(video=public).pk,
        "user": User.objects.create_user("another").pk,
        "group": Group.objects.create(name="Some").pk,
    }


@pytest.fixture
def enter(groups):
    """Return a client that is logged in with that role."""

    def as_role(role: str) -> Client:
        client = Client()
        if role == "worker":
            key, _ = keys.issue(WorkerFactory())
            client.defaults |= {"HTTP_AUTHORIZATION": f"Bearer {key}", "HTTP_VLOG_AGENT": "1"}
        elif role != "anonymous":
            user = User.objects.create_user(role, is_staff=True)
            user.groups.add(groups.get(name=f"{role.title()}s"))
            client.force_login(user)
        return client

    return as_role


def filled(how: str, rows: dict[str, Any]) -> str:
    return re.sub(r"<(.+?)>", lambda match: str(rows[match[1]]), how)


def is_let(client: Client, how: str) -> bool:
    """Return whether this client may send a request or run an action of a list."""
    method, *rest = how.split(" ")
    if method == "ACTION":
        name, path = rest
        return f'<option value="{name}"' in client.get(path).content.decode()
    send = {"POST": partial(client.post, data={"post": "yes"}), "PUT": client.put, "GET": client.get}[method]
    response = send(rest[0])
    assert response.status_code < 500
    if rest[0].startswith(WORKERS_API):  # an authorised request is refused next because its body is invalid
        return response.status_code not in (401, 403)
    return response.status_code < 400 and not response.headers.get("Location", "").startswith("/admin/login/")


@pytest.mark.parametrize(("how", "may"), CASES)
def test_everybody_may_what_the_table_says_and_nothing_else(enter, rows, how, may):
    assert {role: is_let(enter(role), filled(how, rows)) for role in may} == may


def test_every_address_of_the_site_stands_in_the_table(rows):
    concrete = {filled(how, rows).split(" ")[-1].split("?")[0].lstrip("/") for how, _ in LINES}
    missing = [
        route for route, pattern in routes(get_resolver()) if not any(pattern.fullmatch(path) for path in concrete)
    ]
    assert sorted(set(missing) - NOT_FOR_ROLES) == []


def routes(resolver: URLResolver, route: str = "", regex: str = "") -> Any:
    """Yield each address pattern of the site, as text and as a regular expression."""
    for entry in resolver.url_patterns:
        own = entry.pattern.regex.pattern.removeprefix("^").removeprefix("\\A")
        here, expression = route + str(entry.pattern), regex + own
        if isinstance(entry, URLPattern):
            yield here, re.compile(re.sub(r"\?P<\w+>", "", expression).replace("\\Z", ""))
        else:
            yield from routes(entry, here, expression)
