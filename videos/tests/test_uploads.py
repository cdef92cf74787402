"""Files that arrived whole become videos."""

import json

import pytest
from django.db import DataError, transaction

from transcoding.models import TranscodingJob
from videos.models import Tag, Video
from videos.storage.paths import source_path
from videos.tests.factories import CategoryFactory, TagFactory
from videos.uploads import UploadError, accept, clean, tags_named, title_of
from vlog.celery import app

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folders(settings, tmp_path):
    settings.UPLOADS_DIR, settings.SOURCES_DIR = tmp_path / "uploads", tmp_path / "sources"
    settings.UPLOADS_DIR.mkdir()
    app.control.purge()
    yield
    app.control.purge()


@pytest.fixture
def arrived(settings):
    path = settings.UPLOADS_DIR / "arrived"
    path.write_bytes(b"the file")
    return path


def sent():
    """The steps that wait in Redis, each with its job."""
    with app.connection_for_read() as connection:
        messages = connection.default_channel.client.lrange("tasks", 0, -1)
    headers = [json.loads(message)["headers"] for message in messages]
    return [(header["task"], header["argsrepr"]) for header in headers]


def nothing_was_made():
    return not (Video.objects.exists() or TranscodingJob.objects.exists() or Tag.objects.exists() or sent())


def test_a_file_becomes_a_video_that_waits_with_its_job(arrived, django_capture_on_commit_callbacks):
    category = CategoryFactory()
    with django_capture_on_commit_callbacks(execute=True):
        video = accept(
            arrived, name="My_walk.MP4", title=" A  walk ", description="Far", category=category, tags=["b", "a"]
        )
    video = Video.objects.get(pk=video.pk)
    assert (video.title, video.slug, video.description, video.category) == ("A walk", "a-walk", "Far", category)
    assert (video.status, video.source_name, video.published_at) == ("pending", "My_walk.MP4", None)
    assert [tag.name for tag in video.tags.all()] == ["a", "b"]
    assert source_path(video).name == "original.mp4"
    assert source_path(video).read_bytes() == b"the file"
    assert not arrived.exists()
    assert sent() == [("transcoding.tasks.probe", f"({video.job.pk},)")]


def test_the_steps_are_sent_only_when_the_rows_are_there(arrived, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as callbacks:
        accept(arrived, name="clip.mp4")
        assert sent() == []
    assert len(callbacks) == 1


@pytest.mark.parametrize(
    ("name", "title", "slug", "suffix"),
    [
        ("My_holiday at sea.mov", "My holiday at sea", "my-holiday-at-sea", ".mov"),
        ("v1.2.final.mp4", "v1.2.final", "v12final", ".mp4"),
        ("../../etc/passwd", "passwd", "passwd", ""),
        ("/srv/clips/a walk.mp4", "a walk", "a-walk", ".mp4"),
        ("C:\\Users\\Anna\\walk.mkv", "walk", "walk", ".mkv"),
        ("..", "..", "video", ""),
        ("/", "Untitled", "untitled", ""),
        ("", "Untitled", "untitled", ""),
        ("___.mp4", "Untitled", "untitled", ".mp4"),
        ("\x01\x02\x7f\x85", "Untitled", "untitled", ""),
        (
            "\"quoted\" 'name'; DROP TABLE videos.mp4",
            "\"quoted\" 'name'; DROP TABLE videos",
            "quoted-name-drop-table-videos",
            ".mp4",
        ),
        ("two\nlines\r\n.mp4", "two lines", "two-lines", ".mp4"),
        ("two\u2028lines.mp4", "two lines", "two-lines", ".mp4"),
        ("nul\x00byte.mp4", "nul byte", "nul-byte", ".mp4"),
        ("caf\udce9 noir.mp4", "caf noir", "caf-noir", ".mp4"),  # bytes that are no UTF-8, as Linux gives them
        ("🎬 film 🎬.mp4", "🎬 film 🎬", "film", ".mp4"),
        ("-rf --all.mp4", "-rf --all", "rf-all", ".mp4"),
        ("<b>bold</b>.mp4", "b>", "b", ".mp4"),
        ("x" * 400 + ".mp4", "x" * 255, "x" * 255, ""),
        ("東京.mp4", "東京", "video", ".mp4"),
    ],
)
def test_whatever_the_file_is_called_it_gets_a_title_an_address_and_a_place(arrived, name, title, slug, suffix):
    video = Video.objects.get(pk=accept(arrived, name=name).pk)
    assert (video.title, video.slug) == (title, slug)
    assert source_path(video).name == f"original{suffix}"
    assert source_path(video).read_bytes() == b"the file"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("  much   space \t", "much space"),
        ("a\x00\x1f\x7f\x9f\u2028\u2029b", "a b"),
        ("half \ud83d", "half"),
        ("é 東京 🎬 \u200d", "é 東京 🎬 \u200d"),
        ("\x00", ""),
        ("x" * 254 + " yz", "x" * 254),
        ("x" * 300, "x" * 255),
    ],
)
def test_a_clean_text_is_one_line_that_fits(text, expected):
    assert clean(text) == expected


def test_a_title_that_was_given_wins_unless_nothing_is_left_of_it(arrived, settings):
    other = settings.UPLOADS_DIR / "other"
    other.write_bytes(b"other")
    assert accept(arrived, name="clip.mp4", title="Given\x00 title").title == "Given title"
    assert accept(other, name="clip.mp4", title=" \x00 ").title == title_of("clip.mp4") == "clip"


def test_the_same_title_twice_makes_two_addresses(settings):
    slugs = []
    for number in range(3):
        path = settings.UPLOADS_DIR / str(number)
        path.write_bytes(b"%d" % number)
        video = accept(path, name="walk.mp4")
        slugs.append(video.slug)
        assert source_path(video).read_bytes() == b"%d" % number
    assert slugs == ["walk", "walk-2", "walk-3"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["woods"], ["Woods"]),
        (["WOODS", "Woods", " woods "], ["Woods"]),
        (["Lake", "LAKE"], ["LAKE"]),
        (["new", "woods"], ["new", "Woods"]),
        (["", "  ", "\x00"], []),
        (["y" * 60], ["y" * 50]),
        (["C", "C++"], ["C", "C++"]),
        (["%"], ["%"]),
        (["WOOD_"], ["WOOD_"]),
    ],
)
def test_tags_are_known_by_their_names_whatever_the_case(names, expected):
    TagFactory(name="Woods")
    assert [tag.name for tag in tags_named(names)] == expected
    assert Tag.objects.count() == len({"Woods", *expected})


def test_an_empty_file_is_refused_and_stays_where_it_is(settings):
    path = settings.UPLOADS_DIR / "empty"
    path.touch()
    with pytest.raises(UploadError, match="0 bytes"):
        accept(path, name="clip.mp4", tags=["a"])
    assert path.exists()
    assert nothing_was_made()


def test_a_file_that_cannot_be_moved_stays_where_it_is_and_leaves_no_rows(arrived, settings):
    settings.SOURCES_DIR.write_bytes(b"in the way")
    with pytest.raises(OSError, match="Not a directory"):
        accept(arrived, name="clip.mp4", tags=["a"])
    assert arrived.read_bytes() == b"the file"
    assert nothing_was_made()


def test_a_row_that_cannot_be_written_leaves_the_file_where_it_is(arrived, settings):
    with pytest.raises(DataError, match="NUL"):
        accept(arrived, name="clip.mp4", description="\x00")
    assert arrived.exists()
    assert not settings.SOURCES_DIR.exists()
    assert nothing_was_made()


@pytest.mark.django_db(transaction=True)
def test_a_commit_sends_the_steps_and_a_rollback_does_not(arrived, settings):
    job = accept(arrived, name="clip.mp4").job
    assert sent() == [("transcoding.tasks.probe", f"({job.pk},)")]
    other = settings.UPLOADS_DIR / "other"
    other.write_bytes(b"other")
    with transaction.atomic():
        accept(other, name="clip.mp4")
        transaction.set_rollback(True)
    assert len(sent()) == 1
