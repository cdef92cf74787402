# ruff: noqa: F811 - a fixture that is imported
"""Resumable uploads: what the protocol says, what a client that lies gets, and what becomes of rows and files."""

import base64
import fcntl
import hashlib
import io
import os
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

import vlog.disk
from transcoding.queue import disk_quota
from videos import merging, tasks, uploads
from videos.models import CaptionTrack, Upload, Video
from videos.storage.paths import source_path
from videos.tests.factories import CategoryFactory, TranscodingJobFactory
from videos.tests.test_receiving import disk  # noqa: F401 - a fixture
from videos.uploads import completion, reservation, transfer
from vlog import tokens
from vlog.environment import Reserve
from vlog.models import AuditEntry

pytestmark = pytest.mark.django_db

UPLOADS = "/api/v1/uploads/"
TUS = {"Tus-Resumable": "1.0.0"}
STREAM = "application/offset+octet-stream"
DATA = bytes(range(256)) * 40  # 10 KB
SIZE = len(DATA)
BITS_63 = 2**63
SRT = "1\n00:00:00,000 --> 00:00:01,000\nHello.\n"
VTT = "WEBVTT\n\n00:00.000 --> 00:01.000\nGuten Tag.\n"


@pytest.fixture(autouse=True)
def folders(settings, tmp_path):
    settings.UPLOADS_DIR, settings.SOURCES_DIR = tmp_path / "uploads", tmp_path / "sources"
    settings.UPLOADS_DIR.mkdir()
    return settings


@pytest.fixture
def ann():
    return User.objects.create_superuser("ann")


@pytest.fixture
def editor(client, ann):
    client.force_login(ann)
    return client


def metadata(**values):
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())


def create(client, size=SIZE, headers=None, **values):
    headers = {**TUS, "Upload-Length": str(size), "Upload-Metadata": metadata(**values), **(headers or {})}
    return client.generic("POST", UPLOADS, headers=headers)


def begin(client, data=DATA, **values):
    response = create(client, len(data), **{"filename": "walk.mp4", **values})
    assert response.status_code == 201, response.content
    return response["Location"]


def send(client, url, data, offset, **headers):
    headers = {**TUS, "Upload-Offset": str(offset), **headers}
    # The client of tests leaves out both of an empty body.
    return client.patch(url, data, headers=headers, CONTENT_TYPE=STREAM, CONTENT_LENGTH=str(len(data)))


def send_torn(client, url, data, announced, **headers):
    """Send fewer bytes than the Content-Length says."""
    extra = {"wsgi.input": io.BytesIO(data), "CONTENT_LENGTH": str(announced)}
    headers = {**TUS, "Upload-Offset": "0", **headers}
    return client.generic("PATCH", url, data, STREAM, headers=headers, **extra)


def offset(client, url):
    response = client.head(url, headers=TUS)
    assert response.status_code == 200
    return int(response["Upload-Offset"])


def sentence(response):
    return response.status_code, response.json()["detail"]


def digest(data, algorithm="sha1"):
    return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"


def in_folder(settings):
    return sorted(path.name for path in settings.UPLOADS_DIR.iterdir())


class TestProtocol:
    def test_the_server_says_what_it_can(self, editor):
        response = editor.options(UPLOADS)
        assert (response.status_code, response["Tus-Version"]) == (204, "1.0.0")
        assert response["Tus-Extension"] == "creation,checksum,termination,expiration"
        assert response["Tus-Checksum-Algorithm"] == "sha1,sha256,md5"

    def test_a_file_in_pieces_becomes_a_video(self, editor, settings):
        url = begin(editor, title="A  walk", description="Far\naway", tags="Woods, lakes")
        assert offset(editor, url) == 0
        response = send(editor, url, DATA[:4000], 0)
        assert (response.status_code, response["Upload-Offset"], response["Tus-Resumable"]) == (204, "4000", "1.0.0")
        assert not Video.objects.exists()
        assert offset(editor, url) == 4000
        assert send(editor, url, DATA[4000:], 4000)["Upload-Offset"] == str(len(DATA))
        video = Video.objects.get()
        assert (video.title, video.description, video.source_name) == ("A walk", "Far\naway", "walk.mp4")
        assert sorted(video.tags.values_list("name", flat=True)) == ["Woods", "lakes"]
        assert source_path(video).read_bytes() == DATA
        assert in_folder(settings) == []

    def test_a_client_that_missed_the_last_answer_learns_of_the_video(self, editor):
        url = begin(editor)
        send(editor, url, DATA, 0)
        assert offset(editor, url) == len(DATA)
        assert send(editor, url, b"", len(DATA)).status_code == 204
        assert send(editor, url, b"more", len(DATA)).status_code == 409
        video = Video.objects.get()
        found = editor.get(url).json()
        assert (found["finished"], found["video"]["id"]) == (True, video.pk)
        assert found["video"]["url"].endswith(f"/watch/{video.slug}/")
        assert editor.get(found["video"]["edit_url"]).status_code == 200

    def test_the_offset_tells_what_was_announced_and_until_when(self, editor):
        url = begin(editor, fingerprint="17", batch="b", visibility="unlisted", description="x" * 5000)
        response = editor.head(url, headers=TUS)
        assert (response["Upload-Length"], response["Cache-Control"]) == (str(len(DATA)), "no-store")
        values = dict(pair.split() for pair in response["Upload-Metadata"].split(","))
        assert {name: base64.b64decode(value).decode() for name, value in values.items()} == {
            "filename": "walk.mp4", "fingerprint": "17", "batch": "b", "visibility": "unlisted",
        }  # fmt: skip
        assert response["Upload-Expires"].endswith("GMT")

    @pytest.mark.parametrize("algorithm", ["sha1", "sha256", "md5"])
    def test_bytes_with_their_checksum_are_kept(self, editor, algorithm):
        url = begin(editor)
        checksum = digest(DATA[:5000], algorithm)
        assert send(editor, url, DATA[:5000], 0, **{"Upload-Checksum": checksum}).status_code == 204
        assert offset(editor, url) == 5000

    def test_bytes_with_another_checksum_are_discarded(self, editor):
        url = begin(editor)
        send(editor, url, DATA[:1000], 0)
        response = send(editor, url, DATA[1000:2000], 1000, **{"Upload-Checksum": digest(b"other")})
        assert (response.status_code, response.reason_phrase) == (460, "Checksum Mismatch")
        assert offset(editor, url) == 1000
        send(editor, url, DATA[1000:], 1000, **{"Upload-Checksum": digest(DATA[1000:])})
        assert source_path(Video.objects.get()).read_bytes() == DATA

    def test_bytes_that_a_killed_process_did_not_compare_do_not_count(self, editor, settings):
        url = begin(editor)
        send(editor, url, DATA[:1000], 0)
        upload = Upload.objects.get()
        with transfer.locked(upload) as file:
            upload.doubt(1000)
            file.seek(1000)
            file.write(b"not compared")
        assert offset(editor, url) == 1000
        send(editor, url, DATA[1000:], 1000)
        assert source_path(Video.objects.get()).read_bytes() == DATA

    def test_a_discarded_upload_is_gone_with_its_file(self, editor, settings):
        url = begin(editor)
        send(editor, url, DATA[:1000], 0)
        assert editor.delete(url, headers=TUS).status_code == 204
        assert editor.head(url, headers=TUS).status_code == 404
        assert sentence(send(editor, url, DATA[1000:], 1000)) == (
            404, "You have no such upload: it has expired or was discarded. Begin another one.",
        )  # fmt: skip
        assert (Upload.objects.count(), in_folder(settings)) == (0, [])

    def test_to_discard_a_finished_upload_keeps_its_video(self, editor):
        url = begin(editor)
        send(editor, url, DATA, 0)
        assert editor.delete(url, headers=TUS).status_code == 204
        assert source_path(Video.objects.get()).read_bytes() == DATA

    def test_a_proxy_that_knows_only_post_is_no_obstacle(self, editor):
        url = begin(editor)
        headers = {**TUS, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
        assert editor.post(url, DATA, content_type=STREAM, headers=headers).status_code == 204
        assert Video.objects.count() == 1

    def test_another_version_is_told(self, editor):
        url = begin(editor)
        for response in (
            editor.post(UPLOADS, headers={"Tus-Resumable": "0.2.1"}),
            editor.head(url),
            send(editor, url, DATA, 0, **{"Tus-Resumable": "2.0.0"}),
            editor.delete(url),
        ):
            assert (response.status_code, response["Tus-Version"]) == (412, "1.0.0")
        assert offset(editor, url) == 0


class TestLies:
    @pytest.mark.parametrize(
        ("size", "status", "begin_of_sentence"),
        [
            ("", 400, "Send Upload-Length"),
            ("-1", 400, "Send Upload-Length"),
            ("1e9", 400, "Send Upload-Length"),
            ("²", 400, "Send Upload-Length"),
            ("9" * 5000, 400, "Send Upload-Length"),
            ("0", 400, "The file is empty (0 bytes)."),
            (str(BITS_63), 413, "No disk takes a file of this size."),
            (str(BITS_63 - 1), 413, "No disk takes a file of this size."),
            (str(2**62), 507, "There is not enough disk space: the file has 4096.0 PB, and "),
        ],
    )
    def test_about_the_length(self, editor, settings, size, status, begin_of_sentence):
        code, detail = sentence(create(editor, size, filename="walk.mp4"))
        assert (code, detail[: len(begin_of_sentence)]) == (status, begin_of_sentence)
        assert (Upload.objects.count(), in_folder(settings)) == (0, [])

    @pytest.mark.parametrize(
        ("value", "status"), [("", 400), ("x", 400), ("1", 409), ("5000", 409), (str(BITS_63), 409)]
    )
    def test_about_the_offset(self, editor, value, status):
        url = begin(editor)
        assert send(editor, url, DATA, value).status_code == status
        assert offset(editor, url) == 0

    def test_about_how_much_comes(self, editor):
        url = begin(editor)
        assert sentence(send(editor, url, DATA + b"x", 0)) == (
            413,
            "The body has more bytes than the upload still needs.",
        )
        assert offset(editor, url) == 0

    def test_about_the_length_of_the_body(self, editor):
        url = begin(editor)
        assert send_torn(editor, url, DATA[:100], 5000).status_code == 400
        assert offset(editor, url) == 100

    def test_a_torn_body_with_a_checksum_is_discarded(self, editor):
        url = begin(editor)
        checksum = {"Upload-Checksum": digest(DATA[:100])}
        assert send_torn(editor, url, DATA[:100], 5000, **checksum).status_code == 400
        assert offset(editor, url) == 0

    def test_a_body_of_unknown_length_is_not_read(self, editor):
        url = begin(editor)
        response = editor.generic("PATCH", url, DATA, STREAM, CONTENT_LENGTH="", HTTP_TRANSFER_ENCODING="chunked",
                                  HTTP_UPLOAD_OFFSET="0", HTTP_TUS_RESUMABLE="1.0.0")  # fmt: skip
        assert (response.status_code, offset(editor, url)) == (411, 0)

    @pytest.mark.parametrize("checksum", ["", "sha1", "sha1 !", "crc32 AAAA", "sha1 é", "sha1 AAA"])
    def test_about_the_checksum(self, editor, checksum):
        url = begin(editor)
        assert send(editor, url, DATA, 0, **{"Upload-Checksum": checksum}).status_code == 400
        assert offset(editor, url) == 0

    def test_a_short_digest_matches_nothing(self, editor):
        url = begin(editor)
        assert send(editor, url, DATA, 0, **{"Upload-Checksum": "sha1 AAAA"}).status_code == 460

    def test_about_the_kind_of_bytes(self, editor):
        url = begin(editor)
        response = editor.patch(url, DATA, content_type="video/mp4", headers={**TUS, "Upload-Offset": "0"})
        assert (response.status_code, offset(editor, url)) == (415, 0)

    @pytest.mark.parametrize("header", ["filename !", "filename a b", "a YQ==,a YQ==", "filename /w==", "filename YQ"])
    def test_about_the_metadata(self, editor, header):
        response = create(editor, headers={"Upload-Metadata": header})
        assert (response.status_code, Upload.objects.count()) == (400, 0)

    @pytest.mark.parametrize(
        ("details", "message"),
        [
            ({"title": "x" * 256}, "title: Ensure this field has no more than 255 characters."),
            ({"title": "a\0b"}, "title: Null characters are not allowed."),
            ({"visibility": "password"}, "visibility: It is one of private, unlisted, public."),
            ({"category": "none"}, "category: There is no category “none”. Add it in the admin first."),
            ({"category": "#99999999999"}, "category: There is no category “#99999999999”. Add it in the admin first."),
            ({"tags": "y" * 51}, "tags: A tag has at most 50 characters."),
            ({"language": "not a language"}, "language: This value does not match the required pattern."),
            ({"publish_early": "perhaps"}, "publish_early: Must be a valid boolean."),
        ],
    )
    def test_details_that_do_not_fit_are_told(self, editor, details, message):
        assert sentence(create(editor, **details)) == (400, message)
        assert not Upload.objects.exists()
        url = begin(editor)
        response = editor.put(url, details, content_type="application/json")
        assert sentence(response) == (400, message)
        assert list(response.json()["errors"]) == list(details)

    @pytest.mark.parametrize("body", [b"[" * 100_000, b"NaN", b"[]", b'{"title": "\\ud800"}', b"\xff", b"x" * 300_000])
    def test_what_are_no_details_is_refused(self, editor, body):
        url = begin(editor)
        assert editor.put(url, body, content_type="application/json").status_code in (400, 413)

    def test_ten_thousand_open_uploads_are_not_possible(self, editor, monkeypatch, settings):
        monkeypatch.setattr(reservation, "MAX_UNFINISHED", 3)
        for _ in range(3):
            begin(editor)
        status, detail = sentence(create(editor))
        assert (status, detail) == (
            429,
            "You have 3 unfinished uploads, and no more are possible. Finish or discard some.",
        )
        assert (Upload.objects.count(), len(in_folder(settings))) == (3, 3)

    def test_a_name_is_no_path(self, editor, settings):
        url = begin(editor, filename="../../etc/\0passwd.mp4")
        send(editor, url, DATA, 0)
        video = Video.objects.get()
        assert (video.title, source_path(video).parent.parent) == ("passwd", settings.SOURCES_DIR)

    def test_a_checksum_of_everything_and_no_name_is_enough(self, editor):
        url = create(editor)["Location"]
        send(editor, url, DATA, 0)
        assert Video.objects.get().title == "Untitled"


class TestWho:
    @pytest.fixture
    def bob(self):
        client = Client()
        client.force_login(User.objects.create_superuser("bob"))
        return client

    def test_no_account_sees_continues_changes_or_discards_the_upload_of_another(self, editor, bob):
        url = begin(editor)
        assert bob.get(UPLOADS).json() == {"uploads": []}
        for response in (
            bob.get(url),
            bob.head(url, headers=TUS),
            send(bob, url, DATA, 0),
            bob.put(url, {"title": "x"}, content_type="application/json"),
            bob.delete(url, headers=TUS),
        ):
            assert response.status_code == 404
        assert offset(editor, url) == 0

    def test_a_stranger_is_asked_for_a_token(self, editor):
        url = begin(editor)
        for response in (
            Client().get(UPLOADS),
            create(Client()),
            send(Client(), url, DATA, 0),
            Client().options(UPLOADS),
        ):
            assert (response.status_code, response["WWW-Authenticate"]) == (401, "Bearer")
        assert offset(editor, url) == 0

    @pytest.mark.parametrize(("scope", "status"), [("upload", 201), ("edit", 403), ("read", 403)])
    def test_a_token_needs_the_scope(self, ann, client, scope, status):
        token, _ = tokens.create(ann, [scope])
        assert create(client, headers={"Authorization": f"Bearer {token}"}).status_code == status

    def test_a_token_uploads_for_its_owner(self, ann, client):
        token, row = tokens.create(ann, ["upload"])
        client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        url = begin(client)
        send(client, url, DATA, 0)
        entry = AuditEntry.objects.get(action="uploaded")
        assert (entry.actor, entry.token_prefix, entry.subject) == ("ann", row.key_prefix, "walk")
        assert Upload.objects.get().owner == ann

    def test_an_account_without_the_permission_may_not(self, client):
        client.force_login(User.objects.create_user("guest", is_staff=True))
        assert sentence(create(client))[1].startswith("Your account may not upload files here.")
        client.force_login(User.objects.create_user("viewer"))
        assert create(client).status_code == 403

    def test_a_session_needs_its_csrf_token(self, ann):
        client = Client(enforce_csrf_checks=True)
        client.force_login(ann)
        assert create(client).status_code == 403
        client.cookies["csrftoken"] = "a" * 32
        with_token = {"X-CSRFToken": "a" * 32}
        response = create(client, headers=with_token)
        assert response.status_code == 201, response.content
        url = response["Location"]
        assert send(client, url, DATA, 0).status_code == 403
        assert send(client, url, DATA, 0, **with_token).status_code == 204

    def test_who_loses_the_permission_does_not_finish(self, client):
        user = User.objects.create_user("eve", is_staff=True)
        user.groups.add(Group.objects.get(name="Editors"))
        client.force_login(user)
        url = begin(client)
        user.groups.clear()
        assert send(client, url, DATA, 0).status_code == 403
        assert not Video.objects.exists()


class TestDetails:
    def test_they_are_saved_while_it_runs_and_survive(self, editor):
        category = CategoryFactory(name="Walks", slug="walks")
        url = begin(editor, title="First")
        send(editor, url, DATA[:100], 0)
        given = {"title": "Second", "category": "walks", "tags": "a,  b", "language": "pt-BR"}
        given |= {"publish_early": True, "downloads": True}
        found = editor.put(url, given, content_type="application/json").json()
        assert {name: found[name] for name in given} == {**given, "tags": "a, b"}
        assert editor.get(UPLOADS).json()["uploads"][0]["title"] == "Second"
        send(editor, url, DATA[100:], 100)
        video = Video.objects.get()
        assert (video.title, video.category) == ("Second", category)
        assert (video.publish_early, video.downloads) == (True, True)
        assert [tag.name for tag in video.tags.order_by("name")] == ["a", "b"]

    def test_details_that_change_during_the_last_request_count(self, editor):
        begin(editor, title="First")
        upload = Upload.objects.get()
        with transfer.locked(upload) as file:
            file.write(DATA)
            Upload.objects.update(title="Second")
            completion.complete(upload)
        assert Video.objects.get().title == "Second"

    def test_after_the_end_they_are_those_of_the_video(self, editor):
        url = begin(editor)
        send(editor, url, DATA, 0)
        response = editor.put(url, {"title": "Late"}, content_type="application/json")
        assert sentence(response) == (409, "The upload is complete. Change the details of its video.")

    @pytest.mark.parametrize("text", ["walks", "WALKS and more", "#{pk}"])
    def test_a_category_has_many_names(self, editor, text):
        CategoryFactory(name="#7")
        category = CategoryFactory(name="Walks and more", slug="walks")
        begin(editor, category=text.format(pk=category.pk))
        assert Upload.objects.get().category == category

    def test_a_merged_category_is_followed(self, editor):
        kept, other = CategoryFactory(), CategoryFactory(slug="other")
        begin(editor, category="other")
        merging.merge(kept, [other])
        assert Upload.objects.get().category == kept

    def test_the_list_is_as_cheap_for_many(self, editor, django_assert_num_queries):
        counts = []
        for _ in range(2):
            send(editor, begin(editor), DATA, 0)
            begin(editor)
            with django_assert_num_queries(4):  # session, account with its permissions, uploads, videos
                counts.append(len(editor.get(UPLOADS).json()["uploads"]))
        assert counts == [2, 4]


class TestDisk:
    def test_the_announced_bytes_are_allocated_until_it_is_discarded(self, editor, settings):
        size = 8 << 20
        url = create(editor, size)["Location"]
        (path,) = settings.UPLOADS_DIR.iterdir()
        assert (path.stat().st_size, path.stat().st_blocks * 512 >= size) == (0, True)
        editor.delete(url, headers=TUS)
        assert in_folder(settings) == []

    def test_what_is_reserved_for_jobs_is_not_promised(self, editor, settings):
        TranscodingJobFactory(plan={}, reserved_bytes=1 << 50)
        assert create(editor).status_code == 507
        assert (Upload.objects.count(), in_folder(settings)) == (0, [])

    def test_below_the_reserve_nothing_begins(self, editor, settings):
        settings.DISK_RESERVE = Reserve(shares=(1.0,))
        assert create(editor).status_code == 507

    def test_all_uploads_together_count(self, editor, disk, settings):
        assert create(editor, 20 << 20).status_code == 201
        status, detail = sentence(create(editor, 20 << 20))
        assert (status, detail[:52]) == (507, "There is not enough disk space: the file has 20.0 MB")
        assert create(editor, 5 << 20).status_code == 201

    def test_where_a_file_system_cannot_allocate_the_rows_count(self, editor, disk, monkeypatch):
        monkeypatch.setattr(vlog.disk, "KEEP_SIZE", 1 << 20)  # a mode that no file system knows
        url = create(editor, 20 << 20)["Location"]
        assert Upload.objects.announced_bytes() == 20 << 20
        assert create(editor, 20 << 20).status_code == 507
        send(editor, url, bytes(1 << 20), 0)
        assert Upload.objects.announced_bytes() == 19 << 20

    def test_where_a_disk_becomes_full_what_has_arrived_is_kept(self, editor, disk, monkeypatch, settings):
        monkeypatch.setattr(vlog.disk, "KEEP_SIZE", 1 << 20)
        url = create(editor, 20 << 20)["Location"]
        (disk / "fill").write_bytes(bytes(28 << 20))
        response = send(editor, url, bytes(8 << 20), 0)
        assert sentence(response) == (507, transfer.DISK_FULL)
        arrived = offset(editor, url)
        assert 2 << 20 < arrived < 4 << 20
        (disk / "fill").unlink()
        assert send(editor, url, bytes(8 << 20), arrived).status_code == 204

    def test_what_a_truncation_has_freed_is_allocated_again(self, editor, disk, settings):
        url = create(editor, 20 << 20)["Location"]
        send(editor, url, bytes(1 << 20), 0, **{"Upload-Checksum": digest(b"x")})
        (path,) = settings.UPLOADS_DIR.iterdir()
        assert path.stat().st_blocks * 512 < 20 << 20
        send(editor, url, bytes(1 << 20), 0)
        assert path.stat().st_blocks * 512 >= 20 << 20
        with pytest.raises(disk_quota.InsufficientSpace):
            disk_quota.check(12 << 20)

    def test_bytes_are_written_once(self, editor, settings):
        """On the way to its video the file keeps its inode: it is renamed, never copied."""
        url = begin(editor)
        (path,) = settings.UPLOADS_DIR.iterdir()
        inode = path.stat().st_ino
        send(editor, url, DATA, 0)
        assert source_path(Video.objects.get()).stat().st_ino == inode


class TestOneAtATime:
    def test_a_second_request_is_told_to_wait(self, editor):
        url = begin(editor)
        upload = Upload.objects.get()
        with transfer.locked(upload):
            assert sentence(send(editor, url, DATA, 0))[0] == 423
            assert editor.delete(url, headers=TUS).status_code == 423
        assert send(editor, url, DATA, 0).status_code == 204

    def test_a_request_that_read_the_row_before_the_end_changes_nothing(self, editor):
        url = begin(editor)
        before = Upload.objects.get()
        send(editor, url, DATA, 0)
        with pytest.raises(transfer.Finished), transfer.locked(before):
            pass
        assert source_path(Video.objects.get()).read_bytes() == DATA

    def test_a_request_that_read_the_row_before_it_was_discarded_writes_nothing(self, editor, settings):
        url = begin(editor)
        before = Upload.objects.get()
        editor.delete(url, headers=TUS)
        with pytest.raises(transfer.Gone), transfer.locked(before):
            pass
        assert in_folder(settings) == []

    def test_a_lost_file_begins_again(self, editor, settings):
        """As after a backup was restored, which has the rows and not the files."""
        url = begin(editor)
        (path,) = settings.UPLOADS_DIR.iterdir()
        path.unlink()
        assert offset(editor, url) == 0
        assert send(editor, url, DATA, 0).status_code == 404
        assert not Upload.objects.exists()


class TestKilled:
    """What the process left that was killed on a line of the completion."""

    def arrived(self, editor):
        url = begin(editor)
        upload = Upload.objects.get()
        (path,) = Path(os.fspath(transfer.path_of(upload).parent)).iterdir()
        path.write_bytes(DATA)
        return url, upload

    def renamed(self, editor):
        url, upload = self.arrived(editor)
        upload.choose_video_id()
        with transaction.atomic():
            completion.accept(transfer.path_of(upload), name=upload.name, video_id=upload.video_id)
            transaction.set_rollback(True)
        return url, upload

    @pytest.mark.parametrize("state", ["arrived", "renamed"])
    def test_the_question_for_the_offset_finishes_it(self, editor, settings, state):
        url, _ = getattr(self, state)(editor)
        assert not Video.objects.exists()
        assert offset(editor, url) == len(DATA)
        video = Video.objects.get()
        assert source_path(video).read_bytes() == DATA
        assert [path.name for path in settings.SOURCES_DIR.iterdir()] == [str(video.pk)]

    @pytest.mark.parametrize("state", ["arrived", "renamed"])
    def test_or_the_sweep(self, editor, settings, state):
        getattr(self, state)(editor)
        tasks.sweep_uploads()
        tasks.sweep_uploads()
        assert source_path(Video.objects.get()).read_bytes() == DATA
        assert in_folder(settings) == []

    def test_or_the_next_request(self, editor):
        url, _ = self.renamed(editor)
        assert send(editor, url, b"", len(DATA)).status_code == 204
        assert source_path(Video.objects.get()).read_bytes() == DATA

    def test_one_that_is_discarded_then_leaves_nothing(self, editor, settings):
        url, _ = self.renamed(editor)
        editor.delete(url, headers=TUS)
        assert [path for path in settings.SOURCES_DIR.rglob("*") if path.is_file()] == []

    def test_a_creation_that_was_killed_leaves_a_file_that_the_sweep_deletes(self, editor, settings):
        path = settings.UPLOADS_DIR / f"{uuid.uuid4()}.tus"
        path.touch()
        assert uploads.leftovers() == []  # its row may be written at this moment
        os.utime(path, (0, 0))
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            assert uploads.leftovers() == []
        assert uploads.leftovers() == [path]


class TestWeek:
    def expire(self):
        Upload.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    def test_without_a_byte_for_a_week_it_is_purged(self, editor, settings):
        url = begin(editor)
        send(editor, url, DATA[:100], 0)
        (path,) = settings.UPLOADS_DIR.iterdir()
        os.utime(path, (0, 0))
        tasks.sweep_uploads()
        assert offset(editor, url) == 100  # however old the file is
        self.expire()
        assert editor.head(url, headers=TUS).status_code == 404
        assert editor.get(UPLOADS).json() == {"uploads": []}
        tasks.sweep_uploads()
        assert (Upload.objects.count(), in_folder(settings)) == (0, [])

    def test_each_byte_prolongs_it(self, editor):
        url = begin(editor)
        soon = timezone.now() + timedelta(minutes=1)
        Upload.objects.update(expires_at=soon)
        send(editor, url, b"", 0)
        assert Upload.objects.get().expires_at == soon
        send(editor, url, DATA[:1], 0)
        assert Upload.objects.get().expires_at > soon + timedelta(days=6)

    def test_one_that_is_being_received_is_not_purged(self, editor, settings):
        begin(editor)
        self.expire()
        with transfer.locked(Upload.objects.get()):
            tasks.sweep_uploads()
        assert (Upload.objects.count(), len(in_folder(settings))) == (1, 1)

    def test_a_finished_one_leaves_only_its_video(self, editor):
        send(editor, begin(editor), DATA, 0)
        self.expire()
        tasks.sweep_uploads()
        assert not Upload.objects.exists()
        assert source_path(Video.objects.get()).read_bytes() == DATA

    def test_the_uploads_of_a_deleted_account_go_with_it(self, editor, ann, settings):
        begin(editor)
        (path,) = settings.UPLOADS_DIR.iterdir()
        ann.delete()
        assert not Upload.objects.exists()
        os.utime(path, (0, 0))
        tasks.sweep_uploads()
        assert in_folder(settings) == []


class TestSidecars:
    def upload(self, editor, name, data, batch="b"):
        send(editor, begin(editor, data, filename=name, batch=batch), data, 0)

    def tracks(self):
        """Return the languages and the text of all caption tracks."""
        tracks = CaptionTrack.objects.order_by("number")
        return [(track.language, " ".join(cue.text for cue in track.cues.all())) for track in tracks]

    def test_they_belong_to_the_video_of_their_name(self, editor, settings, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True):
            self.upload(editor, "walk.srt", SRT.encode())
            self.upload(editor, "Walk.de.VTT", VTT.encode())
            self.upload(editor, "other.srt", b"3")
            self.upload(editor, "walk.fr.srt", b"4", batch="another")
            self.upload(editor, "walk.jpg", b"no picture")
            assert not Video.objects.exists()
            self.upload(editor, "walk.mp4", DATA)
        assert source_path(Video.objects.get()).read_bytes() == DATA
        assert sorted(self.tracks()) == [("de", "Guten Tag."), ("und", "Hello.")]
        assert "walk.jpg was not taken." in Upload.objects.get(name="walk.mp4").notes
        assert len(in_folder(settings)) == 2  # those that wait for their video
        tasks.sweep_uploads()
        assert len(in_folder(settings)) == 2

    def test_one_that_comes_after_its_video_is_taken_too(self, editor, settings, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True):
            self.upload(editor, "walk.mp4", DATA)
            self.upload(editor, "walk.en.srt", SRT.encode())
        assert self.tracks() == [("en", "Hello.")]
        assert in_folder(settings) == []

    def test_without_a_batch_a_picture_is_a_file_like_any_other(self, editor):
        self.upload(editor, "walk.jpg", DATA, batch="")
        assert Video.objects.get().source_name == "walk.jpg"

    def test_the_batch_of_another_account_is_another(self, editor):
        self.upload(editor, "walk.srt", b"1")
        bob = Client()
        bob.force_login(User.objects.create_superuser("bob"))
        self.upload(bob, "walk.mp4", DATA)
        assert self.tracks() == []

    def test_a_large_one_is_refused_before_it_is_sent(self, editor):
        status, detail = sentence(create(editor, 11 << 20, filename="walk.srt", batch="b"))
        assert (status, detail) == (
            413,
            "walk.srt is larger than 10.0 MB, the most for captions and pictures.",
        )

    def test_one_that_waits_for_its_video_is_kept_a_week(self, editor, settings):
        self.upload(editor, "walk.srt", b"1")
        (path,) = settings.UPLOADS_DIR.iterdir()
        os.utime(path, (0, 0))
        tasks.sweep_uploads()
        assert path.exists()
        Upload.objects.update(expires_at=timezone.now())
        tasks.sweep_uploads()
        assert in_folder(settings) == []


@pytest.mark.parametrize(
    "change",
    [
        {"size": 0},
        {"offset": -1},
        {"offset": len(DATA) + 1},
        {"visibility": "password"},
        {"finished_at": timezone.now()},
    ],
)
def test_the_database_refuses_rows_that_cannot_be(editor, change):
    begin(editor)
    with pytest.raises(IntegrityError), transaction.atomic():
        Upload.objects.update(**change)
