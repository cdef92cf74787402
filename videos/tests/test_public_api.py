"""The HTTP API for everybody: what it shows and hides, its pages and filters, and the description of its answers."""

from datetime import timedelta

import jsonschema
import pytest
from django.conf import settings as site_settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from videos import publication
from videos.models import AudioTrack, CategoryLimit, Chapter, VideoQuality
from videos.storage.paths import package_url
from videos.tests.factories import CategoryFactory, PlaylistFactory, TagFactory, VideoFactory, add_captions
from videos.tests.test_pages import HIDDEN
from vlog import tokens
from vlog.environment import Limit

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(1)</script> & \"'\u2028"
API = "/api/v1"


@pytest.fixture
def walk():
    video = VideoFactory(public=True, title="A walk", slug="walk", category=CategoryFactory(name="Walks", slug="walks"))
    video.tags.add(TagFactory(name="Hills", slug="hills"))
    add_captions(video, (12, 14, "We walk on"))
    AudioTrack.objects.create(video=video, rendition="audio", name="English", language="en", is_default=True)
    VideoQuality.objects.create(video=video, quality="360p", width=640, height=360, bitrate=600)
    VideoQuality.objects.create(video=video, quality="720p", width=1280, height=720, bitrate=2500)
    Chapter.objects.create(video=video, start=1, title="The hill")
    return video


def get(client, path, status=200, **headers):
    response = client.get(f"{API}/{path}", headers=headers)
    assert response.status_code == status, response.content
    return response.json()


def slugs(client, path):
    return [row["slug"] for row in get(client, path)["results"]]


class TestVideos:
    def test_the_list_has_the_public_videos_and_no_others(self, client, walk):
        for number, fields in enumerate(HIDDEN):
            VideoFactory(slug=f"hidden-{number}", **{"public": True, **fields})
        VideoFactory(public=True, slug="unlisted", visibility="unlisted")
        VideoFactory(public=True, slug="protected", visibility="password", password=make_password("a word"))
        (found,) = get(client, "videos/")["results"]
        assert (found["title"], found["kind"], found["duration"]) == ("A walk", "video", 60.0)
        assert found["category"] == {"slug": "walks", "name": "Walks"}
        assert found["tags"] == [{"slug": "hills", "name": "Hills"}]
        assert found["url"] == f"{site_settings.BASE_URL}/watch/walk/"

    def test_one_video_has_its_renditions_tracks_captions_and_chapters(self, client, walk):
        found = get(client, "videos/walk/")
        assert [row["key"] for row in found["renditions"]] == ["720p", "360p"]
        assert found["audio_tracks"] == [
            {"key": "audio", "language": "en", "name": "English", "role": "", "is_default": True}
        ]
        (captions,) = found["captions"]
        assert captions["url"] == site_settings.BASE_URL + package_url(walk, "captions-1.vtt")
        assert found["chapters"] == [{"start": 1.0, "title": "The hill"}]
        assert (found["visibility"], found["download"]) == ("public", None)
        assert not {"id", "version", "edit_url", "status"} & set(found)

    def test_an_old_address_and_an_unlisted_video_are_answered(self, client, walk):
        walk.slug = "the-walk"
        walk.save(update_fields=["slug"])
        publication.set_visibility(walk, "unlisted")
        assert get(client, "videos/walk/")["slug"] == "the-walk"
        assert get(client, "videos/the-walk/")["visibility"] == "unlisted"
        assert slugs(client, "videos/") == []

    @pytest.mark.parametrize("visibility", ["private", "password"])
    def test_others_do_not_exist(self, client, walk, visibility):
        publication.set_visibility(walk, visibility, password="a word" if visibility == "password" else "")
        assert get(client, "videos/walk/", 404)["detail"] == "There is no video walk."

    def test_a_download_is_named_where_it_is_allowed(self, client, walk):
        type(walk).objects.update(downloads=True)
        assert get(client, "videos/walk/")["download"]["url"].endswith("/download")

    @pytest.mark.parametrize("path", ["videos/", "videos/walk/", "search/?q=walk", "playlists/hikes/", "tags/"])
    def test_the_queries_do_not_grow(self, client, walk, path):
        playlist = PlaylistFactory(slug="hikes", videos=[walk])

        def count():
            with CaptureQueriesContext(connection) as context:
                get(client, path)
            return len(context)

        count()
        few = count()
        for number in range(2):
            video = VideoFactory(public=True, title=f"walk {number}", category=CategoryFactory())
            video.tags.add(TagFactory(), TagFactory())
            playlist.add([video.pk])
            add_captions(walk, (1, 2, "walk"), language="fr")
        assert count() == few


class TestLists:
    def test_pages_follow_one_another(self, client):
        moment = timezone.now() - timedelta(days=1)
        for number in range(5):
            VideoFactory(public=True, slug=f"v{number}", published_at=moment - timedelta(hours=number // 2))
        VideoFactory(public=True, slug="planned", visibility="private", published_at=None)
        found, address, pages = [], f"{API}/videos/?limit=2", 0
        while address:
            page = client.get(address).json()
            found += [row["slug"] for row in page["results"]]
            address, pages = page["next"] and page["next"].removeprefix(site_settings.BASE_URL), pages + 1
        assert (found, pages) == (["v1", "v0", "v3", "v2", "v4"], 3)

    def test_what_beat_has_not_noted_yet_comes_first_on_pages_too(self, client):
        planned = [VideoFactory(public=True, slug=f"p{n}", visibility="private", published_at=None) for n in range(2)]
        VideoFactory(public=True, slug="old")
        for video in planned:
            publication.set_visibility(video, "public", at=timezone.now() + timedelta(hours=1))
            video.changes.update(at=timezone.now() - timedelta(minutes=1))
        found, address = [], f"{API}/videos/?limit=1"
        while address:
            page = client.get(address).json()
            found += [row["slug"] for row in page["results"]]
            assert page["results"][0]["published_at"]
            address = page["next"] and page["next"].removeprefix(site_settings.BASE_URL)
        assert found == ["p1", "p0", "old"]

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            *(("category=walks", ["walk"]), ("tag=hills", ["walk"]), ("captions=en", ["walk"])),
            *(("playlist=hikes", ["talk"]), ("kind=audio", ["talk"]), ("kind=video", ["walk"])),
            *(("longer=50", ["walk"]), ("shorter=50.5", ["talk"]), ("longer=20&shorter=40", ["talk"])),
            *(("since=2026-01-01", ["walk"]), ("before=2026-01-01T00:00:00%2B01:00", ["talk"])),
        ],
    )
    def test_filters_narrow_the_list(self, client, walk, query, found):
        moment = timezone.now().replace(year=2020)
        talk = VideoFactory(public=True, slug="talk", source_width=0, duration=30, published_at=moment)
        PlaylistFactory(slug="hikes", videos=[talk])
        type(walk).objects.filter(pk=walk.pk).update(published_at=timezone.now().replace(year=2026, month=6, day=1))
        assert slugs(client, f"videos/?{query}") == found

    @pytest.mark.parametrize(
        "query",
        [
            *("limit=0", "limit=101", "limit=x", "limit=-1", "limit=²", "cursor=x", "cursor=%00", "cursor=bnVsbA"),
            *("cursor=WyIiLC0xXQ", "cursor=WyIwMDAxLTAxLTAxIiwxXQ", "cursor=" + "W" * 500, "category=none", "tag=%00"),
            *("captions=e", "captions=%00", "kind=film", "longer=x", "longer=-1", "shorter=1e999", "since=tomorrow"),
            *("before=0001-01-01T00:00:00%2B14:00", "playlist=secret", "colour=red", "page=2"),
        ],
    )
    def test_what_makes_no_sense_is_refused_in_a_sentence(self, client, walk, query):
        PlaylistFactory(slug="secret", visibility="private", videos=[walk])
        assert get(client, f"videos/?{query}", 400)["detail"].endswith(".")

    def test_categories_and_tags_are_those_of_public_videos(self, client, walk):
        hidden = VideoFactory(public=True, visibility="private", category=CategoryFactory(slug="secret"))
        hidden.tags.add(TagFactory(slug="secret"))
        (category,), (tag,) = (get(client, f"{name}/")["results"] for name in ("categories", "tags"))
        assert (category["slug"], category["videos"]) == ("walks", 1)
        assert (tag["slug"], tag["videos"], tag["feed_url"]) == (
            "hills",
            1,
            f"{site_settings.BASE_URL}/tag/hills/feed.xml",
        )

    def test_their_pages_follow_one_another(self, client):
        for name in ("a", "b", "c"):
            VideoFactory(public=True, category=CategoryFactory(name=name, slug=name))
        page = get(client, "categories/?limit=2")
        assert [row["slug"] for row in page["results"]] == ["a", "b"]
        rest = client.get(page["next"].removeprefix(site_settings.BASE_URL)).json()
        assert ([row["slug"] for row in rest["results"]], rest["next"]) == (["c"], None)


class TestPlaylists:
    def test_the_list_has_the_public_ones_with_public_videos(self, client, walk):
        PlaylistFactory(slug="hikes", videos=[walk])
        PlaylistFactory(slug="secret", visibility="private", videos=[walk])
        PlaylistFactory(slug="unlisted", visibility="unlisted", videos=[walk])
        PlaylistFactory(slug="empty")
        assert slugs(client, "playlists/") == ["hikes"]

    def test_one_has_the_videos_that_viewers_see_in_it(self, client, walk):
        hidden = VideoFactory(public=True, visibility="unlisted", slug="hidden")
        PlaylistFactory(slug="hikes", videos=[hidden, walk])
        PlaylistFactory(slug="unlisted", visibility="unlisted", videos=[hidden, walk])
        PlaylistFactory(slug="secret", visibility="private", videos=[walk])
        assert [row["slug"] for row in get(client, "playlists/hikes/")["videos"]] == ["walk"]
        assert [row["slug"] for row in get(client, "playlists/unlisted/")["videos"]] == ["hidden", "walk"]
        assert get(client, "playlists/secret/", 404)["detail"] == "There is no playlist secret."

    def test_one_of_private_videos_is_empty(self, client):
        PlaylistFactory(slug="hikes", videos=[VideoFactory(public=True, visibility="private")])
        assert get(client, "playlists/hikes/")["videos"] == []
        assert slugs(client, "playlists/") == []


class TestSearch:
    def test_hits_have_their_moment(self, client, walk):
        (hit,) = get(client, "search/?q=walk")["results"]
        assert (hit["video"]["slug"], hit["title_html"]) == ("walk", "A <mark>walk</mark>")
        (hit,) = get(client, "search/?q=walk+on")["results"]
        assert hit["moment"]["url"] == f"{site_settings.BASE_URL}/watch/walk/?t=12&captions=1"

    def test_pages_follow_one_another(self, client):
        for number in range(3):
            VideoFactory(public=True, title=f"quartz {number}")
        page = get(client, "search/?q=quartz&limit=2")
        rest = client.get(page["next"].removeprefix(site_settings.BASE_URL)).json()
        assert (len(page["results"]), len(rest["results"]), rest["next"]) == (2, 1, None)

    @pytest.mark.parametrize(
        "query", ["", "q=", "q=%00", "q=a&cursor=WzFd.", "q=a&cursor=Wy0xXQ", "q=a&cursor=WzFlOTld"]
    )
    def test_bad_queries_are_refused(self, client, query):
        assert get(client, f"search/?{query}", 400)["detail"].endswith(".")

    def test_ten_kilobytes_are_answered(self, client):
        assert get(client, f"search/?q={'a' * 10_000}")["results"] == []


class TestWhoReads:
    def test_editors_get_their_own_view_of_the_same_address(self, client, walk):
        editor = User.objects.create_user("ann", is_staff=True)
        editor.groups.add(Group.objects.get(name="Editors"))
        headers = {"Authorization": f"Bearer {tokens.create(editor, ['read'])[0]}"}
        assert get(client, "videos/walk/", **headers)["version"] == 3
        assert get(client, "videos/", **headers) == get(client, "videos/")
        CategoryLimit.objects.replace(editor, [CategoryFactory()])
        assert "version" not in get(client, "videos/walk/", **headers)
        publication.set_visibility(walk, "private")
        get(client, "videos/walk/", 404, **headers)

    @pytest.mark.parametrize("path", ["videos/", "videos/walk/", "playlists/", "categories/", "search/?q=walk"])
    def test_a_wrong_token_is_refused(self, client, walk, path):
        assert "unknown" in get(client, path, 401, Authorization="Bearer x")["detail"]

    @pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
    def test_nothing_is_written_without_an_account(self, client, walk, method):
        for path in ("videos/walk/", "playlists/"):
            assert getattr(client, method)(f"{API}/{path}").status_code in (401, 405)
        for path in ("videos/", "categories/", "tags/", "search/"):
            assert getattr(client, method)(f"{API}/{path}").status_code in (401, 405)

    def test_pages_of_other_sites_read_it_without_cookies(self, client, walk):
        response = client.get(f"{API}/videos/walk/", headers={"Origin": "https://example.org"})
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in response.headers
        asked = client.options(f"{API}/videos/walk/", headers={"Access-Control-Request-Method": "GET"})
        assert (asked.status_code, asked.headers["Access-Control-Allow-Methods"]) == (204, "GET, HEAD, OPTIONS")
        assert "Authorization" not in asked.headers["Access-Control-Allow-Headers"]
        editor = Client()
        editor.force_login(User.objects.create_superuser("root"))
        assert "Access-Control-Allow-Origin" not in editor.get(f"{API}/videos/walk/").headers

    def test_an_answer_that_the_client_has_is_not_sent_again(self, client, walk):
        first = client.get(f"{API}/videos/walk/")
        assert first.headers["Cache-Control"] == "no-cache"
        assert {"Authorization", "Cookie"} <= set(first.headers["Vary"].split(", "))
        again = client.get(f"{API}/videos/walk/", headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        type(walk).objects.update(title="Another walk")
        again = client.get(f"{API}/videos/walk/", headers={"If-None-Match": first.headers["ETag"]})
        assert again.status_code == 200

    def test_too_many_calls_are_told_to_wait(self, client, walk, settings):
        settings.API_LIMIT = Limit(2, 60)
        client.defaults["REMOTE_ADDR"] = "192.0.2.77"
        assert [client.get(f"{API}/videos/").status_code for _ in range(2)] == [200, 200]
        refused = client.get(f"{API}/videos/")
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "30")
        headers = {"Authorization": f"Bearer {tokens.create(User.objects.create_user('ann'), ['read'])[0]}"}
        assert client.get(f"{API}/videos/", headers=headers).status_code == 200

    def test_hostile_titles_are_text(self, client, walk):
        type(walk).objects.update(title=HOSTILE)
        walk.refresh_from_db()
        response = client.get(f"{API}/videos/walk/")
        assert response.headers["Content-Type"] == "application/json"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.json()["title"] == HOSTILE
        (hit,) = get(client, "search/?q=alert")["results"]
        assert "<script>" not in hit["title_html"]


@pytest.fixture(scope="module")
def document():
    return Client().get("/api/schema/?format=json").json()


def checked(document, path, answer):
    """Compare an answer with the schema of a call, strictly: also that it has no field that is not described."""
    described = document["paths"][f"{API}/{path}"]["get"]["responses"]["200"]["content"]["application/json"]
    jsonschema.validate(answer, {**described["schema"], "components": closed(document["components"])})
    return described


def closed(part):
    """Return the schemas without leave for other fields, and with null as OpenAPI 3.0 writes it."""
    if isinstance(part, list):
        return [closed(each) for each in part]
    if not isinstance(part, dict):
        return part
    made = {name: closed(value) for name, value in part.items()}
    if made.get("type") == "object" and "properties" in made:
        made["additionalProperties"] = False
    if made.pop("nullable", False) is True:
        return {"anyOf": [made, {"type": "null"}]}
    return made


class TestDescription:
    """A client that is generated from the OpenAPI document reads the answers."""

    CALLS = (
        *(("videos/", "videos/"), ("videos/{slug}/", "videos/walk/"), ("categories/", "categories/")),
        *(("tags/", "tags/"), ("playlists/", "playlists/"), ("playlists/{slug}/", "playlists/hikes/")),
        ("search/", "search/?q=walk"),
    )

    @pytest.mark.parametrize(("described", "path"), CALLS)
    def test_answers_and_examples_are_as_described(self, client, walk, document, described, path):
        type(walk).objects.update(downloads=True)
        PlaylistFactory(slug="hikes", videos=[walk, VideoFactory(public=True, category=None)])
        answer = get(client, path)
        examples = checked(document, described, answer)["examples"]
        assert examples
        for example in examples.values():
            checked(document, described, example["value"])

    @pytest.mark.parametrize(("described", "path"), CALLS)
    def test_an_answer_with_a_wrong_type_would_be_noticed(self, client, walk, document, described, path):
        answer = get(client, path, 200) if "hikes" not in path else {"slug": 1}
        with pytest.raises(jsonschema.ValidationError):
            checked(document, described, {**answer, "results": "none", "title": 7})
