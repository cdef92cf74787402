"""`manage.py import_video`, as an operator uses it."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from transcoding.tests import clips, texts
from transcoding.tests.conftest import database_url, wait_for
from videos.models import Category, Cue, Video
from videos.storage.paths import package_dir, source_path
from vlog.environment import Reserve
from workers.models import Worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    return clips.make(
        tmp_path_factory.mktemp("short") / "My holiday.mp4",
        *("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=1", *clips.H264),
    )


@pytest.fixture
def uploads(settings, tmp_path):
    """A folder of uploads that no other test process writes to."""
    settings.UPLOADS_DIR = tmp_path / "uploads"
    return settings.UPLOADS_DIR


def run(*arguments, **options):
    out, err = io.StringIO(), io.StringIO()
    call_command("import_video", *map(str, arguments), stdout=out, stderr=err, **options)
    return out.getvalue() + err.getvalue()


def refused(*arguments, **options):
    with pytest.raises(CommandError) as error:
        run(*arguments, **options)
    return error.value.returncode, str(error.value)


@pytest.fixture
def quick(broker, settings):
    settings.X264_PRESET = "ultrafast"


@pytest.mark.usefixtures("quick")
class TestWithoutAWorker:
    def test_wait_does_the_work_itself_and_prints_the_address(self, short):
        said = run(short, wait=True)
        video = Video.objects.get()
        assert (video.status, video.title, video.slug) == ("ready", "My holiday", "my-holiday")
        assert f"Ready: {settings.BASE_URL}/watch/my-holiday/" in said
        assert "100 %" in said
        assert short.exists()
        assert source_path(video).read_bytes() == short.read_bytes()

    def test_the_process_that_did_the_work_is_in_the_audit_and_offline_afterwards(self, short):
        run(short, wait=True)
        worker = Worker.objects.get()
        assert worker.worker_name.startswith("import@")
        assert worker.status == "offline"
        assert Video.objects.get().job.processed_by_worker_id == worker.worker_id

    def test_without_wait_the_video_stays_in_the_queue(self, short):
        assert "Imported My holiday.mp4 as «Title»" in run(short, title="Title")
        assert Video.objects.get().status == "pending"

    def test_category_tags_and_downloads_are_set(self, short):
        category = Category.objects.create(name="Sea and sand")
        run(short, category="sea and SAND", tags="a, b,, a", downloads=True)
        run(short, category="sea-and-sand", again=True)
        assert list(Video.objects.order_by("pk").values_list("downloads", flat=True)) == [True, False]
        assert set(Video.objects.values_list("category", flat=True)) == {category.pk}
        assert sorted(Video.objects.order_by("pk")[0].tags.values_list("name", flat=True)) == ["a", "b"]

    def test_a_folder_is_imported_file_by_file(self, short, tmp_path):
        for name in ("b.mp4", "a.mp4", ".hidden.mp4"):
            (tmp_path / name).write_bytes(short.read_bytes() + name.encode())
        run(tmp_path)
        assert list(Video.objects.order_by("pk").values_list("title", flat=True)) == ["a", "b"]

    def test_a_folder_is_imported_with_what_belongs_to_each_file(self, short, tmp_path):
        (tmp_path / "a.mp4").write_bytes(short.read_bytes())
        for name in ("a.fr.srt", "a.srt", "notes.srt", "b.jpg"):
            texts.written(tmp_path / name, texts.SRT.format(first="Ça va.", second="Oui."), "cp1252")
        (tmp_path / "a.srt").write_text("no subtitles")
        said = run(tmp_path)
        assert "Imported a.mp4, with a.fr.srt, a.srt as «a»" in said
        assert "notes.srt was left out: it is no video, and there is none of its name." in said
        assert "b.jpg was left out" in said
        assert "a.srt was not taken. It is none of the formats" in said
        assert [cue.text for cue in Cue.objects.filter(track__video=Video.objects.get())] == ["Ça va.", "Oui."]

    def test_a_folder_without_a_video_is_refused(self, tmp_path):
        (tmp_path / "notes.srt").write_text("no subtitles")
        assert refused(tmp_path) == (2, f"The folder {tmp_path} contains no videos.")

    def test_two_files_of_the_same_title_get_different_addresses(self, short):
        run(short)
        run(short, again=True)
        assert sorted(Video.objects.values_list("slug", flat=True)) == ["my-holiday", "my-holiday-2"]

    @pytest.mark.parametrize(
        "name", ["..mp4", "quo\"te's.mp4", "new\nline.mp4", "🎬 emoji.mp4", "x" * 250 + ".mp4", "no suffix", "-v.mp4"]
    )
    def test_no_name_of_a_file_does_harm(self, short, tmp_path, name):
        file = tmp_path / name
        file.write_bytes(short.read_bytes())
        run(file, wait=True)
        video = Video.objects.get()
        assert video.status == "ready"
        assert video.title.strip()
        assert "\n" not in video.title
        assert source_path(video).parent == settings.SOURCES_DIR / str(video.pk)

    def test_the_uploads_folder_is_left_empty(self, short, uploads):
        run(short)
        assert not list(uploads.glob("*"))


class TestBadInput:
    def test_no_such_file(self, tmp_path):
        code, sentence = refused(tmp_path / "nothing.mp4")
        assert code == 2
        assert sentence == f"There is no file or folder {tmp_path}/nothing.mp4."

    def test_an_empty_folder(self, tmp_path):
        assert refused(tmp_path) == (2, f"The folder {tmp_path} contains no files.")

    def test_an_unknown_category_names_those_that_exist(self, short):
        Category.objects.create(name="Known")
        code, sentence = refused(short, category="Unknown")
        assert code == 2
        assert "There is no category 'Unknown' (Known)." in sentence
        assert Video.objects.count() == 0

    def test_an_empty_file_is_refused(self, tmp_path, uploads):
        (tmp_path / "empty.mp4").touch()
        code, sentence = refused(tmp_path / "empty.mp4")
        assert code == 1
        assert "empty" in sentence
        assert Video.objects.count() == 0
        assert not list(uploads.glob("*"))

    BROKEN = {
        "a text file": lambda short, file: file.write_text("This is not a film.\n" * 100),
        "a truncated MP4": lambda short, file: file.write_bytes(short.read_bytes()[:-2000]),
        "a playlist of other files": lambda short, file: file.write_text(f"#EXTM3U\n#EXTINF:3,\n{short}\n"),
    }

    @pytest.mark.parametrize("kind", BROKEN)
    @pytest.mark.usefixtures("quick")
    def test_a_file_that_is_no_video_fails_with_a_sentence_and_is_kept(self, short, tmp_path, kind, capsys):
        file = tmp_path / "film.mp4"
        self.BROKEN[kind](short, file)
        err = io.StringIO()
        with pytest.raises(CommandError) as error:
            call_command("import_video", str(file), wait=True, stdout=io.StringIO(), stderr=err)
        assert error.value.returncode == 1
        video = Video.objects.get()
        assert video.status == "failed"
        assert video.error_message in err.getvalue()
        assert "Traceback" not in video.error_message
        assert video.error_message.count(".") >= 2, "what is wrong, and what to do"
        assert source_path(video).read_bytes() == file.read_bytes()
        assert not package_dir(video).exists()


def manage(*arguments, **env):
    command = [sys.executable, "manage.py", "import_video", *map(str, arguments)]
    return subprocess.run(
        command, cwd=settings.BASE_DIR, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )


@pytest.mark.slow("waits for services that do not answer")
@pytest.mark.usefixtures("broker")
class TestServicesThatAreDown:
    def test_a_database_that_is_down_is_one_sentence(self, short, tmp_path):
        done = manage(
            short, VLOG_DATABASE_URL=f"postgresql://vlog@/vlog?host={tmp_path}", VLOG_REDIS_URL=settings.REDIS_URL
        )
        assert done.returncode == 1
        assert "database" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_redis_that_is_down_loses_nothing(self, short, tmp_path):
        redis = f"redis+socket://{tmp_path}/none.sock?virtual_host=0"
        done = manage(short, VLOG_DATABASE_URL=database_url(), VLOG_REDIS_URL=redis)
        assert "Traceback" not in done.stderr
        assert done.returncode == 0
        assert "Redis does not answer" in done.stderr
        assert source_path(Video.objects.get()).exists()


@pytest.mark.slow("a node of its own makes a video")
def test_with_a_worker_the_command_only_waits(short, nodes, quick):
    nodes("tasks", "tasks")
    nodes("encode", "encode")
    wait_for(lambda: Worker.objects.filter(status="active").count() == 2, "both nodes")
    run(short, wait=True)
    assert Video.objects.get().status == "ready"
    assert not Worker.objects.filter(worker_name__startswith="import@").exists()


def test_a_terminal_gets_a_bar(short, quick, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert "█" * 30 + " 100 %" in run(Path(short), wait=True)


def test_a_file_that_does_not_fit_is_refused_with_a_sentence_and_leaves_nothing(broker, settings, short, uploads):
    settings.DISK_RESERVE = Reserve(shares=(1.0,))
    code, said = refused(short)
    assert code == 1
    assert "There is not enough disk space: the file has " in said
    assert not Video.objects.exists()
    assert not list(uploads.glob("import-*"))
