from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection
from django.utils import timezone

from videos.models import Category, Tag, Transcription, Video, VideoQuality, VideoTag, free_slug
from videos.tests.factories import CategoryFactory, TagFactory, VideoFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("A Walk in the Woods", "a-walk-in-the-woods"),
        ("Über den Wolken", "uber-den-wolken"),
        ("¿Qué pasó?", "que-paso"),
        ("東京", "video"),
        ("", "video"),
        ("---", "video"),
        ("x" * 300, "x" * 255),
    ],
)
def test_a_slug_is_the_title_in_plain_letters(title, slug):
    assert free_slug(title) == slug


def test_a_taken_slug_gets_the_first_free_number():
    for slug in ("walk", "walk-2", "walk-4", "walking"):
        VideoFactory(slug=slug)
    assert free_slug("Walk") == "walk-3"


def test_a_numbered_slug_still_fits_its_column():
    VideoFactory(slug="x" * 255)
    assert free_slug("x" * 300) == "x" * 253 + "-2"


def test_the_slug_of_an_archived_video_stays_taken():
    VideoFactory(slug="walk", deleted_at=timezone.now())
    assert free_slug("Walk") == "walk-2"


def test_a_video_made_from_a_title_gets_a_slug_of_its_own():
    slugs = [Video.objects.create_with_slug(title="A walk").slug for _ in range(3)]
    assert slugs == ["a-walk", "a-walk-2", "a-walk-3"]


def test_making_a_video_takes_its_other_fields_too():
    category = CategoryFactory()
    video = Video.objects.create_with_slug(title="A walk", category=category, source_name="walk.mov")
    assert Video.objects.filter(category=category, source_name="walk.mov").get() == video


def test_an_error_that_no_other_slug_would_cure_comes_through_at_once(django_assert_num_queries):
    with (
        django_assert_num_queries(5),  # savepoint, the slugs taken, the insert, back to the savepoint, its release
        pytest.raises(IntegrityError, match="ck_videos_duration"),
    ):
        Video.objects.create_with_slug(title="A walk", duration=-1)


@pytest.mark.django_db(transaction=True)
def test_writers_of_one_title_at_the_same_time_all_get_a_slug():
    writers = 6
    start = Barrier(writers)

    def write() -> None:
        start.wait()
        try:
            Video.objects.create_with_slug(title="A walk")
        finally:
            connection.close()

    threads = [Thread(target=write) for _ in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {"a-walk", *(f"a-walk-{n}" for n in range(2, writers + 1))}
    assert set(Video.objects.values_list("slug", flat=True)) == expected


@pytest.mark.parametrize(("model", "fallback"), [(Category, "category"), (Tag, "tag")])
def test_an_empty_slug_is_made_from_the_name(model, fallback):
    assert model.objects.create(name="Field trips").slug == "field-trips"
    assert model.objects.create(name="Field  Trips").slug == "field-trips-2"
    assert model.objects.create(name="東京").slug == fallback


@pytest.mark.parametrize("model", [Category, Tag])
def test_a_slug_that_was_given_stays(model):
    row = model.objects.create(name="Field trips", slug="outdoors")
    row.name = "Excursions"
    row.save()
    assert model.objects.get().slug == "outdoors"


@pytest.mark.parametrize("make", [CategoryFactory, TagFactory])
def test_two_rows_with_one_slug_are_refused_by_form_and_database(make):
    row = make(slug="walks")
    other = type(row)(name="Walks", slug="walks")
    with pytest.raises(ValidationError) as refusal:
        other.full_clean()
    assert set(refusal.value.message_dict) == {"slug"}
    with pytest.raises(IntegrityError):
        other.save()


def test_categories_and_tags_come_by_name():
    for name in ("Walks", "Birds", "Trees"):
        CategoryFactory(name=name)
        TagFactory(name=name)
    assert [c.name for c in Category.objects.all()] == ["Birds", "Trees", "Walks"]
    assert [t.name for t in Tag.objects.all()] == ["Birds", "Trees", "Walks"]


def test_alive_leaves_out_the_archive():
    video = VideoFactory()
    VideoFactory(deleted_at=timezone.now())
    assert list(Video.objects.not_archived()) == [video]


@pytest.mark.parametrize("status", [Video.Status.PENDING, Video.Status.PROCESSING, Video.Status.FAILED])
def test_a_video_that_is_not_ready_is_not_public(status):
    VideoFactory(public=True, status=status)
    assert not Video.objects.public().exists()


def test_public_is_ready_and_alive_and_public():
    video = VideoFactory(public=True)
    VideoFactory(public=True, deleted_at=timezone.now())
    VideoFactory(public=True, visibility="private")
    VideoFactory(public=True, visibility="unlisted")
    VideoFactory(public=True, visibility="password", password="hash")
    assert list(Video.objects.public()) == [video]


def test_newest_goes_by_publication_and_then_by_id():
    now = timezone.now()
    old, first, second = (
        VideoFactory(published_at=now - timedelta(days=1)),
        VideoFactory(published_at=now),
        VideoFactory(published_at=now),
    )
    assert list(Video.objects.newest()) == [second, first, old]


def test_tags_are_added_and_removed_through_their_own_table():
    video, walks, birds = VideoFactory(), TagFactory(name="Walks"), TagFactory(name="Birds")
    video.tags.add(walks, birds)
    video.tags.add(walks)
    assert VideoTag.objects.count() == video.tags.count() == 2
    video.tags.set([birds])
    assert list(VideoTag.objects.all()) == [VideoTag(video=video, tag=birds)]
    assert list(birds.videos.all()) == [video]
    assert VideoTag.objects.get().pk == (video.pk, birds.pk)


def test_every_video_has_a_media_key_of_its_own():
    keys = {VideoFactory().media_key for _ in range(3)}
    assert {len(key) for key in keys} == {32}
    assert len(keys) == 3


def test_rows_say_what_they_are():
    video = VideoFactory(title="A walk")
    tag = TagFactory(name="Woods")
    assert str(video) == "A walk"
    assert str(tag) == "Woods"
    assert str(CategoryFactory(name="Walks")) == "Walks"
    assert str(VideoTag(video=video, tag=tag)) == "A walk · Woods"
    assert str(VideoQuality(video=video, quality="720p")) == "A walk, 720p"
    assert str(Transcription(video=video)) == "Transcription of A walk"


def test_rows_with_a_page_know_its_address():
    assert VideoFactory(slug="a-walk").get_absolute_url() == "/watch/a-walk/"
    assert CategoryFactory(slug="walks").get_absolute_url() == "/category/walks/"
    assert TagFactory(slug="woods").get_absolute_url() == "/tag/woods/"
