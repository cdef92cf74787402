"""Every line of docs/roles.md, tried in every role and in every state of a video.

The rows are made once. Each case changes them in a transaction of its own, which is rolled back.
"""

import itertools
import re
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from PIL import Image

from transcoding.engine.package import files
from transcoding.tests import clips
from videos import archive, grants, publication, tasks, webhooks
from videos.models import (
    AudioTrack,
    Category,
    CategoryLimit,
    Chapter,
    FeaturedVideo,
    FileVersion,
    ImportMap,
    OwnPage,
    Picture,
    Playlist,
    ShareLink,
    Tag,
    Transcription,
    Video,
    VideoQuality,
    Visibility,
    VisibilityChange,
)
from videos.pages.sitemaps import SIZE
from videos.storage import placement
from videos.storage.paths import package_dir, package_name, source_path
from videos.tests.factories import (
    CategoryFactory,
    PlaylistFactory,
    TagFactory,
    TranscodingJobFactory,
    VideoFactory,
    WorkerFactory,
    add_captions,
)
from vlog import keys as vlog_keys
from vlog import tokens
from vlog.accounts import invitations
from vlog.accounts.roles import Role
from vlog.environment import Limit
from vlog.models import AuditEntry
from workers import keys

DOCUMENT, IN_STATES = (settings.BASE_DIR / "docs" / "roles.md").read_text().split("## What is visible in which state")
ROLES = ("anonymous", "worker", "limited editor", "editor", "administrator")
TABLE = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in re.findall(r"^\|.*\|$", DOCUMENT, flags=re.MULTILINE)[2:]
]
# What a limited editor may do with the own videos only; those of the tests are of other categories.
OF_VIDEOS = re.compile("<(?:public|hidden|video|archived|archived-slug|job|transcription)>|^ACTION")
LINES = [
    (
        how,
        {
            role: may == "yes" or (may == "own" and not OF_VIDEOS.search(how))
            for role, may in zip(ROLES, cells, strict=True)
        },
    )
    for _, addresses, *cells in TABLE
    for how in re.findall(r"`(.+?)`", addresses)
]
STATES, *IN_EACH_STATE = [
    [cell.strip() for cell in line.strip("|").split("|")][1:]
    for line in re.findall(r"^\|.*\|$", IN_STATES[IN_STATES.index("| what |") :], re.MULTILINE)
    if not line.startswith("|---")
]
STAFF = {"editor", "other editor", "administrator"}
WHO = {
    "none": set(),
    "guest": {"guest"},
    "staff": STAFF,
    "invited": {*STAFF, "guest"},
    "admitted": {*STAFF, "guest", "knows the password"},
    "all": {*STAFF, "guest", "knows the password", "anonymous", "worker", "limited editor"},
}
PEOPLE = tuple(sorted(WHO["all"]))
DIFFERENT = ("anonymous", "guest", "knows the password", "editor", "limited editor")
PASSWORD = "a word for friends"
REACH = {"public": 2, "unlisted": 1}  # of an address without a grant
# Where an authorised request is refused next, because its body is invalid or it names a row of another account.
CHECKED_FIRST = ("/api/worker/v1/", "/api/v1/uploads/", "/api/v1/imports/", "/api/v1/videos/", "/api/v1/playlists/")
CHECKED_FIRST += ("/privacy/",)
NOT_FOR_ROLES = {
    "api/worker/v1/",
    # Logging in and out needs no role.
    *("admin/login/", "admin/logout/", "admin/password_change/done/"),
    # The second step of a login, tested in vlog/tests/test_second_factor.py.
    *("admin/login/code/", "admin/login/second_factor/"),
    # Where e-mail is set up, and for strangers; tested in vlog/tests/test_password_reset.py.
    *("admin/password_reset/", "admin/password_reset/sent/", "admin/password_reset/complete/"),
    "admin/password_reset/<uidb64>/<token>/",
    # A redirect to the page of a row, which checks permissions itself, and the page for unknown addresses.
    *("admin/r/<path:content_type_id>/<path:object_id>/", r"admin/(?P<url>.*)$"),
    # The words of the desk's scripts, which are those of the sources; vlog/tests/test_languages.py tests them.
    "site/<str:language>-<str:key>.js",
    # Public for all pages, and 404 until there is one; vlog/tests/test_site.py tests them.
    *("site/<str:key>.css", "site/<str:key>.png"),
    # It answers 503 wherever something fails; vlog/tests/test_readiness.py tests who may read it.
    "readyz/full",
    # Public for all pages; analytics/tests/test_beacons.py tests which viewers are counted.
    *("api/v1/playback/start", "api/v1/playback/report", "api/v1/playback/end"),
}


@pytest.fixture(scope="module", autouse=True)
def db(django_db_setup, django_db_blocker):
    """A transaction for the whole module, instead of pytest-django's for each test."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture(scope="module", autouse=True)
def folders(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("data")
        patch.setattr(settings, "DATA_DIR", root)
        for name in ("SOURCES", "MEDIA", "ARCHIVE"):
            patch.setattr(settings, f"{name}_DIR", root / name)
            (root / name).mkdir()
        for name in ("SEARCH_LIMIT", "PLAYBACK_LIMIT", "API_LIMIT"):
            patch.setattr(settings, name, Limit(0))
        yield


@contextmanager
def undone():
    """Undo what is written meanwhile, so that the next case finds the same rows."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture(scope="module")
def encoded(tmp_path_factory):
    """The folder of a rendition with one segment."""
    folder = tmp_path_factory.mktemp("encoded")
    clips.packaged(clips.numbered(folder / "clip.mp4", 25, "25", *clips.H264), folder / "package")
    return folder / "package" / "360p"


def let_download(video, encoded):
    for path in encoded.iterdir():
        for key in ("720p", "audio"):
            files.store(package_dir(video) / key / path.name, path.read_bytes())
    AudioTrack.objects.create(video=video, rendition="audio", name="English")
    Chapter.objects.create(video=video, start=1, title="The first")
    VideoQuality.objects.create(video=video, quality="720p", width=1280, height=720, bitrate=1)
    Video.objects.filter(pk=video.pk).update(downloads=True)


@pytest.fixture(scope="module")
def rows(db, folders, encoded):
    category, tag = CategoryFactory(), TagFactory()
    public, hidden, archived = (VideoFactory(public=True, category=category) for _ in range(3))
    Video.objects.filter(pk=hidden.pk).update(visibility="private")
    public.tags.add(tag)
    FileVersion.objects.add(hidden)
    job = TranscodingJobFactory(video=hidden)
    package_dir(public).mkdir()
    (package_dir(public) / "master.m3u8").write_text("#EXTM3U\n")
    let_download(public, encoded)
    files.store(source_path(hidden), b"original")
    hidden.refresh_from_db()  # with the visibility its media key has changed
    package_dir(hidden).mkdir()
    for name in ("poster.jpg", "poster-0.jpg"):
        Image.new("RGB", (16, 16)).save(package_dir(hidden) / name)
    archive.archive(archived.pk, by="ann")
    another = User.objects.create_user("another")
    link, link_row = publication.share(hidden, "Bob", 7)
    inviter = User.objects.create_superuser("inviter")
    invitation, invitation_row = invitations.invite(inviter, Role.EDITOR)
    playlist, private = (PlaylistFactory(videos=[public], visibility=value) for value in ("public", "private"))
    pictures = [Picture.objects.give(owner, b"jpeg") for owner in (playlist, private)]
    moved = {"source": "mediacms", "kind": "videos", "old_id": 1, "new_id": public.pk}
    ImportMap.objects.create(address="Fjd3mXw1", **moved)
    webhook = webhooks.create("https://example.org/", ["video.ready"])
    return {
        "public": public.slug,
        "hidden": hidden.slug,
        "video": hidden.pk,
        "job": job.pk,
        "archived": archived.pk,
        "archived-slug": archived.slug,
        "package": package_name(public),
        "old-address": "Fjd3mXw1",
        "grant": "x",
        "link": link,
        "link-id": link_row.pk,
        "playlist": playlist.slug,
        "playlist-id": playlist.pk,
        "picture": pictures[0].pk,
        "private-playlist": private.slug,
        "private-picture": pictures[1].pk,
        "month": f"{public.published_at:%Y-%m}",
        "category": category.slug,
        "category-id": category.pk,
        "tag": tag.slug,
        "tag-id": tag.pk,
        "worker": WorkerFactory().pk,
        "chunk": 1,
        "upload": uuid4(),
        "import": uuid4(),
        "transcription": Transcription.objects.create(video=public).pk,
        "user": another.pk,
        "superuser": User.objects.create_superuser("root").pk,
        "token": tokens.create(another, ["read"])[1].pk,
        "entry": AuditEntry.objects.latest("pk").pk,
        "webhook": webhook.pk,
        "delivery": webhooks.ping(webhook).pk,
        "group": Group.objects.create(name="Some").pk,
        "page": OwnPage.objects.create(title="Imprint", slug="imprint").slug,
        "page-id": OwnPage.objects.get(slug="imprint").pk,
        "invitation": invitation.rstrip("/").rpartition("/")[2],
        "invitation-id": invitation_row.pk,
    }


@pytest.fixture(scope="module")
def users(db):
    groups = {"editor": "Editors", "other editor": "Editors", "administrator": "Administrators"}
    groups["limited editor"] = "Editors"
    made = {name: User.objects.create_user(name, is_staff=True) for name in groups}
    for name, group in groups.items():
        made[name].groups.add(Group.objects.get(name=group))
    CategoryLimit.objects.replace(made["limited editor"], [CategoryFactory(name="Of no video")])
    return made


@pytest.fixture(scope="module")
def enter(users):
    """Return a function that returns the client of a person, with the cookies of a fresh login."""
    key, _ = keys.issue(WorkerFactory())
    clients = {person: Client() for person in {*ROLES, *PEOPLE}}  # kept: each loads all middleware at its first request
    clients["worker"].defaults |= {"HTTP_AUTHORIZATION": f"Bearer {key}", "HTTP_VLOG_AGENT": "1"}
    for name, user in users.items():
        clients[name].force_login(user)
    sessions = {person: client.cookies.copy() for person, client in clients.items()}

    def as_person(person: str) -> Client:
        clients[person].cookies = sessions[person].copy()
        return clients[person]

    return as_person


def filled(how: str, rows: dict[str, Any]) -> str:
    return re.sub(r"<(.+?)>", lambda match: str(rows[match[1]]), how)


def is_hidden(response: Any, path: str) -> bool:
    """Return whether the answer says that there is no such row: a limited editor gets it for the videos of others."""
    if response.status_code == 404:
        return b"There is no video" in response.content or b"The playlist has no video" in response.content
    return response.headers.get("Location") == "/admin/" and path.startswith(("/admin/videos/", "/admin/transcoding/"))


def is_let(client: Client, how: str) -> bool:
    """Return whether this client may send a request or run an action of a list."""
    method, *rest = how.split(" ")
    if method == "ACTION":
        name, path = rest
        return (
            re.search(rf'<(option|button [^>]*name="action") value="{name}"', client.get(path).content.decode())
            is not None
        )
    send = {
        "POST": partial(client.post, data={"post": "yes"}),
        "PUT": client.put,
        "PATCH": client.patch,
        "DELETE": client.delete,
        "GET": client.get,
    }[method]
    with undone():
        response = send(rest[0])
    assert response.status_code < 500
    if is_hidden(response, rest[0]):
        return False
    if rest[0].startswith(CHECKED_FIRST) or method == "PATCH":
        return response.status_code not in (401, 403)
    return response.status_code < 400 and not response.headers.get("Location", "").startswith("/admin/login/")


@pytest.mark.parametrize(("how", "may"), LINES)
def test_everybody_may_what_the_table_says_and_nothing_else(enter, rows, how, may):
    assert {role: is_let(enter(role), filled(how, rows)) for role in may} == may


def test_every_address_of_the_site_stands_in_the_table(rows):
    concrete = {filled(how, rows).split(" ")[-1].split("?")[0].lstrip("/") for how, _ in LINES}
    missing = [
        route for route, pattern in routes(get_resolver()) if not any(pattern.fullmatch(path) for path in concrete)
    ]
    assert sorted(set(missing) - NOT_FOR_ROLES) == []


@pytest.fixture(scope="module")
def made(rows, users, encoded):
    """A video with its files and captions, which everybody may watch as soon as it plays."""
    category, tag = Category.objects.get(pk=rows["category-id"]), Tag.objects.get(pk=rows["tag-id"])
    video = VideoFactory(public=True, category=category, title="Harbour of quartz", slug="former", publish_early=True)
    video.slug = "harbour-of-quartz"
    video.save(update_fields=["slug"])
    video.tags.add(tag)
    FeaturedVideo.objects.feature([video.pk])
    Playlist.objects.get(pk=rows["playlist-id"]).add([video.pk])
    PlaylistFactory(slug="unlisted-playlist", visibility="unlisted", videos=[video])
    PlaylistFactory(slug="its-playlist", videos=[video])  # its poster stands for it
    for how, *_ in IN_EACH_STATE:
        for name in re.findall(r"/media/<(?:old|package)>/(?!<)(\S+)`", how):
            files.store(package_dir(video) / name, b"#EXTM3U\n")
    files.store(source_path(video), b"original")
    let_download(video, encoded)
    Transcription.objects.create(video=video, status="completed", language="en")
    add_captions(video, (1, 2, "A zeppelin is above the harbour"))
    TranscodingJobFactory(video=video)
    return video


@pytest.fixture
def video(made):
    """The video, public; afterwards its files are again in their place."""
    with undone():
        yield Video.objects.get(pk=made.pk)
    placement.relocate(Video.objects.get(pk=made.pk))


def early(video):
    Video.objects.filter(pk=video.pk).update(status="processing")


def fail(video):
    early(video)
    video.job.fail("The source cannot be read.")


def become(visibility, video, **when):
    publication.set_visibility(video, visibility, password=PASSWORD if visibility == "password" else "", **when)


def become_as_planned(visibility, video):
    """The moment of a planned change has come, and beat has not applied it yet."""
    become(visibility, video, at=timezone.now() + timedelta(hours=1))
    VisibilityChange.objects.filter(video=video).update(at=timezone.now() - timedelta(seconds=1))


CHANGES = {
    "public": lambda video: None,
    "early": early,
    "unlisted": partial(become, "unlisted"),
    "password": partial(become, "password"),
    "private": partial(become, "private"),
    "processing": lambda video: Video.objects.filter(pk=video.pk).update(status="processing", publish_early=False),
    "failed": fail,
    "archived": lambda video: archive.archive(video.pk, by="ann"),
}


def settled(video: Video) -> Video:
    """Return the video as it is now, with its files in their place."""
    tasks.relocate()
    return Video.objects.get(pk=video.pk)


@pytest.fixture
def link(video):
    return publication.share(video, "Bob", 7)


def owned(person: str, video: Video, link: tuple[str, ShareLink], users: dict[str, User]) -> dict[str, str]:
    """Return what a person has: a grant, and a link."""
    stranger = Video(pk=video.pk + 1, password=video.password)
    grant = grants.for_password(stranger)
    if person in users:
        grant = grants.for_editor(users[person], video)
    elif person == "guest":
        grant = grants.for_link(link[1])
    elif person == "knows the password":
        grant = grants.for_password(video)
    return {"grant": grant, "link": link[0] if person == "guest" else vlog_keys.new()}


@pytest.mark.parametrize("state", CHANGES)
def test_in_each_state_everybody_gets_what_the_table_says_and_nothing_else(enter, rows, users, video, link, state):
    old = package_name(video)
    CHANGES[state](video)
    video = settled(video)
    known = known_of(rows, video, old)
    expected, found = {}, {}
    has = {person: owned(person, video, link, users) for person in PEOPLE}
    for requests, *cells in IN_EACH_STATE:
        for number, how in enumerate(re.findall(r"`(.+?)`", requests)):
            people = PEOPLE if number == 0 else DIFFERENT  # who is like another one tries one request of each line
            expected[how] = WHO[cells[STATES[1:].index(state)]] & set(people)
            found[how] = {one for one in people if gets(enter(one), filled(how, known | has[one]), known | has[one])}
    assert found == expected
    assert set(STATES[1:]) == set(CHANGES)


@pytest.mark.slow("asks for every address before and after each of the changes")
@pytest.mark.parametrize("change", [become, become_as_planned])
@pytest.mark.parametrize(("before", "after"), [*itertools.permutations(Visibility.values, 2)])
def test_a_change_counts_at_once_for_everybody(enter, rows, users, video, link, before, after, change):
    become(before, video)
    video = settled(video)
    has = {person: owned(person, video, link, users) for person in DIFFERENT}
    old = package_name(video)
    change(after, video)
    video = settled(video)
    if after == "password":
        has["knows the password"] = owned("knows the password", video, link, users)
    known = known_of(rows, video, old)
    expected, found = {}, {}
    for how, who in expectations(after, key_is_new=package_name(video) != old):
        expected[how] = WHO[who] & set(DIFFERENT)
        found[how] = {one for one in DIFFERENT if gets(enter(one), filled(how, known | has[one]), known | has[one])}
    assert found == expected
    is_narrower = reach(after) < reach(before)
    assert (package_name(video) != old) == (is_narrower and change is become)


def expectations(visibility: str, *, key_is_new: bool) -> Any:
    """Yield the first request of each line about viewers, and who gets it under this visibility.

    Under the old address of its files they get nothing, or if it is still the present one, what they get there.
    """
    column = STATES[1:].index(visibility)
    rows = [(re.search(r"`(.+?)`", requests)[1], cells[column]) for requests, *cells in IN_EACH_STATE]
    present = {"<grant>" in how: who for how, who in rows if how.startswith("GET /media/<package>")}
    for how, who in rows:
        if "<old>" in how:
            yield how, "none" if key_is_new else present["<grant>" in how]
        elif "admin" not in how and "restore" not in how:
            yield how, who


def reach(visibility: str) -> int:
    return REACH.get(visibility, 0)


def known_of(rows: dict[str, Any], video: Video, old: str) -> dict[str, Any]:
    known = {"video": video.pk, "slug": "harbour-of-quartz", "old": old, "package": package_name(video)}
    known |= {
        "playlist": rows["playlist"],
        "playlist-id": rows["playlist-id"],
        "unlisted-playlist": "unlisted-playlist",
    }
    known["map"] = f"videos-{video.pk // SIZE}"
    return known | {name: rows[name] for name in ("category", "tag", "month")} | {"other": rows["public"]}


def gets(client: Client, how: str, known: dict[str, Any]) -> bool:
    """Return whether this client gets the answer, or with IN a page that mentions the video."""
    method, path = how.split(" ")
    message = {"video": known["slug"], "grant": known["grant"]}
    with undone():
        if method == "PLAY":
            response = client.post(path, message, content_type="application/json")
        else:
            response = {"POST": client.post, "PATCH": client.patch}.get(method, client.get)(path)
    assert response.status_code < 500
    if method != "IN" or response.status_code not in (200, 301):
        return response.status_code in (200, 204, 428)  # the last one asks for the version of a change
    addresses = "/watch/harbour-of-quartz/", "/embed/harbour-of-quartz/"
    names = "Harbour of quartz", *addresses, known["old"], known["package"]
    answer = response.headers.get("Location", "") + response.content.decode()
    return any(name in answer for name in names)


def routes(resolver: URLResolver, route: str = "", regex: str = "") -> Any:
    """Yield each address pattern of the site, as text and as a regular expression."""
    for entry in resolver.url_patterns:
        own = entry.pattern.regex.pattern.removeprefix("^").removeprefix("\\A")
        here, expression = route + str(entry.pattern), regex + own
        if isinstance(entry, URLPattern):
            yield here, re.compile(re.sub(r"\?P<\w+>", "", expression).replace("\\Z", ""))
        else:
            yield from routes(entry, here, expression)
