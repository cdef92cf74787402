"""Playlists, featured videos and the order of categories: their verbs, and what viewers see of them."""

import threading
import uuid
from xml.etree import ElementTree as ET

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from videos import archive, publication
from videos.models import (
    Category,
    FeaturedVideo,
    Picture,
    Playlist,
    PlaylistFull,
    PlaylistItem,
    Video,
    playlists,
)
from videos.models.order import kept_beside, placed
from videos.tests.factories import CategoryFactory, PlaylistFactory, VideoFactory
from videos.tests.test_admin import staff
from vlog.models import AuditEntry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders")]


@pytest.fixture
def four():
    return [VideoFactory(public=True, title=title, slug=title.lower()) for title in ("One", "Two", "Three", "Four")]


def order(playlist):
    return list(playlist.items.order_by("position").values_list("video__title", flat=True))


def shown(playlist):
    return [video.title for video in Playlist.objects.get(pk=playlist.pk).shown()]


class TestOrder:
    @pytest.mark.parametrize(
        ("moved", "before", "result"),
        [([3], 1, [3, 1, 2, 4]), ([1], 3, [2, 1, 3, 4]), ([1], None, [2, 3, 4, 1]), ([2], 9, [1, 3, 4, 2])],
    )
    def test_rows_are_placed_before_another_one_or_at_the_end(self, moved, before, result):
        assert placed([1, 2, 3, 4], moved, before) == result

    @pytest.mark.parametrize(
        ("wanted", "result"), [([4, 3, 1], [4, 3, 1, 2]), ([3, 4], [2, 3, 4]), ([], [2]), ([2, 1], [2, 1])]
    )
    def test_what_is_kept_stays_behind_its_neighbour(self, wanted, result):
        assert kept_beside([1, 2, 3, 4], wanted, {2}) == result

    def test_videos_are_added_moved_and_removed(self, four):
        one, two, three, four_ = four
        playlist = PlaylistFactory(videos=[one, two])
        assert playlist.add([four_.pk, two.pk, three.pk, 999_999]) == [four_.pk, three.pk]
        assert order(playlist) == ["One", "Two", "Four", "Three"]
        assert playlist.move(three.pk, four_.pk) == 3
        assert playlist.move(one.pk, None) == 4
        assert (playlist.remove([two.pk, 999_999]), playlist.move(two.pk, None)) == (1, 0)
        assert order(playlist) == ["Three", "Four", "One"]
        assert playlist.add([two.pk], before=four_.pk) == [two.pk]
        assert order(playlist) == ["Three", "Two", "Four", "One"]

    def test_a_video_is_in_several_playlists_and_once_in_each(self, four):
        first, second = PlaylistFactory(videos=four[:2]), PlaylistFactory(videos=four[:1])
        with pytest.raises(IntegrityError), transaction.atomic():
            PlaylistItem.objects.create(playlist=first, video=four[0], position=9)
        first.delete()
        assert (Video.objects.count(), order(second)) == (4, ["One"])

    def test_a_playlist_has_a_limit(self, four, monkeypatch):
        monkeypatch.setattr(playlists, "MAX_ITEMS", 3)
        playlist = PlaylistFactory(videos=four[:2])
        with pytest.raises(PlaylistFull, match="at most 3 videos"):
            playlist.add([video.pk for video in four])
        assert order(playlist) == ["One", "Two"]

    def test_edits_count_for_the_version_once_for_each_statement(self, four):
        playlist = PlaylistFactory(videos=four)
        before = Playlist.objects.get(pk=playlist.pk)
        playlist.move(four[3].pk, four[0].pk)
        after = Playlist.objects.get(pk=playlist.pk)
        assert after.version == before.version + 1
        assert after.updated_at > before.updated_at
        Playlist.objects.filter(pk=playlist.pk).update(version=1)
        assert Playlist.objects.get(pk=playlist.pk).version == after.version
        Playlist.objects.filter(pk=playlist.pk).update(title="Other")
        assert Playlist.objects.get(pk=playlist.pk).version == after.version + 1

    def test_the_history_says_what_was_changed(self, four):
        playlist = PlaylistFactory(videos=four[:2])
        playlist.move(four[1].pk, four[0].pk)
        playlist.remove([four[0].pk])
        entries = AuditEntry.objects.filter(subject_type="videos.playlist").order_by("id")
        assert [(entry.action, entry.before, entry.after) for entry in entries] == [
            ("added videos to", None, {"videos": ["One", "Two"]}),
            ("moved a video in", {"number": 2}, {"number": 1, "video": "Two"}),
            ("removed videos from", {"videos": ["One"]}, None),
        ]

    def test_categories_are_moved_and_new_ones_come_last(self):
        first, second = CategoryFactory(name="A"), CategoryFactory(name="B")
        assert Category.objects.move(second.pk, first.pk) == 1
        CategoryFactory(name="0")
        assert [row.name for row in Category.objects.all()] == ["B", "A", "0"]
        assert Category.objects.move(999_999, None) == 0


@pytest.mark.django_db(transaction=True)
def test_two_editors_at_once_lose_no_move_and_make_no_double_position(four):
    playlist = PlaylistFactory(videos=four)
    errors: list[Exception] = []

    def work(video):
        try:
            for other in (*four, None):
                playlist.move(video.pk, other.pk if other and other != video else None)
        except Exception as error:  # noqa: BLE001 - compared below
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=[video]) for video in four[:2]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(order(playlist)) == ["Four", "One", "Three", "Two"]
    assert {*order(playlist)[2:]} == {"One", "Two"}  # each was moved to the end last


class TestVisibility:
    def test_a_public_playlist_shows_public_videos_and_an_unlisted_one_unlisted_ones_too(self, four):
        publication.set_visibility(four[1], "unlisted")
        publication.set_visibility(four[2], "private")
        publication.set_visibility(four[3], "password", password="friend")
        playlist = PlaylistFactory(videos=four)
        assert shown(playlist) == ["One"]
        Playlist.objects.update(visibility="unlisted")
        assert shown(playlist) == ["One", "Two"]

    def test_an_archived_video_returns_to_its_place(self, four):
        playlist = PlaylistFactory(videos=four)
        archive.archive(four[1].pk, by="ann")
        playlist.refresh_from_db()
        assert (shown(playlist), len(order(playlist))) == (["One", "Three", "Four"], 4)
        playlist.replace([four[3].pk, four[2].pk, four[0].pk])
        archive.restore(four[1].pk)
        assert shown(playlist) == ["Four", "Three", "One", "Two"]
        archive.archive(four[1].pk, by="ann")
        archive.purge(four[1].pk)
        assert order(playlist) == ["Four", "Three", "One"]

    def test_other_versions_of_a_file_are_in_no_playlist(self, four):
        playlist, holder = PlaylistFactory(videos=four), VideoFactory(version_of=four[0], visibility="private")
        assert playlist.add([holder.pk]) == []
        Playlist.objects.update(visibility="unlisted")
        assert shown(playlist) == ["One", "Two", "Three", "Four"]

    @pytest.mark.parametrize(
        ("visibility", "statuses"),
        [("private", (404, 404, 200)), ("unlisted", (200, 200, 200)), ("public", (200,) * 3)],
    )
    def test_a_private_playlist_is_for_editors(self, client, four, visibility, statuses):
        playlist = PlaylistFactory(videos=four, title="Course", visibility=visibility)
        page = client.get("/playlist/course/")
        feed = client.get("/playlist/course/feed.xml").status_code
        client.force_login(staff("view_playlist"))
        assert (page.status_code, feed, client.get("/playlist/course/").status_code) == statuses
        if page.status_code == 200:
            assert ("noindex" in page.content.decode()) == (visibility == "unlisted")
        client.logout()
        listed = [client.get(address).content.decode() for address in ("/", "/playlists/", "/sitemap/pages.xml")]
        assert [playlist.get_absolute_url() in text for text in listed] == [visibility == "public"] * 3

    def test_a_stranger_learns_nothing_of_a_private_playlist_by_its_old_address_or_beside_a_video(self, client, four):
        playlist = PlaylistFactory(videos=four, title="Secret plans", visibility="private", slug="former")
        Playlist.objects.update(slug="secret-plans")
        for address in ("/playlist/former/", "/playlist/former/feed.xml"):
            assert client.get(address).status_code == 404
        for name in ("former", "secret-plans", "x" * 300, "../"):
            page = client.get(f"/watch/one/?list={name}")
            assert (page.status_code, "Secret plans" in page.content.decode()) == (200, False)
        Picture.objects.give(playlist, b"jpeg")
        key = Picture.objects.get().pk
        assert client.get(f"/picture/{key}.jpg").status_code == 404
        client.force_login(staff("view_playlist"))
        assert client.get(f"/picture/{key}.jpg").content == b"jpeg"

    def test_a_playlist_of_private_videos_is_empty_and_in_no_list(self, client, four):
        PlaylistFactory(videos=four, title="Course")
        Video.objects.update(visibility="private")
        assert "No videos in this playlist yet" in client.get("/playlist/course/").content.decode()
        assert "/playlist/course/" not in client.get("/playlists/").content.decode()
        assert "Four" not in client.get("/playlist/course/feed.xml").content.decode()


class TestPages:
    def test_the_page_lists_the_videos_in_their_order_with_links_into_the_playlist(self, client, four):
        PlaylistFactory(videos=four[::-1], title="Course & more", slug="course", description="All <parts>")
        text = client.get("/playlist/course/").content.decode()
        links = [text.index(f'<a href="/watch/{slug}/?list=course"><span') for slug in ("four", "three", "two", "one")]
        assert links == sorted(links)
        assert "Course &amp; more" in text
        assert "All &lt;parts&gt;" in text
        assert client.get("/playlist/course/?page=2").status_code == 404
        assert client.get("/playlist/course/?page=x").status_code == 404

    def test_old_addresses_lead_to_the_present_one(self, client, four):
        playlist = PlaylistFactory(videos=four, slug="a")
        Playlist.objects.filter(pk=playlist.pk).update(slug="b")
        for page in ("", "feed.xml"):
            response = client.get(f"/playlist/a/{page}?x=1")
            assert (response.status_code, response.headers["Location"]) == (301, f"/playlist/b/{page}?x=1")

    def test_the_feed_is_valid_and_has_the_latest_first(self, client, four):
        PlaylistFactory(videos=four, title="A \x0bcourse", slug="course")
        Video.objects.filter(slug="two").update(published_at=timezone.now())
        channel = ET.fromstring(client.get("/playlist/course/feed.xml").content).find("channel")  # noqa: S314 - our own
        titles = [item.findtext("title") for item in channel.iter("item")]
        assert (channel.findtext("title"), titles[0], len(titles)) == ("VLog: A course", "Two", 4)
        assert channel.findtext("link").endswith("/playlist/course/")

    def test_the_page_of_a_video_shows_the_playlist_beside_it_and_the_next_video(self, client, four):
        PlaylistFactory(videos=four, title="Course")
        text = client.get("/watch/two/?list=course").content.decode()
        assert "2 of 4" in text
        assert 'data-next="/watch/three/?list=course"' in text
        assert 'href="/watch/two/?list=course" aria-current="true"' in text
        last = client.get("/watch/four/?list=course").content.decode()
        assert "data-next" not in last
        assert 'class="three"' in last
        alone = client.get("/watch/two/").content.decode()
        assert ("watch-list" in alone, 'class="three"' in alone) == (False, True)

    def test_in_a_frame_the_end_leads_to_the_page_of_the_video(self, client, four):
        text = client.get("/embed/one/").content.decode()
        assert 'class="end-act" href="http://127.0.0.1:8000/watch/one/"' in text
        assert 'class="three"' not in text

    def test_the_list_beside_a_video_shows_those_around_it(self, client):
        videos = [VideoFactory(public=True) for _ in range(120)]
        PlaylistFactory(videos=videos, slug="course")
        text = client.get(f"/watch/{videos[90].slug}/?list=course").content.decode()
        assert text.count('<span class="n">') == 100
        assert '<span class="n">21</span>' in text
        assert '<span class="n">20</span>' not in text

    def test_featured_videos_come_first_on_the_first_page_only_while_they_are_public(self, client, four):
        assert FeaturedVideo.objects.feature([four[0].pk, four[0].pk, four[1].pk]) == 2
        assert "Featured" in client.get("/").content.decode()
        assert [video.title for video in FeaturedVideo.objects.shown()] == ["Two", "One"]
        publication.set_visibility(four[0], "private")
        archive.archive(four[1].pk, by="ann")
        assert "Featured" not in client.get("/").content.decode()
        assert FeaturedVideo.objects.withdraw([four[0].pk]) == 1

    def test_the_home_page_has_the_categories_with_public_videos_in_their_order(self, client):
        first, second, third = (CategoryFactory(name=name) for name in ("Aa", "Bb", "Cc"))
        for category in (first, second):
            VideoFactory(public=True, category=category)
        VideoFactory(public=True, category=third, visibility="private")
        Category.objects.move(second.pk, first.pk)
        for address in ("/", "/browse/"):
            text = client.get(address).content.decode()
            assert text.index(">Bb<") < text.index(">Aa<")
            assert ">Cc<" not in text

    def test_pictures_replace_posters_and_are_kept_by_browsers(self, client, four):
        category, playlist = CategoryFactory(name="Walks"), PlaylistFactory(videos=four, poster_video=four[2])
        Video.objects.filter(slug="one").update(category=category)
        assert Video.objects.get(slug="three").media_key in client.get("/playlists/").content.decode()
        for owner in (category, playlist):
            Picture.objects.give(owner, b"old")
            picture = Picture.objects.give(owner, b"new")
            pages = (
                ("/category/walks/", "/browse/")
                if owner == category
                else ("/playlists/", "/", owner.get_absolute_url())
            )
            for page in pages:
                assert f"/picture/{picture.pk}.jpg" in client.get(page).content.decode()
        response = client.get(f"/picture/{picture.pk}.jpg")
        assert (response.content, response.headers["Content-Type"]) == (b"new", "image/jpeg")
        again = client.get(f"/picture/{picture.pk}.jpg", headers={"If-None-Match": response.headers["ETag"]})
        assert again.status_code == 304
        assert Picture.objects.count() == 2
        assert client.get(f"/picture/{uuid.uuid4()}.jpg").status_code == 404
        playlist.delete()
        category.delete()
        assert Picture.objects.count() == 0


@pytest.mark.parametrize(
    ("address", "most"),
    [("/playlist/p0/", 5), ("/playlists/", 3), ("/watch/v0/?list=p0", 5), ("/playlist/p0/feed.xml", 7), ("/", 1)],
)
def test_the_number_of_queries_does_not_grow_with_the_rows(client, address, most):
    def make(number):
        video = VideoFactory(public=True, slug=f"v{number}", category=CategoryFactory())
        FeaturedVideo.objects.feature([video.pk])
        PlaylistFactory(slug=f"p{number}", videos=[video])
        Playlist.objects.get(slug="p0").add([video.pk])

    def count():
        with CaptureQueriesContext(connection) as context:
            assert client.get(address).status_code == 200
        return len(context)

    make(0)
    count()
    make(1)
    few = count()
    for number in (2, 3):
        make(number)
    assert count() == few
    assert few <= most
