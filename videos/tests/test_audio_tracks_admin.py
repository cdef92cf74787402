"""Audio tracks in the form of a video."""

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from transcoding.tests.engine.test_plan import audio, encoded, plan_of
from videos.models import AudioTrack
from videos.storage.paths import package_dir
from videos.tests.factories import TranscodingJobFactory, VideoFactory
from videos.tests.versions import version_of

pytestmark = pytest.mark.django_db

MASTER = """#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="Audio",LANGUAGE="und",DEFAULT=YES,URI="audio/index.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="audio"
720p/index.m3u8
"""
# What else the form sends: nothing that changes the video.
REST = {
    "visibility": "public",
    "initial-visibility": "public",
    "chapters-TOTAL_FORMS": 0,
    "chapters-INITIAL_FORMS": 0,
}


@pytest.fixture(autouse=True)
def own_folders(settings, tmp_path):
    settings.MEDIA_DIR = tmp_path


@pytest.fixture
def video():
    video = VideoFactory(public=True)
    plan = plan_of(encoded(), audio(codec="mp3")).to_json()
    (sound,) = [each for each in plan["renditions"] if each["kind"] == "audio"]
    plan["renditions"].append({**sound, "key": "audio-2", "tier": 1, "default": False})
    TranscodingJobFactory(video=video, plan=plan)
    package_dir(video).mkdir()
    (package_dir(video) / "master.m3u8").write_text(MASTER)
    for number, key in enumerate(("audio", "audio-2")):
        AudioTrack.objects.create(video=video, rendition=key, name=key, position=number, is_default=not number)
    return video


@pytest.fixture
def enter(client):
    def as_one_who_may(*codenames):
        user = User.objects.create_user("ann", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client.force_login(user)

    return as_one_who_may


def send(client, video, **changes):
    """Send the form of a video with changes such as `name_1` of its second audio track."""
    form = {**REST, "title": video.title, "slug": video.slug, "from_version": version_of(video)}
    form |= {"audio_tracks-TOTAL_FORMS": 2, "audio_tracks-INITIAL_FORMS": 2}
    for number, track in enumerate(video.audio_tracks.all()):
        values = {"id": track.pk, "video": video.pk, "position": track.position, "name": track.name}
        values |= {"language": track.language, "role": track.role}
        values |= {"default": "on"} if track.is_default else {}
        values |= {name[:-2]: value for name, value in changes.items() if name.endswith(f"_{number}")}
        form |= {f"audio_tracks-{number}-{name}": value for name, value in values.items() if value is not None}
    return client.post(reverse("admin:videos_video_change", args=[video.pk]), form)


def audio_lines(video):
    text = (package_dir(video) / "master.m3u8").read_text()
    return [line for line in text.splitlines() if "TYPE=AUDIO" in line]


def test_an_editor_describes_the_tracks_and_viewers_get_them_so(client, enter, video):
    enter("view_video", "change_video")
    assert (
        send(client, video, name_0="English", language_0="en", name_1="Director", role_1="commentary").status_code
        == 302
    )
    assert list(video.audio_tracks.values_list("name", "language", "role")) == [
        ("English", "en", ""),
        ("Director", "und", "commentary"),
    ]
    assert ['NAME="English",LANGUAGE="en"' in line for line in audio_lines(video)] == [True, False]
    assert len(audio_lines(video)) == 2


def test_another_track_becomes_the_default_and_the_former_is_hidden(client, enter, video):
    enter("view_video", "change_video")
    assert send(client, video, default_0=None, hidden_0="on", default_1="on").status_code == 302
    assert list(video.audio_tracks.values_list("rendition", "is_default", "hidden")) == [
        ("audio", False, True),
        ("audio-2", True, False),
    ]
    assert ['URI="audio-2/' in line for line in audio_lines(video)] == [True]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"default_0": None}, "Choose exactly one audio track as the default."),
        ({"default_1": "on"}, "Choose exactly one audio track as the default."),
        ({"hidden_0": "on"}, "The default audio track cannot be hidden."),
        ({"name_1": "audio"}, "Give each audio track a name of its own"),
        ({"name_1": 'The "director"'}, "The name must not contain"),
        ({"language_1": 'e"g'}, "Give the code of a language"),
        ({"name_1": ""}, "This field is required."),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(client, enter, video, changes, message):
    enter("view_video", "change_video")
    response = send(client, video, **changes)
    assert response.status_code == 200
    assert message in response.content.decode().replace("&quot;", '"')
    assert (package_dir(video) / "master.m3u8").read_text() == MASTER


def test_who_may_only_look_changes_nothing(client, enter, video):
    enter("view_video")
    assert "audio-2" in client.get(reverse("admin:videos_video_change", args=[video.pk])).content.decode()
    assert send(client, video, name_0="English").status_code == 403
    assert video.audio_tracks.first().name == "audio"


def test_without_tracks_the_form_works(client, enter, video):
    enter("view_video", "change_video")
    video.audio_tracks.all().delete()
    form = {**REST, "title": "Another", "slug": video.slug, "from_version": version_of(video)}
    assert client.post(reverse("admin:videos_video_change", args=[video.pk]), form).status_code == 302
    video.refresh_from_db()
    assert video.title == "Another"


def test_the_number_of_queries_does_not_depend_on_the_number_of_tracks(client, enter, video):
    enter("view_video", "change_video")
    address = reverse("admin:videos_video_change", args=[video.pk])
    client.get(address)
    with CaptureQueriesContext(connection) as few:
        client.get(address)
    for number in range(3, 6):
        AudioTrack.objects.create(video=video, rendition=f"audio-{number}", name=str(number), position=number)
    with CaptureQueriesContext(connection) as many:
        client.get(address)
    assert len(few) == len(many)
