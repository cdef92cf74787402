"""Imports by address: checked, transferred from a real server, continued, cancelled, and finished as uploads are."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from videos.exports.targets import client_of
from videos.imports import transfers
from videos.models import CategoryLimit, Import, Upload, Video
from videos.models.imports import WAITS
from videos.storage.paths import source_path
from videos.tests.factories import CategoryFactory
from videos.tests.origin import LOOPBACK, origin
from vlog.celery import app
from vlog.environment import Reserve
from vlog.imports import Imports
from vlog.models import ApiToken, AuditEntry, Via
from vlog.outbound import OutboundError

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folders(settings, tmp_path):
    settings.UPLOADS_DIR, settings.SOURCES_DIR = tmp_path / "uploads", tmp_path / "sources"
    settings.UPLOADS_DIR.mkdir()
    settings.IMPORTS = LOOPBACK
    yield
    app.control.purge()


@pytest.fixture
def server():
    with origin() as server:
        yield server


@pytest.fixture
def editor():
    editor = User.objects.create_user("ann", is_staff=True)
    editor.groups.add(Group.objects.get(name="Editors"))
    return editor


def ask(editor, address, **fields):
    return transfers.ask(editor, address, fields, via=Via.FORM)


def now(row):
    """Let the next try of an import be due."""
    Import.objects.filter(pk=row.pk).update(next_at=timezone.now())


def ended(row):
    row.refresh_from_db()
    return row.state, row.error


class TestTransfers:
    def test_a_file_becomes_a_video_with_its_details(self, editor, server):
        category = CategoryFactory(name="Walks")
        fields = {"title": "A walk", "category": category, "tags": "sea, sand", "visibility": "unlisted"}
        row = ask(editor, f"{server.url}/film.mp4?signature=secret", **fields)
        assert transfers.run() == 1
        assert ended(row) == ("done", "")
        video = Video.objects.get(pk=row.video_id)
        assert (video.title, video.category, video.visibility) == ("A walk", category, "unlisted")
        assert sorted(tag.name for tag in video.tags.all()) == ["sand", "sea"]
        assert source_path(video).read_bytes() == server.content
        entry = AuditEntry.objects.get(action="uploaded")
        assert (entry.actor, entry.via) == ("ann", "form")
        assert "secret" not in str(AuditEntry.objects.get(action="asked for").subject)

    def test_the_name_is_that_of_the_server_or_of_the_address(self, editor, server):
        rows = [ask(editor, f"{server.url}/{name}") for name in ("named", "a%20walk.mp4")]
        transfers.run()
        for row, name in zip(rows, ("A walk.mp4", "a walk.mp4"), strict=True):
            row.refresh_from_db()
            assert row.name == name
        assert list(Video.objects.order_by("pk").values_list("title", flat=True)) == ["A walk", "a walk"]

    def test_a_redirect_is_followed(self, editor, server):
        row = ask(editor, f"{server.url}/moved")
        transfers.run()
        assert ended(row)[0] == "done"

    def test_an_interrupted_transfer_goes_on_where_it_was(self, editor, server):
        server.cut = 100_000
        row = ask(editor, f"{server.url}/film.mp4")
        transfers.run()
        assert ended(row) == ("waiting", transfers.SHORT)
        for _ in range(2):
            now(row)
            transfers.run()
        assert ended(row)[0] == "done"
        assert server.asked == [None, "bytes=100000-", "bytes=200000-"]
        assert source_path(Video.objects.get()).read_bytes() == server.content

    def test_a_file_that_has_changed_begins_again(self, editor, server):
        server.cut = 100_000
        row = ask(editor, f"{server.url}/film.mp4")
        transfers.run()
        server.cut, server.tag, server.content = None, '"two"', b"y" * 200_000
        now(row)
        transfers.run()
        assert ended(row)[0] == "done"
        assert source_path(Video.objects.get()).read_bytes() == server.content

    def test_a_server_without_ranges_is_asked_for_all(self, editor, server):
        server.cut = 100_000
        row = ask(editor, f"{server.url}/without-ranges")
        transfers.run()
        server.cut = None
        now(row)
        transfers.run()
        assert ended(row)[0] == "done"
        assert server.asked == [None, None]

    def test_a_server_that_never_sends_all_is_given_up_and_nothing_is_left(self, editor, server, settings):
        server.cut = 0
        row = ask(editor, f"{server.url}/film.mp4")
        for _ in range(len(WAITS) + 1):
            now(row)
            transfers.run()
        assert ended(row) == ("failed", f"{transfers.SHORT} It was tried {len(WAITS) + 1} times.")
        assert not Upload.objects.exists()
        assert list(settings.UPLOADS_DIR.iterdir()) == []

    REFUSED = {
        "page": "The address leads to a page (text/html), not to a file.",
        "endless": "The server does not say how large the file is, so it cannot be imported.",
        "gone": "The server answered with status 410: check the address.",
        "loop": "The address leads to more than 5 others.",
        "file": "The address must look like https://example.org/video.mp4, without a user name.",
        "metadata": "169.254.169.254 is not a public address.",
        "huge": "There is not enough disk space",
    }

    @pytest.mark.parametrize("name", REFUSED)
    def test_what_cannot_be_imported_ends_with_a_sentence_and_leaves_nothing(self, editor, server, settings, name):
        row = ask(editor, f"{server.url}/{name}")
        transfers.run()
        state, error = ended(row)
        assert state == "failed"
        assert error.startswith(self.REFUSED[name])
        assert not Video.objects.exists()
        assert list(settings.UPLOADS_DIR.iterdir()) == []

    def test_more_bytes_than_announced_are_not_read(self, editor, server):
        row = ask(editor, f"{server.url}/more")
        transfers.run()
        assert ended(row)[0] == "done"
        assert source_path(Video.objects.get()).read_bytes() == b"0123456789"

    def test_a_busy_server_is_asked_later(self, editor, server):
        row = ask(editor, f"{server.url}/busy")
        transfers.run()
        assert ended(row) == ("waiting", "The server answered with status 503.")
        assert row.next_at > timezone.now()

    def test_a_full_disk_is_told_before_the_first_byte(self, editor, server, settings):
        settings.DISK_RESERVE = Reserve(shares=(1.0,))
        row = ask(editor, f"{server.url}/film.mp4")
        transfers.run()
        assert "There is not enough disk space" in ended(row)[1]

    def test_one_that_was_cancelled_ends_and_leaves_nothing(self, editor, server, settings, monkeypatch):
        monkeypatch.setattr(transfers, "TICK_SECONDS", 0)
        row = ask(editor, f"{server.url}/film.mp4")
        renew = Import.renew

        def cancelled_meanwhile(self):
            transfers.cancel(Import.objects.get(pk=self.pk))
            return renew(self)

        monkeypatch.setattr(Import, "renew", cancelled_meanwhile)
        transfers.run()
        assert ended(row) == ("cancelled", "")
        assert not Video.objects.exists()
        assert list(settings.UPLOADS_DIR.iterdir()) == []

    def test_one_whose_process_was_killed_goes_on_after_its_lease(self, editor, server):
        row = ask(editor, f"{server.url}/film.mp4")
        claimed = Import.objects.claim()
        assert claimed == row
        assert transfers.run() == 0
        Import.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
        assert transfers.run() == 1
        assert ended(row)[0] == "done"
        assert not claimed.finish(None), "the killed one writes nothing any more"

    def test_others_have_their_turn(self, editor, server, monkeypatch):
        monkeypatch.setattr(transfers, "TICK_SECONDS", 0)
        monkeypatch.setattr(transfers, "SLICE_SECONDS", 0)
        rows = [ask(editor, f"{server.url}/{name}.mp4") for name in "ab"]
        assert transfers.run() > 2
        assert [ended(row)[0] for row in rows] == ["done", "done"]

    def test_a_failed_one_can_be_retried(self, editor, server):
        row = ask(editor, f"{server.url}/page")
        transfers.run()
        Import.objects.update(address=f"{server.url}/film.mp4")
        row.refresh_from_db()
        assert transfers.retry(row)
        transfers.run()
        assert ended(row)[0] == "done"

    def test_the_limit_of_an_editor_is_looked_at_again(self, editor, server):
        row = ask(editor, f"{server.url}/film.mp4")
        CategoryLimit.objects.create(user=editor, category=CategoryFactory(name="Walks"))
        transfers.run()
        assert ended(row)[0] == "failed"
        assert "You may use these categories only: Walks." in row.error


class TestAddresses:
    @pytest.mark.parametrize(
        "address",
        [
            *("ftp://example.org/a.mp4", "file:///etc/passwd", "https://ann:pw@example.org/a", "https:///a", "nothing"),
            *(
                "http://127.0.0.1/",
                "http://[::1]/a",
                "http://169.254.169.254/latest",
                "http://10.0.0.1/a",
                "http://x/\ny",
            ),
            *("s3://bucket/key", "http://example.org:0/", "https://example.org/" + "a" * 4000),
        ],
    )
    def test_addresses_that_are_refused_at_once(self, editor, settings, address):
        settings.IMPORTS = Imports()
        with pytest.raises(OutboundError):
            ask(editor, address)
        assert not Import.objects.exists()

    def test_a_name_that_resolves_to_a_private_address_is_refused_when_it_is_fetched(self, editor, settings):
        settings.IMPORTS = Imports()
        row = ask(editor, "http://localhost:9/film.mp4")
        transfers.run()
        state, error = ended(row)
        assert state == "failed"
        assert error.startswith("localhost has no public address.")
        assert "VLOG_IMPORT_PRIVATE_ADDRESSES" in error

    def test_objects_of_the_store_that_is_allowed(self, editor, settings):
        store = {"bucket_name": "in", "location": "films", "endpoint_url": "http://127.0.0.1:9"}
        settings.IMPORTS = Imports(store=store)
        assert ask(editor, "s3://in/films/a.mp4").kind == "store"
        for other in ("s3://in/other/a.mp4", "s3://in/films/", "s3://in/films/../a.mp4", "s3://in-2/films/a.mp4"):
            with pytest.raises(OutboundError, match="must begin with s3://in/films/"):
                ask(editor, other)

    def test_pages_are_off(self, editor):
        with pytest.raises(OutboundError, match="VLOG_YT_DLP"):
            transfers.ask(editor, "https://example.org/watch", {}, via=Via.API, is_page=True)


def test_an_object_is_transferred(store, editor, settings, tmp_path):
    settings.UPLOADS_DIR = tmp_path / "disk" / "uploads"
    options = settings.STORAGES["objects"]["OPTIONS"]
    settings.IMPORTS = Imports(store=options)
    from_store = f"s3://{options['bucket_name']}/{options['location']}"
    client_of(options).put_object(Bucket="videos", Key=f"{options['location']}/films/a.mp4", Body=b"the film")
    row = ask(editor, f"{from_store}/films/a.mp4")
    missing = ask(editor, f"{from_store}/films/b.mp4")
    transfers.run()
    assert ended(row)[0] == "done"
    assert row.name == "a.mp4"
    assert ended(missing)[0] == "failed"
    assert "The object store refused it (404)" in missing.error


class TestApi:
    def call(self, client, editor, method, path, scopes=("upload",), **data):
        token, _ = ApiToken.objects.issue(editor, scopes)
        headers = {"Authorization": f"Bearer {token}"}
        return getattr(client, method)(path, data or None, content_type="application/json", headers=headers)

    def test_ask_read_cancel_retry(self, client, editor, server):
        asked = self.call(client, editor, "post", "/api/v1/imports/", address=f"{server.url}/film.mp4", title="A walk")
        assert asked.status_code == 201
        body = asked.json()
        assert (body["state"], body["title"], body["kind"], body["size"]) == ("waiting", "A walk", "http", None)
        assert self.call(client, editor, "delete", body["url"]).json()["state"] == "cancelled"
        assert self.call(client, editor, "delete", body["url"]).status_code == 409
        assert self.call(client, editor, "post", body["url"]).json()["state"] == "waiting"
        assert self.call(client, editor, "post", body["url"]).status_code == 409
        transfers.run()
        found = self.call(client, editor, "get", "/api/v1/imports/").json()["imports"]
        assert [(each["state"], each["received"], each["video"]["title"]) for each in found] == [
            ("done", len(server.content), "A walk")
        ]
        assert client.get("/api/v1/uploads/").status_code == 401

    def test_the_bytes_of_an_import_are_not_an_upload_of_the_account(self, client, editor, server):
        server.cut = 10
        ask(editor, f"{server.url}/film.mp4")
        transfers.run()
        assert self.call(client, editor, "get", "/api/v1/uploads/").json() == {"uploads": []}

    @pytest.mark.parametrize(
        "data",
        [{}, {"address": "x"}, {"address": ["a"]}, {"address": "http://10.0.0.1/a"}, {"address": "a", "page": "x"}],
    )
    def test_a_wrong_request_is_400_with_a_sentence(self, client, editor, data):
        answer = self.call(client, editor, "post", "/api/v1/imports/", **data)
        assert answer.status_code == 400
        assert answer.json()["detail"]

    def test_who_may_not(self, client, editor, server):
        address = {"address": f"{server.url}/film.mp4"}
        assert client.post("/api/v1/imports/", address, content_type="application/json").status_code == 401
        assert self.call(client, editor, "post", "/api/v1/imports/", scopes=["read"], **address).status_code == 403
        row = ask(editor, address["address"])
        other = User.objects.create_user("bob", is_staff=True)
        other.groups.add(Group.objects.get(name="Editors"))
        path = f"/api/v1/imports/{row.key}/"
        assert [self.call(client, other, method, path).status_code for method in ("get", "post", "delete")] == [404] * 3
        assert self.call(client, other, "get", "/api/v1/imports/").json() == {"imports": []}

    def test_too_many_are_429(self, client, editor, monkeypatch):
        monkeypatch.setattr(transfers, "MAX_UNFINISHED", 1)
        wanted = {"address": "https://example.org/a.mp4"}
        codes = [self.call(client, editor, "post", "/api/v1/imports/", **wanted).status_code for _ in range(2)]
        assert codes == [201, 429]


class TestPage:
    PAGE = "admin:videos_video_import"

    def test_addresses_are_asked_for_one_a_line(self, client, editor, server):
        client.force_login(editor)
        lines = f"{server.url}/a.mp4\n\n {server.url}/b.mp4 \r\n{server.url}/a.mp4"
        answer = client.post(reverse(self.PAGE), {"addresses": lines, "visibility": "private"}, follow=True)
        assert "2 imports begin." in answer.text
        assert Import.objects.count() == 2
        transfers.run()
        assert list(Video.objects.values_list("visibility", flat=True)) == ["private"] * 2
        assert "Done" in client.get(reverse(self.PAGE)).text

    def test_every_line_that_may_not_be_imported_is_named_and_none_is_begun(self, client, editor):
        client.force_login(editor)
        lines = "https://example.org/a.mp4\nhttp://10.1.1.1/x\nnothing"
        answer = client.post(reverse(self.PAGE), {"addresses": lines, "visibility": "private"})
        assert "http://10.1.1.1/x: 10.1.1.1 is not a public address." in answer.text
        assert "nothing: The address must look like" in answer.text
        assert not Import.objects.exists()

    def test_cancel_and_retry(self, client, editor):
        client.force_login(editor)
        row = ask(editor, "https://example.org/a.mp4")
        client.post(reverse(self.PAGE), {"cancel": row.key})
        assert ended(row)[0] == "cancelled"
        client.post(reverse(self.PAGE), {"retry": row.key})
        assert ended(row)[0] == "waiting"
        for key in ("nothing", "00000000-0000-4000-8000-000000000000"):
            assert (
                "That import has ended meanwhile." in client.post(reverse(self.PAGE), {"retry": key}, follow=True).text
            )

    def test_another_account_neither_sees_nor_changes_them(self, client, editor):
        row = ask(editor, "https://example.org/a.mp4")
        other = User.objects.create_user("bob", is_staff=True)
        other.groups.add(Group.objects.get(name="Editors"))
        client.force_login(other)
        assert "example.org/a.mp4" not in client.get(reverse(self.PAGE)).text
        client.post(reverse(self.PAGE), {"cancel": row.key})
        assert ended(row)[0] == "waiting"

    def test_a_limited_editor_chooses_among_the_own_categories(self, client, editor):
        own, other = CategoryFactory(name="Walks"), CategoryFactory(name="Talks")
        CategoryLimit.objects.create(user=editor, category=own)
        client.force_login(editor)
        assert "Talks" not in client.get(reverse(self.PAGE)).text
        form = {"addresses": "https://example.org/a.mp4", "visibility": "private", "category": other.pk}
        assert "Select a valid choice" in client.post(reverse(self.PAGE), form).text
        client.post(reverse(self.PAGE), form | {"category": own.pk})
        assert Import.objects.get().details["category"] == "walks"

    def test_without_the_permission(self, client):
        client.force_login(User.objects.create_user("eve", is_staff=True))
        assert client.get(reverse(self.PAGE)).status_code == 403

    def test_the_number_of_queries_does_not_grow(self, client, editor, server):
        client.force_login(editor)
        client.get(reverse(self.PAGE))

        def queries():
            with CaptureQueriesContext(connection) as captured:
                client.get(reverse(self.PAGE))
            return len(captured)

        ask(editor, f"{server.url}/a.mp4")
        transfers.run()
        one = queries()
        for name in ("b", "c"):
            ask(editor, f"{server.url}/{name}.mp4")
        transfers.run()
        assert queries() == one
