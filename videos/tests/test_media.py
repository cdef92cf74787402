"""The files of a video, as players fetch them; and where each of them lies."""

import gzip
import os
from urllib.parse import quote

import pytest
from django.utils.http import http_date

from videos.models import Video
from videos.storage import paths
from videos.storage.paths import find_media, package_dir, package_name, package_url, source_path

pytestmark = pytest.mark.django_db
KEY = "0123456789abcdef" * 2
PACKAGE = f"7-{KEY}"
FOREVER = "public, max-age=31536000, immutable"
SEGMENT = bytes(range(256)) * 4
PLAYLIST = b"#EXTM3U\n" + b"#EXTINF:6.00000,\n00001.m4s\n" * 40
MOMENT = 1_700_000_000

# name, MIME type, Cache-Control
KINDS = [
    ("master.m3u8", "application/vnd.apple.mpegurl", "no-cache"),
    ("720p/index.m3u8", "application/vnd.apple.mpegurl", "no-cache"),
    ("720p/iframes.m3u8", "application/vnd.apple.mpegurl", "no-cache"),
    ("audio/index.m3u8", "application/vnd.apple.mpegurl", "no-cache"),
    ("720p/init.mp4", "video/mp4", FOREVER),
    ("720p/00001.m4s", "video/iso.segment", FOREVER),
    ("audio/init.mp4", "video/mp4", FOREVER),
    ("audio/00001.m4s", "video/iso.segment", FOREVER),
    ("2160p/00001.m4s", "video/iso.segment", FOREVER),
    ("poster.jpg", "image/jpeg", FOREVER),
    ("storyboard-001.jpg", "image/jpeg", FOREVER),
    ("storyboard.vtt", "text/vtt; charset=utf-8", "no-cache"),
    ("captions/en.vtt", "text/vtt; charset=utf-8", "no-cache"),
    ("captions/haw/index.m3u8", "application/vnd.apple.mpegurl", "no-cache"),
    ("captions/pt-BR/00001.vtt", "text/vtt; charset=utf-8", "no-cache"),
]
NAMES = [name for name, _, _ in KINDS]
PLAYLISTS = [name for name in NAMES if name.endswith(".m3u8")]
FILES = [name for name in NAMES if name not in PLAYLISTS]

# Below media/; each of them lies there and none is for viewers.
PRIVATE = [
    f"{PACKAGE}/original.mp4",
    f"{PACKAGE}/plan.json",
    f"{PACKAGE}/720p/00001.m4s.part",
    f"{PACKAGE}/.captions-1.part/00000.vtt",
    f"{PACKAGE}/captions/en/whole.vtt",
    f"{PACKAGE}/captions/EN/00000.vtt",
    f"{PACKAGE}/captions/en/00000.m4s",
    f"{PACKAGE}/captions/00000.vtt",
    f"{PACKAGE}/captions/index.m3u8",
    f"{PACKAGE}/720p/.00001.m4s.0",
    f"{PACKAGE}/720p/tmp00001.m4s",
    f"{PACKAGE}/720p/0001.m4s",
    f"{PACKAGE}/720p/000001.m4s",
    f"{PACKAGE}/720p/master.m3u8",
    f"{PACKAGE}/720P/00001.m4s",
    f"{PACKAGE}/12345p/00001.m4s",
    f"{PACKAGE}/720p/deep/00001.m4s",
    f"{PACKAGE}/init.mp4",
    f"{PACKAGE}/poster.jpg.bak",
    f"{PACKAGE}/poster.jpg\n",
    f"{PACKAGE}/poster.png",
    f"{PACKAGE}/storyboard-1.jpg",
    f"{PACKAGE}\\poster.jpg",
    f"7-{KEY.upper()}/poster.jpg",
    f"7-{KEY}0/poster.jpg",
    f"7-{KEY[:-1]}/poster.jpg",
    f"x-{KEY}/poster.jpg",
    f"{KEY}/poster.jpg",
    f"12345678901-{KEY}/poster.jpg",
    "poster.jpg",
    "secret",
]
# Ways to name a file that lies in the package or beside it.
HOSTILE = [
    "",
    "/",
    PACKAGE,
    f"{PACKAGE}/",
    f"{PACKAGE}/720p",
    f"{PACKAGE}/720p/",
    f"/{PACKAGE}/poster.jpg",
    f"{PACKAGE}//poster.jpg",
    f"./{PACKAGE}/poster.jpg",
    f"{PACKAGE}/./poster.jpg",
    f"{PACKAGE}/720p/../poster.jpg",
    f"{PACKAGE}/../secret",
    f"{PACKAGE}/%2e%2e/secret",
    "../sources/7/original.mp4",
    "%2e%2e/sources/7/original.mp4",
    "..%2fsources/7/original.mp4",
    "..\\sources\\7\\original.mp4",
    "/etc/passwd",
    "%2Fetc%2Fpasswd",
    f"{PACKAGE}/poster.jpg%0a",
    f"{PACKAGE}/poster.jpg%20",
    f"{PACKAGE}/poster.jpg/",
    f"{PACKAGE}/720p/%EF%BF%BD0001.m4s",
    f"{PACKAGE}/720p/%D9%A0%D9%A0%D9%A0%D9%A0%D9%A1.m4s",  # Arabic digits
    f"{PACKAGE}/720p/%ff%fe.m4s",
    f"7-{'f' * 32}/poster.jpg",
    f"8-{KEY}/poster.jpg",
    "a" * 5000,
]


def write(path, content, moment=MOMENT):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (moment, moment))


@pytest.fixture(autouse=True)
def media(settings, tmp_path):
    """An open package with a file of every kind, and beside it files that are not public."""
    settings.MEDIA_DIR, settings.SOURCES_DIR = tmp_path / "media", tmp_path / "sources"
    for name in NAMES:
        write(settings.MEDIA_DIR / PACKAGE / name, PLAYLIST if name in PLAYLISTS else SEGMENT)
    for name in PRIVATE:
        write(settings.MEDIA_DIR / name, b"private")
    write(settings.SOURCES_DIR / "7" / "original.mp4", b"private")
    paths.note_open(Video(pk=7, media_key=KEY))
    return settings.MEDIA_DIR / PACKAGE


def address(name):
    return f"/media/{PACKAGE}/{name}"


def body(response):
    return b"".join(response.streaming_content) if response.streaming else response.content


def get(client, name="720p/00001.m4s", **headers):
    return client.get(address(name), headers={key.replace("_", "-"): value for key, value in headers.items()})


@pytest.mark.parametrize(("name", "kind", "caching"), KINDS)
class TestEveryKind:
    def test_is_sent_whole_with_its_type_and_how_long_it_holds(self, client, name, kind, caching):
        response = get(client, name)
        assert response.status_code == 200
        assert response["Content-Type"] == kind
        assert response["Cache-Control"] == caching
        assert response["Last-Modified"] == http_date(MOMENT)
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Content-Length"] == str(len(body(get(client, name))))
        assert body(response) == (PLAYLIST if name in PLAYLISTS else SEGMENT)

    def test_asks_neither_the_database_nor_who_is_there(
        self, client, django_assert_num_queries, db, name, kind, caching
    ):
        client.cookies["sessionid"] = "x" * 32
        with django_assert_num_queries(0):
            response = get(client, name)
        assert "Cookie" not in response.get("Vary", "")
        assert not response.cookies

    def test_shows_its_headers_alone(self, client, name, kind, caching):
        response = client.head(address(name))
        assert (response.status_code, body(response)) == (200, b"")
        assert (response["Content-Type"], response["Cache-Control"]) == (kind, caching)

    def test_is_not_sent_again_to_those_who_have_it(self, client, name, kind, caching):
        etag = get(client, name)["ETag"]
        response = get(client, name, if_none_match=etag)
        assert (response.status_code, body(response)) == (304, b"")
        assert response["ETag"] == etag
        assert response["Cache-Control"] == caching
        assert response.get("Content-Type") in (None, kind)
        assert get(client, name, if_none_match='"other"').status_code == 200

    def test_is_read_and_never_written(self, client, name, kind, caching):
        for method in (client.post, client.put, client.delete, client.patch):
            assert method(address(name)).status_code == 405

    def test_is_not_found_once_it_is_gone(self, db, client, media, name, kind, caching):
        (media / name).unlink()
        assert get(client, name).status_code == 404

    def test_may_vanish_after_it_was_found(self, client, monkeypatch, name, kind, caching):
        find_open = paths.find_open

        def find_and_lose(address):
            path = find_open(address)
            path.unlink()
            return path

        monkeypatch.setattr(paths, "find_open", find_and_lose)
        response = get(client, name)
        assert response.status_code == 404
        assert response["Cache-Control"] == "no-store"


class TestPlaylists:
    def test_are_compressed_for_those_who_can_read_that(self, client):
        response = get(client, "720p/index.m3u8", accept_encoding="gzip")
        assert response["Content-Encoding"] == "gzip"
        assert response["Vary"] == "Accept-Encoding"
        assert gzip.decompress(response.content) == PLAYLIST
        assert len(response.content) < len(PLAYLIST)
        assert "Content-Encoding" not in get(client, "720p/index.m3u8")

    def test_keep_their_validator_when_compressed(self, client):
        etag = get(client, "720p/index.m3u8", accept_encoding="gzip")["ETag"]
        assert get(client, "720p/index.m3u8", accept_encoding="gzip", if_none_match=etag).status_code == 304

    @pytest.mark.parametrize("change", ["size", "moment"])
    def test_are_sent_again_when_they_were_replaced(self, client, media, change):
        etag = get(client, "master.m3u8")["ETag"]
        content = PLAYLIST + b"#\n" if change == "size" else PLAYLIST
        write(media / "master.m3u8", content, MOMENT + (change == "moment"))
        response = get(client, "master.m3u8", if_none_match=etag)
        assert (response.status_code, response.content) == (200, content)


def test_segments_are_not_compressed_again(client):
    assert "Content-Encoding" not in get(client, accept_encoding="gzip")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(("seconds", "status"), [(0, 304), (60, 304), (-60, 200)])
def test_a_file_is_sent_again_only_if_it_is_newer(client, name, seconds, status):
    assert get(client, name, if_modified_since=http_date(MOMENT + seconds)).status_code == status


def test_a_date_that_is_none_is_ignored(client):
    assert get(client, if_modified_since="yesterday").status_code == 200


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=500-500", 500, 500),
        ("bytes=-10", 1014, 1023),
        ("bytes=-1", 1023, 1023),
        ("bytes=-5000", 0, 1023),
        ("bytes=5-", 5, 1023),
        ("bytes=1023-", 1023, 1023),
        ("bytes=1000-5000", 1000, 1023),
        ("bytes=1023-1024", 1023, 1023),
    ],
)
def test_a_range_is_sent_alone(client, wanted, start, end):
    response = get(client, range=wanted)
    assert response.status_code == 206
    assert response["Content-Range"] == f"bytes {start}-{end}/1024"
    assert response["Content-Length"] == str(end - start + 1)
    assert response["Content-Type"] == "video/iso.segment"
    assert response["Cache-Control"] == FOREVER
    assert body(response) == SEGMENT[start : end + 1]


@pytest.mark.parametrize("wanted", ["bytes=1024-", "bytes=1024-1024", "bytes=5000-6000", f"bytes={10**30}-"])
def test_a_range_beyond_the_end_is_refused_and_tells_the_size(client, wanted):
    response = get(client, range=wanted)
    assert response.status_code == 416
    assert response["Content-Range"] == "bytes */1024"
    assert body(response) == b""


@pytest.mark.parametrize(
    "wanted", ["bytes", "bytes=", "bytes=-", "bytes=a-b", "items=0-5", "bytes=0-1,4-5", "bytes=5", "\x00", "🎬"]
)
def test_a_range_that_is_none_is_ignored(client, wanted):
    response = get(client, range=wanted)
    assert (response.status_code, body(response)) == (200, SEGMENT)


@pytest.mark.parametrize(("wanted", "length"), [("bytes=0-0", "1"), ("bytes=0-99", "100")])
def test_the_headers_of_a_range_can_be_asked_alone(client, wanted, length):
    response = client.head(address("720p/00001.m4s"), headers={"range": wanted})
    assert (response.status_code, response["Content-Length"], body(response)) == (206, length, b"")


@pytest.mark.parametrize("wanted", [*map(quote, PRIVATE), *HOSTILE])
def test_nothing_else_is_served_whatever_the_address(client, wanted):
    response = client.get(f"/media/{wanted}")
    assert response.status_code == 404
    assert b"private" not in response.content


@pytest.mark.parametrize(("name", "queries"), [("poster.png", 0), ("720p/00002.m4s", 1)])
def test_what_is_not_there_yet_is_not_kept_as_missing(client, django_assert_num_queries, db, name, queries):
    with django_assert_num_queries(queries):  # one of a video in the making is waited for
        response = get(client, name)
    assert (response.status_code, response["Content-Type"]) == (404, "text/plain")
    assert response["Cache-Control"] == "no-store"
    assert "Cookie" not in response.get("Vary", "")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_a_package_is_found_at_its_address(media, name):
    assert find_media(f"{PACKAGE}/{name}") == media / name


def test_a_folder_is_no_file(media):
    (media / "poster.jpg").unlink()
    (media / "poster.jpg").mkdir()
    assert find_media(f"{PACKAGE}/poster.jpg") is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("clip.mp4", "original.mp4"),
        ("CLIP.MOV", "original.mov"),
        ("a.tar.gz", "original.gz"),
        ("holiday.M2TS", "original.m2ts"),
        ("", "original"),
        ("clip", "original"),
        (".mp4", "original"),
        ("clip.", "original"),
        ("clip.abcdef", "original"),
        ("clip.m p4", "original"),
        ("clip.mp4\n", "original"),
        ("clip.mp4\x00", "original"),
        ("clip.é", "original"),
        ("clip.٣gp", "original"),
        ("clip.$(id)", "original"),
        ("clip.;rm", "original"),
        ("..", "original"),
        ("../../etc/cron.d/x", "original"),
        ("../../x.sh", "original.sh"),
        ("/etc/passwd", "original"),
        ("C:\\temp\\x.mkv", "original.mkv"),
        ("x./../../y", "original"),
    ],
)
def test_of_the_editors_name_only_a_harmless_suffix_is_kept(settings, name, expected):
    path = source_path(Video(pk=7, source_name=name))
    assert path == settings.SOURCES_DIR / "7" / expected
    assert path.resolve().is_relative_to(settings.SOURCES_DIR.resolve())


def test_folder_and_address_of_a_package_carry_its_key(settings):
    video = Video(pk=7, media_key=KEY)
    assert package_name(video) == PACKAGE
    assert package_dir(video) == settings.MEDIA_DIR / PACKAGE
    assert package_url(video, "master.m3u8") == f"/media/{PACKAGE}/master.m3u8"


def test_a_new_key_is_a_new_address(client):
    video, renewed = Video(pk=7, media_key=KEY), Video(pk=7, media_key="f" * 32)
    package_dir(video).rename(package_dir(renewed))
    assert client.get(package_url(video, "poster.jpg")).status_code == 404  # though it was noted as open
    paths.note_open(renewed)
    assert client.get(package_url(renewed, "poster.jpg")).status_code == 200
