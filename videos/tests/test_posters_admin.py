"""The poster on a video's page in the admin: candidates, choices, uploads and refusals."""

import io
import re

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from PIL import Image

from transcoding.engine.thumbnails import BYTES, SIDE
from videos import archive, forms
from videos.admin import thumbnails
from videos.models import Video
from videos.storage.paths import chosen_poster_path, package_dir, package_url
from videos.tests.factories import TranscodingJobFactory, VideoFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders")]


@pytest.fixture
def video(own_folders):
    video = VideoFactory(public=True)
    TranscodingJobFactory(video=video)
    package_dir(video).mkdir()
    for number in range(3):
        (package_dir(video) / f"poster-{number}.jpg").write_bytes(b"picture %d" % number)
    (package_dir(video) / "poster.jpg").write_bytes(b"picture 1")
    return video


@pytest.fixture
def enter(client):
    def as_one_who_may(*codenames):
        user = User.objects.create_user("ann", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client.force_login(user)

    return as_one_who_may


@pytest.fixture
def editor(enter):
    enter("view_video", "change_video")


def change(video):
    return reverse("admin:videos_video_change", args=[video.pk])


def take(client, video, **data):
    """Send the form and return the message that the editor reads afterwards."""
    response = client.post(reverse("admin:videos_video_poster", args=[video.pk]), data)
    assert (response.status_code, response["Location"]) == (302, change(video) + "#poster")
    page = client.get(change(video)).content.decode()
    return page.split('<ul class="messagelist">')[1].split("</li>")[0].split(">")[-1]


def sent(data, name="sent.png"):
    return SimpleUploadedFile(name, data)


def png(size=(640, 360)):
    data = io.BytesIO()
    Image.new("RGB", size, "teal").save(data, "PNG")
    return data.getvalue()


def poster_of(video):
    return (package_dir(video) / "poster.jpg").read_bytes()


def test_the_page_offers_what_was_found_and_marks_the_poster(client, editor, video):
    page = client.get(change(video)).content.decode()
    assert [page.count(thumbnails.address(video, number)) for number in range(3)] == [1, 1, 1]
    assert re.findall(r'<input type="radio" name="poster" value="(\d)" data-current>', page) == ["1"]
    assert 'alt="Frame 2 of 3, the current poster"' in page


def test_before_there_are_pictures_the_page_says_when(client, editor):
    video = VideoFactory()
    page = client.get(change(video)).content.decode()
    assert "There is no poster yet." in page
    assert "appear here a few seconds after the video is ready" in page


def test_the_editor_chooses_one(client, editor, video):
    assert take(client, video, candidate="2") == "The poster was changed."
    assert poster_of(video) == chosen_poster_path(video).read_bytes() == b"picture 2"
    assert Video.objects.get(pk=video.pk).poster_version == 1
    assert f'src="{package_url(video, "poster.jpg")}?v=1"' in client.get(change(video)).content.decode()


def test_the_editor_sends_one(client, editor, video, settings):
    assert take(client, video, picture=sent(png())) == "The poster was changed."
    image = Image.open(io.BytesIO(poster_of(video)))
    assert (image.format, image.size) == ("JPEG", (640, 360))
    assert list(settings.UPLOADS_DIR.iterdir()) == [], "what was sent is kept"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({}, "Choose an image first."),
        ({"candidate": "7"}, "This image is no longer available. Choose another one."),
        ({"candidate": "../../1"}, "Enter a whole number."),
        ({"candidate": "-1"}, "Ensure this value is greater than or equal to 0."),
        (
            {"picture": sent(b"<svg/>")},
            "This file is neither a JPEG nor a PNG. Choose a picture of one of these.",
        ),
        ({"picture": sent(b"\xff\xd8\xff no")}, "This picture cannot be read. Save it again as a JPEG, and send that."),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(client, editor, video, data, sentence):
    assert take(client, video, **data) == sentence
    assert poster_of(video) == b"picture 1"
    assert not chosen_poster_path(video).exists()


def test_a_picture_that_is_too_large_is_refused(client, editor, video, monkeypatch):
    monkeypatch.setattr(forms, "MAX_POSTER_BYTES", 100)
    assert take(client, video, picture=sent(png())).startswith("This image is larger than")
    assert poster_of(video) == b"picture 1"


def test_who_may_only_look_sees_no_choice_and_has_none(client, enter, video):
    enter("view_video")
    page = client.get(change(video))
    assert page.status_code == 200
    assert "poster-1.jpg" not in page.content.decode()
    response = client.post(reverse("admin:videos_video_poster", args=[video.pk]), {"candidate": "2"})
    assert response.status_code == 403
    assert poster_of(video) == b"picture 1"


def test_strangers_and_archived_videos(client, enter, video):
    address = reverse("admin:videos_video_poster", args=[video.pk])
    assert "/login/" in client.post(address, {"candidate": "2"})["Location"]
    enter("view_video", "change_video")
    assert client.get(address).status_code == 302
    archive.archive(video.pk, "ann")
    assert client.post(address, {"candidate": "2"}).status_code == 404


def test_a_form_without_its_token_is_refused(video, enter, client):
    enter("view_video", "change_video")
    client.handler.enforce_csrf_checks = True
    response = client.post(reverse("admin:videos_video_poster", args=[video.pk]), {"candidate": "2"})
    assert response.status_code == 403
    assert poster_of(video) == b"picture 1"


class TestThumbnails:
    @pytest.fixture
    def poster(self, video):
        noise = Image.effect_noise((1280, 720), 100).convert("RGB")  # nothing is larger as a JPEG
        noise.save(package_dir(video) / "poster.jpg", quality=95)
        Image.new("RGB", (720, 1280), "teal").save(package_dir(video) / "poster-1.jpg")

    @pytest.mark.usefixtures("editor", "poster")
    @pytest.mark.parametrize(("number", "size"), [(None, (SIDE, 126)), (1, (126, SIDE))])
    def test_they_are_small_and_browsers_keep_them(self, client, video, number, size):
        response = client.get(thumbnails.address(video, number))
        assert (response.status_code, response["Content-Type"]) == (200, "image/jpeg")
        assert Image.open(io.BytesIO(response.content)).size == size
        assert len(response.content) <= BYTES
        assert response["Cache-Control"] == "private, max-age=31536000, immutable"

    @pytest.mark.usefixtures("poster")
    def test_another_poster_has_another_address(self, client, editor, video):
        before = thumbnails.address(video)
        take(client, video, candidate="1")
        assert thumbnails.address(Video.objects.get(pk=video.pk)) != before

    @pytest.mark.usefixtures("editor")
    @pytest.mark.parametrize("number", [None, 0, 7, 8, 99])
    def test_what_is_no_picture_or_no_candidate_is_not_found(self, client, video, number):
        assert client.get(thumbnails.address(video, number)).status_code == 404

    @pytest.mark.usefixtures("poster")
    def test_who_may_not_see_videos_in_the_desk_is_refused(self, client, enter, video):
        enter()
        assert client.get(thumbnails.address(video)).status_code == 403
