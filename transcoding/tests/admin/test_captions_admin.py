"""The admin pages of transcriptions, as an editor uses them."""

import pytest
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from transcoding.admin.transcriptions import OFF
from transcoding.models import ChunkKind, TranscodingChunk
from transcoding.tests.engine.test_plan import audio, plan_of
from videos.models import Transcription, Video
from videos.tests.factories import CategoryFactory, TranscodingJobFactory, VideoFactory

pytestmark = pytest.mark.django_db

LIST = "/admin/videos/transcription/"


@pytest.fixture(autouse=True)
def switched_on(settings):
    settings.WHISPER_MODEL = "base"


@pytest.fixture
def editor(client, django_user_model):
    user = django_user_model.objects.create_user("ada", is_staff=True)
    names = ["change_transcription", "view_transcription"]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(user)
    return client


def video(title="Walk", **transcription):
    """A published video with sound, and its transcription where columns of one are given."""
    plan = plan_of(sound=audio()).to_json()
    job = TranscodingJobFactory(video=VideoFactory(title=title, public=True), plan=plan)
    if transcription:
        Transcription.objects.create(video=job.video, **transcription)
    return job.video


def waiting(title="Walk"):
    found = video(title, status="pending")
    TranscodingChunk.objects.create(job=found.job, kind=ChunkKind.TRANSCRIPTION)
    return found


def act(client, action, *videos):
    rows = [found.transcription.pk for found in videos]
    return client.post(LIST, {"action": action, "_selected_action": rows}, follow=True).content.decode()


def row(found):
    return Transcription.objects.get(video=found)


def test_the_list_tells_how_each_stands(editor):
    video("Heard", status="completed", word_count=7, language="de", duration_seconds=61.0)
    video("Half", status="processing", progress_percent=40)
    video("Mute", status="completed", word_count=0, error_message="The video has no sound, so there are no captions.")
    video("Broken", status="failed", error_message="Cancelled by ada.")
    text = editor.get(LIST).content.decode()
    for part in ("German", "1:01", "40 % transcribed", "No captions", "The video has no sound", "Cancelled by ada."):
        assert part in text


def test_the_number_of_queries_does_not_grow_with_the_rows(editor):
    video("One", status="completed")
    editor.get(LIST)
    with CaptureQueriesContext(connection) as one:
        editor.get(LIST)
    for title in ("Two", "Three"):
        video(title, status="completed")
    with CaptureQueriesContext(connection) as three:
        editor.get(LIST)
    assert len(one) == len(three)


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_finished_ones_can_be_transcribed_again(editor, status):
    found = video(status=status, error_message="It was too loud.", given_language="de")
    assert "1 video will be transcribed." in act(editor, "transcribe_again", found)
    assert (row(found).status, row(found).error_message, row(found).given_language) == ("pending", None, "de")
    assert found.job.chunks.get().kind == "transcription"


def test_a_pending_one_is_not_transcribed_twice(editor):
    assert "None of these videos can be transcribed" in act(editor, "transcribe_again", waiting())


def test_a_cancel_says_who(editor):
    found = waiting()
    assert "1 transcription cancelled." in act(editor, "cancel", found)
    assert (row(found).status, row(found).error_message) == ("failed", "Cancelled by ada.")
    assert found.job.chunks.get().status == "cancelled"
    assert "None of these transcriptions is pending" in act(editor, "cancel", found)


def test_another_language_transcribes_it_again(editor):
    found = video(status="completed", language="en")
    address = f"{LIST}{found.transcription.pk}/change/"
    assert "Spoken language" in editor.get(address).content.decode()
    text = editor.post(address, {"given_language": "cy"}, follow=True).content.decode()
    assert "The video will be transcribed." in text
    assert (row(found).status, row(found).given_language) == ("pending", "cy")


def test_a_language_that_there_is_not_is_refused(editor):
    found = video(status="completed")
    text = editor.post(f"{LIST}{found.transcription.pk}/change/", {"given_language": "xx"}).content.decode()
    assert "Select a valid choice" in text
    assert row(found).status == "completed"


def test_the_form_of_a_running_one_changes_nothing(editor):
    found = waiting()
    text = editor.post(f"{LIST}{found.transcription.pk}/change/", {"given_language": "de"}).content.decode()
    assert "This transcription is pending or running." in text
    assert row(found).given_language == ""


def test_a_video_published_earlier_is_added(editor):
    found = video("Earlier")
    hidden = [video("Archived"), VideoFactory(title="Failed", status="failed"), video("Heard", status="completed")]
    Video.objects.filter(pk=hidden[0].pk).update(deleted_at=timezone.now())
    text = editor.get(f"{LIST}add/").content.decode()
    assert ">Earlier</option>" in text
    assert not any(f">{other}</option>" in text for other in ("Archived", "Failed", "Heard"))
    editor.post(f"{LIST}add/", {"video": found.pk, "given_language": "fr"})
    assert (row(found).status, row(found).given_language) == ("pending", "fr")


def test_where_captions_are_switched_off_it_says_what_to_do(editor, settings):
    settings.WHISPER_MODEL = "none"
    found = video(status="failed", error_message="Cancelled by ada.")
    assert str(OFF) in editor.get(LIST).content.decode()
    assert str(OFF) in act(editor, "transcribe_again", found)
    assert str(OFF) in editor.post(f"{LIST}{found.transcription.pk}/change/", {"given_language": ""}).content.decode()
    assert row(found).status == "failed"


def test_archived_videos_are_not_in_the_list(editor):
    found = video("Gone", status="completed")
    Video.objects.update(deleted_at=timezone.now())
    assert "Gone" not in editor.get(LIST).content.decode()
    assert editor.get(f"{LIST}{found.transcription.pk}/change/").status_code == 302


def test_who_may_only_look_can_do_nothing(client, django_user_model):
    user = django_user_model.objects.create_user("bob", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_transcription"))
    client.force_login(user)
    found = waiting()
    assert 'value="cancel"' not in client.get(LIST).content.decode()
    act(client, "cancel", found)
    assert client.post(f"{LIST}{found.transcription.pk}/change/", {"given_language": "de"}).status_code == 403
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.get(f"{LIST}{found.transcription.pk}/delete/").status_code == 403
    assert row(found).status == "pending"


def test_strangers_are_sent_to_log_in(client):
    assert client.get(LIST).status_code == 302


class TestDesk:
    """The desk of a video, and the command, have its names and terms beside those of its category and the site."""

    DESK = "/admin/videos/video/{}/captions/"

    def test_names_and_terms_are_given_with_a_new_run(self, admin_client, settings):
        settings.WHISPER_PROMPT = "VLog"
        found = video(status="completed", given_language="de", glossary="Nessebar")
        category = CategoryFactory(glossary="Alm")
        Video.objects.filter(pk=found.pk).update(category=category)
        page = admin_client.get(self.DESK.format(found.pk)).content.decode()
        assert 'value="Nessebar"' in page
        assert '<option value="de" selected>German</option>' in page
        assert "Those of the site and the category are used, too: VLog, Alm" in page
        spoken = {"action": "transcribe", "given_language": "fr", "glossary": "Dr. Ozgur"}
        answer = admin_client.post(self.DESK.format(found.pk), spoken, follow=True).content.decode()
        assert "Captions are being made." in answer
        assert (row(found).status, row(found).given_language, row(found).glossary) == ("pending", "fr", "Dr. Ozgur")

    @pytest.mark.parametrize(
        ("spoken", "sentence"),
        [
            ({"glossary": "x" * 401}, "at most 400 characters"),
            ({"given_language": "xx"}, "Select a valid choice"),
        ],
    )
    def test_what_whisper_cannot_be_told_is_a_sentence(self, admin_client, spoken, sentence):
        found = video(status="completed", glossary="Nessebar")
        form = {"action": "transcribe", **spoken}
        assert sentence in admin_client.post(self.DESK.format(found.pk), form, follow=True).content.decode()
        assert (row(found).status, row(found).glossary) == ("completed", "Nessebar")

    def test_a_video_without_a_transcription_has_an_empty_field(self, admin_client):
        found = video()
        assert 'name="glossary"' in admin_client.get(self.DESK.format(found.pk)).content.decode()

    def test_those_of_a_category_are_in_its_form(self, admin_client):
        category = CategoryFactory()
        page = admin_client.get(f"/admin/videos/category/{category.pk}/change/").content.decode()
        assert 'name="glossary"' in page

    def test_the_command_has_them_too(self, capsys):
        found = video(status="completed", glossary="Nessebar")
        call_command("captions", "transcribe", found.slug, "--terms", "Dr. Ozgur")
        assert (row(found).status, row(found).glossary) == ("pending", "Dr. Ozgur")
        with pytest.raises(CommandError, match="--terms has 401 characters, and may have 400") as refused:
            call_command("captions", "transcribe", found.slug, "--terms", "x" * 401)
        assert refused.value.returncode == 2
