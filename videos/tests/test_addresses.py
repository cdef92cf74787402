"""Slugs follow titles until a video is first public; old addresses lead to the present ones, for ever."""

import threading

import pytest
from django.db import connection
from django.utils import timezone

from videos import archive, publication
from videos.merging import merge
from videos.models import ArchiveEntry, Category, Tag, Video, VideoSlug, free_slug
from videos.tests.factories import CategoryFactory, TagFactory, VideoFactory
from videos.tests.test_admin import staff
from videos.tests.test_visibility_admin import INLINES
from videos.tests.versions import version_of

pytestmark = pytest.mark.django_db

KINDS = pytest.mark.parametrize(("kind", "factory"), [("category", CategoryFactory), ("tag", TagFactory)])


def rename(row, *slugs):
    """Give a row these slugs, one after the other, by SQL alone."""
    for slug in slugs:
        type(row).objects.filter(pk=row.pk).update(slug=slug)
    row.refresh_from_db()


def location(client, path):
    """Return where an old address leads to."""
    response = client.get(path)
    assert (response.status_code, response.headers["Cache-Control"]) == (301, "no-cache")
    return response.headers["Location"]


def old_slugs(row):
    return sorted(row.old_slugs.values_list("slug", flat=True))


class TestFollowing:
    def test_the_slug_follows_the_title_until_the_video_is_first_public(self):
        video = Video.objects.create_with_slug(title="Clip 0001", visibility="private")
        video.title = "At the lake"
        video.save(update_fields=["title"])
        assert Video.objects.get().slug == "at-the-lake"
        Video.objects.update(status="ready", visibility="public")
        Video.objects.update(visibility="private")
        video.title = "At the sea"
        video.save(update_fields=["title"])
        assert Video.objects.get().slug == "at-the-lake"

    def test_a_slug_that_an_editor_wrote_stays(self):
        video = VideoFactory(title="Clip 0001", slug="lake")
        video.title = "At the lake"
        video.save()
        video.title, video.slug = "At the sea", "sea"
        video.save(update_fields=["title", "slug"])
        assert Video.objects.get().slug == "sea"

    def test_a_title_of_before_gives_the_slug_of_before(self):
        VideoFactory(slug="lake")
        video = Video.objects.create_with_slug(title="Lake")
        for title, slug in (("Lake!", "lake-2"), ("Sea", "sea"), ("Lake", "lake-2")):
            video.title = title
            video.save(update_fields=["title"])
            assert Video.objects.get(pk=video.pk).slug == slug
        assert old_slugs(video) == ["sea"]

    def test_a_long_title_with_a_number_is_recognised(self):
        first, second = (Video.objects.create_with_slug(title="x" * 255) for _ in range(2))
        second.title = "Lake"
        second.save(update_fields=["title"])
        assert (first.slug, second.slug) == ("x" * 255, "lake")

    def test_the_form_follows_and_says_where_old_addresses_are(self, client):
        client.force_login(staff("view_video", "change_video"))
        video = VideoFactory(title="Lake", slug="lake", visibility="private")
        page = f"/admin/videos/video/{video.pk}/change/"
        data = {"title": "Sea", "slug": "lake", "visibility": "private", "initial-visibility": "private", **INLINES}
        data["from_version"] = version_of(video)
        assert client.post(page, data).status_code == 302
        video.refresh_from_db()
        assert (video.slug, old_slugs(video)) == ("sea", ["lake"])
        assert "/watch/lake/" in client.get(page).content.decode()


class TestRedirects:
    def test_all_old_addresses_of_a_video_lead_to_the_present_one_at_once(self, client):
        video = VideoFactory(public=True, slug="a")
        rename(video, "b", "c")
        for old in "ab":
            assert location(client, f"/watch/{old}/?t=90&captions=2") == "/watch/c/?t=90&captions=2"
        rename(video, "a")
        assert old_slugs(video) == ["b", "c"]
        assert client.get("/watch/a/").status_code == 200

    @KINDS
    def test_pages_and_feeds_of_categories_and_tags_do_the_same(self, client, kind, factory):
        rename(factory(slug="a"), "b")
        assert location(client, f"/{kind}/a/?page=2") == f"/{kind}/b/?page=2"
        assert location(client, f"/{kind}/a/feed.xml") == f"/{kind}/b/feed.xml"
        assert client.get(f"/{kind}/b/feed.xml").status_code == 200
        assert client.get(f"/{kind}/c/feed.xml").status_code == 404

    @KINDS
    def test_a_merged_one_leads_to_the_one_that_stayed_and_so_do_its_old_addresses(self, client, kind, factory):
        kept, other = factory(slug="kept"), factory(slug="a")
        rename(other, "b")
        merge(kept, [other])
        for old in "ab":
            assert location(client, f"/{kind}/{old}/") == f"/{kind}/kept/"
        rename(kept, "z")
        assert location(client, f"/{kind}/a/") == f"/{kind}/z/"
        merge(factory(slug="last"), [kept])
        assert location(client, f"/{kind}/a/") == f"/{kind}/last/"

    def test_a_password_is_asked_at_the_old_address_which_tells_no_more_than_the_present_one(self, client):
        video = VideoFactory(public=True, slug="a")
        rename(video, "secret-title")
        publication.set_visibility(video, "password", password="friend")
        form = client.get("/watch/a/")
        assert (form.status_code, "secret-title" in form.content.decode()) == (200, False)
        granted = client.post("/watch/a/", {"password": "friend"}).headers["Location"]
        assert granted.startswith("/watch/secret-title/")
        assert location(client, granted.replace("secret-title", "a")) == granted

    def test_a_playback_of_a_page_from_before_is_counted(self, client):
        rename(VideoFactory(public=True, slug="a"), "b")
        message = {"video": "a"}
        answer = client.post(
            "/api/v1/playback/start", message, content_type="application/json", headers={"user-agent": "Mozilla/5.0"}
        )
        assert answer.status_code in (200, 201)

    def test_the_page_of_a_video_makes_no_query_more(self, client, django_assert_max_num_queries):
        VideoFactory(public=True, slug="a")
        client.get("/watch/a/")
        with django_assert_max_num_queries(100) as captured:
            client.get("/watch/a/")
        assert not any("video_slugs" in query["sql"] for query in captured)


class TestTaking:
    def test_a_new_video_does_not_get_an_old_slug(self):
        rename(VideoFactory(slug="walk"), "hike")
        assert Video.objects.create_with_slug(title="Walk").slug == "walk-2"
        assert Category.objects.create(name="Walk").slug == "walk"  # of another kind of page

    def test_an_editor_may_take_it_and_is_told_whose_it_was(self, client):
        client.force_login(staff("view_tag", "change_tag"))
        rename(TagFactory(name="Seas", slug="a"), "b")
        other = TagFactory(name="Lakes", slug="lakes")
        data = {"name": "Lakes", "slug": "a", "from_version": version_of(other)}
        response = client.post(f"/admin/videos/tag/{other.pk}/change/", data, follow=True)
        assert "/tag/a/ led to “Seas” until now, and leads here." in response.content.decode()
        assert Tag.objects.at("a") == other
        assert old_slugs(other) == ["lakes"]
        assert location(client, "/tag/lakes/") == "/tag/a/"

    @pytest.mark.django_db(transaction=True)
    def test_a_slug_is_never_a_present_and_an_old_one_also_of_two_at_once(self):
        video = VideoFactory(slug="a")
        begun = threading.Event()

        def take():
            begun.set()
            VideoFactory(slug="a")  # waits for the end of the other transaction
            connection.close()

        thread = threading.Thread(target=take)
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            rename(video, "b")
            thread.start()
            begun.wait()
            cursor.execute("SELECT pg_sleep(0.3)")
            cursor.execute("COMMIT")
        thread.join()
        assert Video.objects.at("a") != video
        assert not VideoSlug.objects.exists()

    @KINDS
    def test_deleted_rows_take_their_old_slugs_with_them(self, client, kind, factory):
        row = factory(slug="a")
        rename(row, "b")
        type(row).objects.all().delete()
        assert client.get(f"/{kind}/a/").status_code == 404


class TestTheArchive:
    def test_an_archived_video_is_gone_at_all_its_addresses_and_back_when_restored(self, client):
        video = VideoFactory(public=True, slug="a")
        rename(video, "b")
        archive.archive(video.pk, by="ann")
        assert old_slugs(video) == ["a"]  # neither its present slug, which is free, nor the key that replaces it
        assert [client.get(f"/watch/{slug}/").status_code for slug in "ab"] == [410, 410]
        assert (free_slug("a"), free_slug("b")) == ("a-2", "b")
        archive.restore(video.pk)
        assert location(client, "/watch/a/") == "/watch/b/"
        assert old_slugs(video) == ["a"]

    def test_a_restored_video_takes_no_old_slug_of_another(self):
        video = VideoFactory(public=True, slug="a")
        archive.archive(video.pk, by="ann")
        rename(VideoFactory(slug="a"), "b")
        archive.restore(video.pk)
        assert Video.objects.get(pk=video.pk).slug == "a-2"

    def test_a_private_video_stays_unknown(self, client):
        video = VideoFactory(public=True, slug="a", visibility="private", published_at=timezone.now())
        rename(video, "b")
        assert client.get("/watch/a/").status_code == 404
        archive.archive(video.pk, by="ann")
        assert client.get("/watch/a/").status_code == 404
        assert ArchiveEntry.objects.get().slug == "b"
