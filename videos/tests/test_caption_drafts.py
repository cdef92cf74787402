"""The working draft of a caption track: saved, published, left; who else is there; and the pages of the desk."""

import json

import pytest
from django.contrib.auth.models import Group, User
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from transcoding.engine.formats.subtitles import MAX_TEXT
from transcoding.steps import peaks
from transcoding.tests.conftest import broker
from videos import caption_presence, sidecars
from videos.caption_presence import Present
from videos.models import CaptionTrack, CaptionVersion, Cue
from videos.sidecars import Found
from videos.tests.factories import VideoFactory, add_captions
from videos.tests.test_captions import TWO, captions

__all__ = ["broker"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders", "broker")]

DESK = "/admin/videos/video/{}/captions/"
LIST = "/admin/videos/captiontrack/"


@pytest.fixture(autouse=True)
def editor(client):
    user = User.objects.create_user("ann", first_name="Ann", last_name="Keller", is_staff=True)
    user.groups.add(Group.objects.get(name="Editors"))
    client.force_login(user)
    yield user
    cache.clear()


@pytest.fixture
def video():
    return VideoFactory(public=True, title="Lake", slug="lake", duration=60)


@pytest.fixture
def track(video):
    return add_captions(video, (0, 2, "Hello"), (2, 4, "word"), (5, 6, "end"))


def url(number=1, rest="draft/"):
    return f"/api/v1/videos/lake/captions/{number}/{rest}"


def read(client):
    return client.get(url()).json()


def call(client, method, body, address=None):
    return getattr(client, method)(address or url(), json.dumps(body), content_type="application/json")


def change(client, revision, *splices):
    return call(client, "patch", {"revision": revision, "splices": splices})


def row(start, end, text, **marks):
    return [start, end, text, marks.get("edited", True), marks.get("confidence"), marks.get("checked", False)]


def texts(track):
    return list(track.cues.order_by("start").values_list("text", flat=True))


class TestSaving:
    def test_the_first_change_begins_a_draft_and_viewers_keep_their_text(self, client, track):
        text = read(client)
        assert (text["draft"], text["revision"], len(text["cues"])) == (False, -track.version, 3)
        answer = change(client, text["revision"], [1, 1, [row(2, 4, "world")]])
        assert answer.json() == {"revision": 2}
        assert change(client, 2, [0, 1, []], [1, 0, [row(4, 5, "new"), row(5, 5.5, "more")]]).json() == {"revision": 3}
        text = read(client)
        assert (text["draft"], text["revision"]) == (True, 3)
        assert [cue[2] for cue in text["cues"]] == ["world", "new", "more", "end"]
        assert texts(track) == ["Hello", "word", "end"]

    def test_a_change_of_another_revision_is_refused_with_the_present_one(self, client, track):
        first = read(client)["revision"]
        change(client, first, [0, 1, []])
        for revision in (first, 1, 7):
            answer = change(client, revision, [0, 1, []])
            assert (answer.status_code, answer.json()["revision"]) == (412, 2)
        assert len(read(client)["cues"]) == 2

    def test_a_draft_that_ended_meanwhile_is_a_conflict_too(self, client, track):
        change(client, read(client)["revision"], [0, 1, []])
        client.delete(f"{url()}?revision=2")
        answer = change(client, 2, [0, 1, []])
        assert answer.status_code == 412
        assert answer.json()["revision"] == read(client)["revision"] < 0

    @pytest.mark.parametrize(
        ("cue", "sentence"),
        [
            ([1, 2, "x"], "A cue is a list"),
            (row("one", 2, "x"), "A cue is a list"),
            (row(1, float("nan"), "x"), "A cue is a list"),
            (row(1, 2, 7), "A cue is a list"),
            (row(1, 2, "x", confidence=[2]), "A cue is a list"),
            (row(3, 2, "x"), "must end after it begins"),
            (row(-1, 2, "x"), "must end after it begins"),
            (row(61, 62, "x"), "begin within the video"),
            (row(1, 2, "x" * (MAX_TEXT + 1)), "more than 1000 characters"),
        ],
    )
    def test_bad_cues_are_a_sentence(self, client, track, cue, sentence):
        answer = change(client, read(client)["revision"], [0, 1, [cue]])
        assert answer.status_code == 400
        assert sentence in answer.json()["detail"]
        assert texts(track) == [cue[2] for cue in read(client)["cues"]]

    @pytest.mark.parametrize(
        "body",
        [
            [],
            {},
            {"revision": -1},
            {"revision": "1", "splices": []},
            {"revision": 0, "splices": []},
            {"revision": -1, "splices": [[0]]},
            {"revision": -1, "splices": [[-1, 1, []]]},
            {"revision": -1, "splices": [[0, True, []]]},
            {"revision": -1, "splices": [[0, 99, []]]},
        ],
    )
    def test_bad_bodies_too(self, client, track, body):
        assert call(client, "patch", body).status_code == 400
        assert not CaptionVersion.objects.exists()

    def test_text_is_only_text(self, client, track):
        hostile = "a\u202eb\x00 <b>c</b><script>alert(1)</script> x < y"
        change(client, read(client)["revision"], [0, 1, [row(0, 70, hostile)]])
        assert read(client)["cues"][0][:3] == [0, 60, "ab <b>c</b><script>alert(1)</script> x < y"]
        assert call(client, "post", {"revision": 2}).status_code == 200
        assert texts(track)[0] == "ab c x < y"

    def test_a_reader_of_videos_may_not(self, client, track):
        client.force_login(User.objects.create_user("bob", is_staff=True))
        assert change(client, -1, [0, 1, []]).status_code == 403
        assert client.get(DESK.format(track.video_id)).status_code == 403
        assert client.get(LIST).status_code == 403

    @pytest.mark.parametrize("number", [1, 3])
    def test_its_queries_do_not_depend_on_the_cues(self, client, video, number):
        add_captions(video, *((n, n + 1, "x") for n in range(number)))
        revision = read(client)["revision"]
        change(client, revision, [0, 1, [row(0, 1, "y")]])
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert change(client, 2, [0, 1, [row(0, 1, "z")]]).status_code == 200
        assert len(queries) <= 14


class TestPublishing:
    def test_the_text_becomes_the_present_one_and_the_former_one_a_version(self, client, track):
        change(client, read(client)["revision"], [1, 1, [row(2, 4, "world"), row(4, 5, "  ")]])
        kept = track.cues.get(text="end").pk
        answer = call(client, "post", {"revision": 2}).json()
        assert (answer["draft"], [cue[2] for cue in answer["cues"]]) == (False, ["Hello", "world", "end"])
        track.refresh_from_db()
        assert (track.edited, track.state) == (True, "published")
        assert [version.state for version in track.versions.all()] == ["replaced"]
        assert track.cues.get(text="end").pk == kept  # only what differs is written

    def test_a_track_that_was_never_published_is_published(self, client, video):
        track = captions.start(video, language="fr", kind="subtitles")
        assert call(client, "post", {"revision": -track.version}).status_code == 400  # it is empty
        change(client, -track.version, [0, 0, [row(5, 6, "Bonjour"), row(1, 2, "Salut")]])
        assert call(client, "post", {"revision": 2}).status_code == 200
        track.refresh_from_db()
        assert (track.state, texts(track)) == ("published", ["Salut", "Bonjour"])

    def test_a_draft_that_is_left_is_kept(self, client, track):
        change(client, read(client)["revision"], [0, 1, [row(0, 2, "Bye")]])
        assert client.delete(f"{url()}?revision=1").status_code == 412
        assert client.delete(f"{url()}?revision=2").json()["draft"] is False
        assert track.versions.get().cues[0][2] == "Bye"
        assert client.delete(url()).status_code == 400

    def test_a_whole_text_keeps_the_one_before_or_goes_aside(self, client, track):
        change(client, read(client)["revision"], [0, 1, [row(0, 2, "Theirs")]])
        assert call(client, "put", {"revision": 1, "cues": [row(0, 2, "Mine")]}).status_code == 412
        assert call(client, "put", {"revision": 2, "cues": [row(0, 2, "Mine")]}).json() == {"revision": 3}
        assert track.versions.get(state="replaced").cues[0][2] == "Theirs"
        assert call(client, "put", {"aside": True, "cues": [row(0, 2, "Aside")]}).json() == {"revision": 3}
        assert track.versions.get(state="draft", is_working=False).cues[0][2] == "Aside"

    def test_what_a_person_confirmed_is_kept_by_a_new_run(self, client, track):
        change(client, read(client)["revision"], [0, 1, [row(0, 2, "Hello", edited=False, checked=True)]])
        call(client, "post", {"revision": 2})
        other = [Cue(start=0, end=2, text="Hallo"), Cue(start=2, end=4, text="Wort")]
        version = CaptionVersion.objects.draft(CaptionTrack.objects.get(), other, origin="whisper")
        pairs = client.get(f"{url(rest=f'versions/{version.number}/')}?with=draft").json()["pairs"]
        assert [pair["advised"] for pair in pairs] == [False, True, True]


class TestPresence:
    def tell(self, client, page, **facts):
        answer = call(client, "post", {"page": page, "cue": 3, **facts}, url(rest="presence/"))
        return answer.json() if answer.status_code == 200 else answer.status_code

    def test_two_people_are_told_of_each_other(self, client, track):
        assert self.tell(client, "aaaaaaaa") == {"others": [], "revision": -track.version}
        bob = User.objects.create_superuser("bob")
        client.force_login(bob)
        assert self.tell(client, "bbbbbbbb")["others"] == [{"name": "Ann Keller", "cue": 3, "edits": True}]
        self.tell(client, "aaaaaaaa", closed=True)
        assert self.tell(client, "bbbbbbbb")["others"] == []

    def test_a_page_that_no_longer_reports_is_forgotten(self, track, monkeypatch):
        now = caption_presence.time.time()
        monkeypatch.setattr(caption_presence.time, "time", lambda: now)
        caption_presence.note(track.pk, "aaaaaaaa", Present("Ann", 1, True))
        now += caption_presence.LEASE_SECONDS + 1
        assert caption_presence.note(track.pk, "bbbbbbbb", Present("Bob", 1, True)) == []

    def test_the_number_of_pages_is_limited(self, track):
        for number in range(caption_presence.MAX_PAGES + 5):
            others = caption_presence.note(track.pk, f"page{number:05}", Present("Ann", 1, False))
        assert len(others) == caption_presence.MAX_PAGES

    @pytest.mark.parametrize("page", ["", "A" * 8, "a" * 33, "../../etc"])
    def test_bad_names_are_refused(self, client, track, page):
        assert self.tell(client, page) == 400


class TestPages:
    def post(self, client, video, action, **data):
        page = client.post(DESK.format(video.pk), {"action": action, **data}, follow=True)
        return page.content.decode()

    def test_a_track_is_added_described_withdrawn_and_deleted(self, client, video, track):
        assert "English" in client.get(DESK.format(video.pk)).content.decode()
        page = self.post(client, video, "new", language="fr", kind="subtitles")
        assert "Français was added" in page
        added = CaptionTrack.objects.get(language="fr")
        assert (added.state, added.origin) == ("draft", "written")
        page = self.post(client, video, "describe", track=2, language="fr-CA", kind="captions", name="Québec")
        added.refresh_from_db()
        assert (added.language, added.name) == ("fr-CA", "Québec")
        assert "no language" in self.post(client, video, "new", language="not a language", kind="captions")
        self.post(client, video, "withdraw", track=1)
        track.refresh_from_db()
        assert track.state == "draft"
        assert "was deleted" in self.post(client, video, "delete", track=2)
        assert "deleted meanwhile" in self.post(client, video, "delete", track=2)
        assert "not known" in self.post(client, video, "explode")
        assert client.get(DESK.format(video.pk) + "?track=9").status_code == 404

    def test_a_video_without_captions(self, client, video):
        assert "No captions yet" in client.get(DESK.format(video.pk)).content.decode()

    @pytest.mark.parametrize("number", [1, 3])
    def test_the_queries_do_not_depend_on_the_number_of_tracks(self, client, video, number):
        for code in ("en", "fr", "de")[:number]:
            add_captions(video, (0, 1, "x"), language=code)
        client.get(DESK.format(video.pk))
        with CaptureQueriesContext(connection) as queries:
            client.get(DESK.format(video.pk))
        assert len(queries) == TestPages.DESK_QUERIES
        client.get(f"{LIST}?open=all")
        with CaptureQueriesContext(connection) as queries:
            client.get(f"{LIST}?open=all")
        assert len(queries) == TestPages.LIST_QUERIES

    DESK_QUERIES = 7
    LIST_QUERIES = 5

    def test_the_list_has_what_waits_for_an_editor(self, client, video, track):
        draft = VideoFactory(public=True, title="Unpublished")
        add_captions(draft, (0, 1, "x"), state="draft")
        changed = add_captions(VideoFactory(public=True, title="Changed"), (0, 1, "x"))
        CaptionVersion.objects.draft(changed, [Cue(start=0, end=1, text="y")])
        gone = VideoFactory(title="Gone", deleted_at="2026-01-01T00:00Z")
        add_captions(gone, (0, 1, "x"), state="draft")
        cache.clear()
        page = client.get(LIST).content.decode()
        shown = [title for title in ("Unpublished", "Changed", "Lake", "Gone") if title in page]
        assert shown == ["Unpublished", "Changed"]
        assert "Lake" in client.get(f"{LIST}?open=all").content.decode()
        assert "Lake" in client.get(f"{LIST}?open=automatic").content.decode()
        assert f"{DESK.format(changed.video_id)}?track=1" in page
        start = client.get("/admin/").content.decode()
        assert "Check captions" in start


class TestSound:
    def test_a_video_without_a_package_has_none(self, client, track):
        address = f"/admin/videos/video/{track.video_id}/captions/sound/0/"
        answer = client.get(address)
        assert (answer.status_code, answer.content) == (204, b"")
        assert client.post(address).status_code == 405

    def test_only_some_parts_are_made_at_once(self, client, track):
        for slot in range(peaks.AT_ONCE):
            cache.add(peaks.LOCK.format(slot), 1, 10)
        answer = client.get(f"/admin/videos/video/{track.video_id}/captions/sound/0/")
        assert (answer.status_code, answer["Retry-After"], answer["Cache-Control"]) == (503, "1", "no-store")

    def test_peaks_are_the_loudest_samples(self):
        second = bytes(2 * peaks.SAMPLES // 2) + b"\xff\x7f" * (peaks.SAMPLES // 2)
        found = peaks._peaks(second * 2, skipped=1)
        assert list(found) == [0] * (peaks.RATE // 2) + [255] * (peaks.RATE // 2)


def test_a_late_sidecar_is_a_draft_of_the_track_of_its_language(video):
    track = add_captions(video, (0, 2, "Hello"), language="en", kind="subtitles")
    text = captions.plain([captions.Caption(**cue) for cue in TWO], 60)
    facts = {"language": "en", "kind": "subtitles", "is_forced": False}
    sidecars.attach_late(video, Found([(facts, text), ({**facts, "language": "fr"}, text)]))
    assert [row.language for row in video.caption_tracks.order_by("number")] == ["en", "fr"]
    draft = track.versions.get()
    assert (draft.state, draft.origin, draft.length, texts(track)) == ("draft", "sidecar", 2, ["Hello"])
