"""The security headers of every kind of answer."""

import shutil

import pytest
from django.conf import settings
from django.contrib.auth.models import User

from videos.models import Video
from videos.tests.factories import VideoFactory
from videos.tests.test_media import PACKAGE, write
from vlog.security_headers import ALLOWED, DENIED

pytestmark = pytest.mark.django_db

# address, status, whether other sites may load it, whether it is a page
ANSWERS = [
    ("/", 200, False, True),
    ("/nothing/", 404, False, True),
    ("/feed.xml", 200, False, False),
    ("/admin/", 200, False, True),
    ("/admin/login/", 302, False, True),
    ("/api/v1/videos/", 200, False, False),
    ("/api/schema/", 200, False, False),
    ("/api/worker/v1/claim", 401, False, False),
    ("/healthz", 200, False, False),
    (f"/media/{PACKAGE}/poster.jpg", 200, True, False),
    (f"/media/{PACKAGE}/master.m3u8", 200, True, False),
    ("/media/nothing", 404, True, True),
    ("/static/admin/css/base.css", 200, True, False),
]


@pytest.fixture
def package(db):
    pk, _, key = PACKAGE.partition("-")
    VideoFactory(public=True, pk=int(pk))
    Video.objects.filter(pk=pk).update(media_key=key)
    for name in ("poster.jpg", "master.m3u8"):
        write(settings.MEDIA_DIR / PACKAGE / name, b"#EXTM3U\n")
    yield
    shutil.rmtree(settings.MEDIA_DIR / PACKAGE)


@pytest.mark.parametrize(("address", "status", "is_for_others", "is_page"), ANSWERS)
def test_every_answer_says_which_sites_may_load_it(client, package, address, status, is_for_others, is_page):
    client.force_login(User.objects.create_superuser("anna"))
    response = client.get(address)
    response.close()
    assert response.status_code == status
    assert response["Cross-Origin-Resource-Policy"] == ("cross-origin" if is_for_others else "same-origin")
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response["X-Content-Type-Options"] == "nosniff"
    if status == 200:
        assert ("Permissions-Policy" in response) == is_page


def test_pages_may_play_and_use_no_device(client):
    policy = dict(entry.split("=") for entry in client.get("/")["Permissions-Policy"].split(", "))
    assert {name for name, allowed in policy.items() if allowed == "(self)"} == set(ALLOWED)
    assert {name for name, allowed in policy.items() if allowed == "()"} == set(DENIED)
    assert {"camera", "microphone", "geolocation"} < set(DENIED)
