import re
from io import StringIO

import av
import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command

from videos.management.commands.welcome import SAMPLE_SECONDS, SAMPLE_TITLE, generate_sample
from videos.models import Video


def welcome(*, only: str) -> str:
    output = StringIO()
    call_command("welcome", only=[only], stdout=output)
    return output.getvalue()


@pytest.fixture
def _new_installation(settings, tmp_path):
    settings.DATA_DIR = tmp_path


@pytest.mark.django_db
def test_the_first_start_makes_an_administrator_and_shows_the_password(client, settings):
    settings.BASE_URL = "https://vlog.example.org"
    shown = welcome(only="account")
    assert "https://vlog.example.org/admin/" in shown
    (password,) = re.findall(r"password  (\S+)", shown)
    assert client.login(username="admin", password=password)
    user = get_user_model().objects.get()
    assert (user.is_superuser, user.is_staff) == (True, True)


@pytest.mark.django_db
def test_later_starts_make_no_second_account_and_show_nothing():
    welcome(only="account")
    before = get_user_model().objects.values_list("username", "password").get()
    assert welcome(only="account") == ""
    assert get_user_model().objects.values_list("username", "password").get() == before


@pytest.mark.django_db
def test_where_there_are_users_no_account_is_made():
    get_user_model().objects.create_user("anna")
    assert welcome(only="account") == ""
    assert not get_user_model().objects.filter(username="admin").exists()


@pytest.mark.usefixtures("_new_installation")
@pytest.mark.django_db
@pytest.mark.slow("makes the sample video, and is killed on the way")
def test_only_the_first_start_publishes_a_sample_whoever_kills_it(settings, tmp_path):
    left = settings.UPLOADS_DIR / "sample-left"  # by a start that was killed while it drew
    left.mkdir()
    (left / "sample.mp4").write_bytes(b"half")
    welcome(only="sample")
    assert list(settings.UPLOADS_DIR.glob("sample-*")) == []
    sample = Video.objects.get()
    assert sample.title == SAMPLE_TITLE
    welcome(only="sample")
    (tmp_path / "sample-made").unlink()  # as one leaves it that was killed just after the sample
    welcome(only="sample")
    assert Video.objects.get() == sample
    sample.delete()
    welcome(only="sample")
    assert not Video.objects.exists()


@pytest.mark.slow("makes the sample video, and is killed on the way")
def test_the_sample_is_what_players_and_the_copying_of_streams_like(tmp_path):
    with av.open(generate_sample(tmp_path / "sample.mp4")) as clip:
        video, audio = clip.streams.video[0], clip.streams.audio[0]
        assert (video.codec_context.name, video.width, video.height) == ("h264", 1280, 720)
        assert (video.average_rate, video.codec_context.pix_fmt) == (30, "yuv420p")
        assert (audio.codec_context.name, audio.channels) == ("aac", 2)
        assert video.frames == SAMPLE_SECONDS * 30
        keyframes = [packet.pts * packet.time_base for packet in clip.demux(video) if packet.is_keyframe]
        assert keyframes == list(range(0, SAMPLE_SECONDS, 2))
