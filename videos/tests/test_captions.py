"""Captions by the HTTP API and by manage.py captions: formats, drafts, versions, refusals and permissions."""

import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from transcoding.engine.formats.webvtt import Caption
from transcoding.tests.conftest import broker
from videos import captions
from videos.models import CaptionTrack, CaptionVersion, Cue, WebhookDelivery
from videos.models.caption_versions import MAX_DRAFTS, MAX_REPLACED
from videos.models.webhooks import Webhook
from videos.tests.factories import VideoFactory, add_captions
from vlog import tokens
from vlog.models import AuditEntry

__all__ = ["broker"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_folders", "broker")]

SRT = "1\n00:00:01,000 --> 00:00:02,500\nBonjour\n\n2\n00:00:03,000 --> 00:00:04,000\nà tous\n"
TWO = [{"start": 0, "end": 2, "text": "Hello"}, {"start": 2, "end": 4, "text": "world"}]


@pytest.fixture
def editor(django_user_model):
    user = User.objects.create_user("ann", is_staff=True)
    user.groups.add(Group.objects.get(name="Editors"))
    return user


def client_of(user, *scopes):
    client = Client(enforce_csrf_checks=True)
    client.defaults["HTTP_AUTHORIZATION"] = f"Bearer {tokens.create(user, list(scopes))[0]}"
    return client


@pytest.fixture
def client(editor):
    return client_of(editor, "edit")


@pytest.fixture
def video():
    return VideoFactory(public=True, title="Lake", slug="lake")


@pytest.fixture
def track(video):
    return add_captions(video, (0, 2, "Hello"), (2, 4, "word"))


def url(number=None, version=None):
    parts = [part for part in (number and f"{number}/", version and f"versions/{version}/") if part]
    return "/api/v1/videos/lake/captions/" + "".join(parts)


def send(client, method, address, body, version=None, kind="text/plain"):
    headers = {} if version is None else {"If-Match": f'"{version}"'}
    data = json.dumps(body) if isinstance(body, dict) else body
    kind = "application/json" if isinstance(body, dict) else kind
    return getattr(client, method)(address, data, content_type=kind, headers=headers)


def texts(track):
    return list(track.cues.order_by("start").values_list("text", "edited"))


class TestReading:
    def test_a_list_has_the_tracks_and_their_versions(self, client, video, track):
        captions.write(track, captions.plain([Caption(0, 2, "Hallo")], 60))
        add_captions(video, (0, 1, "Salut"), language="fr", origin="uploaded", state="draft", is_forced=True)
        found = client.get(url()).json()["captions"]
        assert [(row["number"], row["label"], row["state"], row["edited"]) for row in found] == [
            (1, "English", "published", True),
            (2, "Français (forced)", "draft", False),
        ]
        ((version,), ()) = [row["versions"] for row in found]
        assert (version["number"], version["state"], version["cues"], version["language"]) == (1, "replaced", 2, "en")

    def test_the_number_of_queries_does_not_grow(self, client, video, track):
        def queries():
            with CaptureQueriesContext(connection) as context:
                assert client.get(url()).status_code == 200
            return len(context)

        queries()  # the first one notes the use of the token
        one = queries()
        for language in ("fr", "de"):
            other = add_captions(video, (0, 1, "x"), language=language)
            captions.write(other, captions.plain([Caption(0, 2, "y")], 60))
        assert queries() == one

    def test_one_track_has_its_cues_and_its_version(self, client, track):
        answer = client.get(url(1))
        assert [(cue["start"], cue["end"], cue["text"]) for cue in answer.json()["cues"]] == [
            (0, 2, "Hello"),
            (2, 4, "word"),
        ]
        assert answer["ETag"] == f'"{track.version}"'

    @pytest.mark.parametrize(
        ("name", "kind", "content"),
        [
            ("vtt", "text/vtt", "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nHello\n"),
            ("srt", "application/x-subrip", "1\n00:00:00,000 --> 00:00:02,000\nHello\n"),
            ("ttml", "application/ttml+xml", '<p begin="00:00:00.000" end="00:00:02.000">Hello</p>'),
            ("txt", "text/plain", "Hello word\n"),
        ],
    )
    def test_a_track_is_a_file_of_each_format(self, client, track, name, kind, content):
        answer = client.get(url(1), {"as": name})
        assert (answer["Content-Type"], content in answer.content.decode()) == (f"{kind}; charset=utf-8", True)
        assert answer["Content-Disposition"] == f'attachment; filename="Lake (en).{name}"'

    def test_what_is_not_there_is_said(self, client, track):
        assert client.get(url(7)).json() == {"detail": "«Lake» has no captions 7."}
        assert client.get(url(1, 7)).json() == {"detail": "Captions 1 have no version 7."}
        answer = client.get(url(1), {"as": "doc"})
        assert (answer.status_code, answer.json()) == (400, {"detail": "as is one of vtt, srt, ttml, sbv, ass, txt."})

    def test_numbers_and_bodies_that_are_none_are_refused(self, client, track):
        for address in (url(10**30), url(1, 10**30)):
            assert client.get(address).status_code == 404
        for method, body in (
            ("patch", "[]"),
            ("patch", '"x"'),
            ("patch", "{"),
            ("put", "\0"),
            ("put", "[]"),
            ("put", "{"),
        ):
            answer = send(client, method, url(1), body, track.version, kind="application/json")
            assert (method, body, answer.status_code, len(answer.json()["detail"]) > 10) == (method, body, 400, True)
        for query in ("language=%00", "language=", "language=fr&kind=%00", "language=" + "x" * 5000):
            assert send(client, "post", f"{url()}?{query}", SRT).status_code == 400
        assert send(client, "post", f"{url()}?language=fr&name=a%22b", SRT).json()["name"] == 'a"b'


class TestAdding:
    def test_a_file_becomes_a_published_track(self, client, video):
        answer = send(client, "post", f"{url()}?language=fra", SRT.encode("cp1252"), kind="application/x-subrip")
        row = answer.json()
        assert (answer.status_code, row["language"], row["kind"], row["origin"]) == (201, "fr", "subtitles", "uploaded")
        assert row["notes"] == ["Its encoding is not UTF-8; it was read as cp1252."]
        assert [cue["text"] for cue in row["cues"]] == ["Bonjour", "à tous"]
        assert CaptionTrack.objects.get().state == "published"
        assert "added captions to" in AuditEntry.objects.values_list("action", flat=True)

    def test_a_file_for_a_language_that_has_a_track_is_a_draft_beside_it(self, client, track):
        answer = send(client, "post", f"{url()}?language=en", SRT)
        assert (answer.status_code, answer.json()["number"], answer.json()["draft"]) == (201, 1, 1)
        assert texts(track) == [("Hello", False), ("word", False)]

    def test_a_track_may_begin_as_a_draft_and_forced(self, client, video):
        send(client, "post", f"{url()}?language=und&draft=true&forced=1&name=Signs&kind=captions", SRT)
        row = CaptionTrack.objects.get()
        assert (row.state, row.is_forced, row.name, row.kind) == ("draft", True, "Signs", "captions")

    def test_what_lies_outside_the_video_is_named(self, client, video):
        late = SRT + "\n3\n00:01:10,000 --> 00:01:11,000\nlate\n"
        answer = send(client, "post", f"{url()}?language=fr", late)
        assert answer.json()["notes"] == ["1 cue outside the video was left out."]

    def test_drafts_are_limited(self, client, track):
        for _ in range(MAX_DRAFTS):
            assert send(client, "post", f"{url()}?language=en", {"cues": TWO}).status_code == 201
        answer = send(client, "post", f"{url()}?language=en", {"cues": TWO})
        assert (answer.status_code, "at most 10 drafts" in answer.json()["detail"]) == (400, True)


def a_zip():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("a.srt", SRT)
    return data.getvalue()


BAD = {
    "times that run backwards": SRT.replace("00:00:02,500", "00:00:00,500").replace("00:00:04", "00:00:02"),
    "after the end": SRT.replace("00:00:0", "02:00:0"),
    "nothing": "",
    "no captions": "Dear Sir or Madam,\n",
    "a page": "<html><body><script>alert(1)</script></body></html>",
    "scripts alone": SRT.replace("Bonjour", "<script>alert(1)</script>").replace("à tous", "<b></b>"),
    "bidi controls alone": SRT.replace("Bonjour", "\u202e").replace("à tous", "\u2066"),
    "NUL": "\0" * 500,
    "a zip": a_zip(),
    "a half": "<tt xmlns='http://www.w3.org/ns/ttml'><body>",
    "too large": b"x" * (6 << 20),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_bad_input_is_a_sentence_and_the_captions_stay(client, track, data):
    answer = send(client, "put", url(1), data, track.version)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("The captions were not taken. ")
    assert texts(track) == [("Hello", False), ("word", False)]
    assert CaptionTrack.objects.count() == 1


def test_a_file_that_cannot_be_used_makes_no_track(client, track):
    assert send(client, "post", f"{url()}?language=de", a_zip()).status_code == 400
    assert CaptionTrack.objects.count() == 1


def test_what_is_far_too_large_is_not_read(client, track):
    answer = send(client, "put", url(1), b"x" * ((10 << 20) + 1), track.version)
    assert (answer.status_code, "more than 10 MB" in answer.json()["detail"]) == (413, True)


@pytest.mark.parametrize("cues", [None, 7, [7], [{"start": 0}], [{"start": 0, "end": float("inf"), "text": "x"}]])
def test_json_that_is_no_captions_is_refused(client, track, cues):
    assert send(client, "put", url(1), {"cues": cues}, track.version).status_code == 400
    assert texts(track) == [("Hello", False), ("word", False)]


def test_markup_of_typed_cues_is_left_out_and_braces_stay(client, track):
    cues = [{"start": 0, "end": 2, "text": "{laughs} <script>x</script>\u202ehe\0y"}]
    answer = send(client, "put", url(1), {"cues": cues}, track.version)
    assert [cue["text"] for cue in answer.json()["cues"]] == ["{laughs} hey"]
    assert answer.json()["notes"] == ["Styles and positions were left out."]


class TestChanging:
    def test_a_new_text_marks_what_differs_and_keeps_the_former_one(self, client, track):
        answer = send(client, "put", url(1), {"cues": TWO}, track.version)
        assert (answer.status_code, answer["ETag"]) == (200, f'"{track.version + 1}"')
        assert texts(track) == [("Hello", False), ("world", True)]
        version = CaptionVersion.objects.get()
        assert (version.state, [cue.text for cue in version.as_cues()]) == ("replaced", ["Hello", "word"])
        entry = AuditEntry.objects.filter(action="changed captions of").latest("at")
        assert (entry.who, entry.after["cues"]) == ("ann", "1 changed")

    def test_the_same_text_changes_nothing(self, client, track):
        same = [{**TWO[0]}, {**TWO[1], "text": "word"}]
        answer = send(client, "put", url(1), {"cues": same}, track.version)
        assert (answer["ETag"], CaptionVersion.objects.count()) == (f'"{track.version}"', 0)

    def test_a_version_is_required_and_must_be_the_present_one(self, client, track):
        assert send(client, "put", url(1), {"cues": TWO}).status_code == 428
        assert send(client, "patch", url(1), {"kind": "subtitles"}).status_code == 428
        answer = send(client, "put", url(1), {"cues": TWO}, track.version - 1)
        assert (answer.status_code, answer.json()["version"]) == (412, track.version)
        assert client.delete(url(1), headers={"If-Match": "99"}).status_code == 412
        assert texts(track) == [("Hello", False), ("word", False)]

    def test_a_track_is_described_and_withdrawn(self, client, video, track):
        other = add_captions(video, (0, 1, "x"), language="fr", is_default=True)
        fields = {"language": "EN-gb", "name": "Corrected", "kind": "subtitles", "default": True, "state": "draft"}
        row = send(client, "patch", url(1), fields, track.version).json()
        assert {name: row[name] for name in fields} == {**fields, "language": "en-GB"}
        other.refresh_from_db()
        assert not other.is_default

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"language": "Klingon"}, "language: 'Klingon' is no language."),
            ({"kind": "song"}, "kind: "),
            ({"origin": "written"}, "origin: This cannot be changed."),
            ({"name": "x" * 101}, "name: "),
        ],
    )
    def test_a_description_that_is_none_is_refused(self, client, track, fields, sentence):
        answer = send(client, "patch", url(1), fields, track.version)
        assert (answer.status_code, answer.json()["detail"][: len(sentence)]) == (400, sentence)

    def test_a_track_is_deleted_with_its_versions(self, client, track):
        captions.write(track, captions.plain([Caption(0, 2, "Hallo")], 60))
        assert client.delete(url(1)).status_code == 204
        assert not any(model.objects.exists() for model in (CaptionTrack, CaptionVersion, Cue))

    def test_former_texts_are_limited(self, track):
        for number in range(MAX_REPLACED + 3):
            captions.write(track, captions.plain([Caption(0, 2, f"Hello {number}")], 60))
        assert CaptionVersion.objects.count() == MAX_REPLACED
        assert CaptionVersion.objects.latest("number").number == MAX_REPLACED + 3

    def test_webhooks_learn_of_texts_and_publications_and_not_of_names(self, client, track):
        Webhook.objects.create(address="https://example.org", events=["captions.ready"])
        send(client, "patch", url(1), {"name": "Corrected"}, track.version)
        assert WebhookDelivery.objects.count() == 0
        send(client, "put", url(1), {"cues": TWO}, track.version + 1)
        assert WebhookDelivery.objects.count() == 1
        send(client, "patch", url(1), {"state": "draft"}, track.version + 2)
        send(client, "post", f"{url()}?language=en", SRT)
        assert WebhookDelivery.objects.count() == 1
        row = CaptionTrack.objects.get()
        send(client, "patch", url(1), {"state": "published"}, row.version)
        assert WebhookDelivery.objects.count() == 2


class TestVersions:
    @pytest.fixture
    def draft(self, track):
        """A draft beside a text of whose two cues the second one is edited."""
        captions.write(track, captions.plain([Caption(0, 2, "Hello"), Caption(2, 4, "world")], 60))
        track.refresh_from_db()
        cues = [Cue(start=0, end=2, text="Hullo"), Cue(start=2, end=4, text="word"), Cue(start=5, end=6, text="More")]
        return CaptionVersion.objects.draft(track, cues, origin="whisper", edited=False)

    def test_a_draft_is_compared_with_the_present_text(self, client, draft):
        answer = client.get(url(1, draft.number))
        pairs = answer.json()["pairs"]
        assert [(pair["change"], pair["advised"]) for pair in pairs] == [
            ("changed", True),
            ("changed", False),
            ("added", True),
        ]
        assert (pairs[1]["present"]["text"], pairs[1]["present"]["edited"], pairs[2]["present"]) == (
            "world",
            True,
            None,
        )

    def test_taking_over_keeps_edited_cues(self, client, track, draft):
        track.refresh_from_db()
        answer = send(client, "post", url(1, draft.number), {}, track.version)
        assert (answer.status_code, answer.json()["changes"]) == (200, 2)
        assert texts(track) == [("Hullo", False), ("world", True), ("More", False)]
        assert list(CaptionVersion.objects.order_by("number").values_list("state", flat=True)) == ["replaced"] * 3

    def test_taking_over_may_choose(self, client, track, draft):
        track.refresh_from_db()
        assert send(client, "post", url(1, draft.number), {"take": [99]}, track.version).status_code == 400
        send(client, "post", url(1, draft.number), {"take": [2]}, track.version)
        assert texts(track) == [("Hello", False), ("world", True), ("More", False)]

    def test_taking_over_all_makes_it_the_text(self, client, track, draft):
        track.refresh_from_db()
        send(client, "post", url(1, draft.number), {"whole": True}, track.version)
        assert texts(track) == [("Hullo", False), ("word", False), ("More", False)]
        track.refresh_from_db()
        assert (track.edited, CaptionVersion.objects.filter(pk=draft.pk).exists()) == (False, False)

    def test_a_former_text_is_brought_back(self, client, track, draft):
        track.refresh_from_db()
        answer = send(client, "post", url(1, 1), {}, track.version)
        assert answer.status_code == 200
        assert texts(track) == [("Hello", False), ("word", False)]
        latest = CaptionVersion.objects.latest("number")
        assert [(cue.text, cue.edited) for cue in latest.as_cues()] == [("Hello", False), ("world", True)]

    def test_cues_of_a_persons_file_count_as_edited_in_whispers_track(self, client, track):
        send(client, "post", f"{url()}?language=en", SRT)
        track.refresh_from_db()
        send(client, "post", url(1, 1), {"take": [0]}, track.version)
        assert [text for text in texts(track) if text[1]] == [("Bonjour", True)]

    def test_a_draft_is_deleted(self, client, track, draft):
        assert client.delete(url(1, draft.number)).status_code == 204
        assert not CaptionVersion.objects.drafts().exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_edits_at_once_one_is_refused(editor, client, track):
    both, token = Barrier(2), client.defaults["HTTP_AUTHORIZATION"]

    def edit(word):
        try:
            other = Client(headers={"Authorization": token})
            both.wait()
            return send(
                other, "put", url(1), {"cues": [{"start": 0, "end": 1, "text": word}]}, track.version
            ).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(edit, ("one", "two"))) == [200, 412]
    assert len(texts(track)) == 1


class TestPermissions:
    CALLS = (("get", 200), ("put", 428), ("patch", 428), ("delete", 204))

    def test_reading_needs_less_than_changing(self, editor, track):
        reader = client_of(editor, "read")
        assert [getattr(reader, name)(url(1)).status_code for name, _ in self.CALLS] == [200, 403, 403, 403]
        assert send(reader, "post", f"{url()}?language=fr", SRT).status_code == 403
        writer = client_of(editor, "edit")
        assert [getattr(writer, name)(url(1)).status_code for name, _ in self.CALLS] == [200, 428, 428, 204]

    def test_without_an_account_or_the_permission_nothing_is_answered(self, django_user_model, track):
        assert Client().get(url(1)).status_code == 401
        stranger = client_of(User.objects.create_user("eve", is_staff=True), "edit")
        assert [getattr(stranger, name)(url(1)).status_code for name, _ in self.CALLS] == [403] * 4
        assert stranger.get(url()).status_code == 403


class TestCommand:
    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / "lake.fr.srt"
        path.write_text(SRT)
        return str(path)

    def run(self, *arguments):
        out, err = io.StringIO(), io.StringIO()
        call_command("captions", *arguments, stdout=out, stderr=err)
        return out.getvalue()

    def test_import_export_list_and_delete(self, video, file):
        assert self.run("list", "lake") == "«Lake» has no captions.\n"
        assert self.run("import", "lake", file, "--language", "fr") == (
            "2 cues imported as captions 1 (fr), published.\n"
        )
        assert self.run("export", "lake", "--language", "fr", "--format", "srt") == SRT
        assert self.run("list", "lake") == "  1  fr       published, subtitles, uploaded\n"
        assert json.loads(self.run("list", "lake", "--json"))[0]["label"] == "Français"
        assert self.run("delete", "lake", "--track", "1") == "Captions 1 (fr) of «Lake» are deleted.\n"
        assert not CaptionTrack.objects.exists()

    def test_a_draft_is_published(self, track, file):
        assert "draft 1 of captions 1" in self.run("import", "lake", file, "--language", "en")
        assert "draft 1: 2 cues" in self.run("list", "lake")
        said = self.run("publish", "lake", "--track", "1", "--draft", "1")
        assert said.endswith("Captions 1 (en) of «Lake» are published.\n")
        assert [text for text, _ in texts(track)] == ["Bonjour", "à tous"]

    def test_a_file_replaces_a_text_which_is_kept(self, track, file):
        self.run("import", "lake", file, "--language", "en", "--replace")
        assert [text for text, _ in texts(track)] == ["Bonjour", "à tous"]
        track.refresh_from_db()
        assert (track.origin, CaptionVersion.objects.get().length) == ("uploaded", 2)

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (["list", "sea"], "There is no video 'sea' outside the archive."),
            (
                ["export", "lake", "--language", "fr"],
                "This is not one track of «Lake». Choose one with --track: 1 (en).",
            ),
            (["export", "lake", "--track", "4"], "This is not one track of «Lake». Choose one with --track: 1 (en)."),
            (["import", "lake", "/nowhere.srt", "--language", "fr"], "There is no file /nowhere.srt."),
            (
                ["import", "lake", __file__, "--language", "fr"],
                "The captions were not taken. It is",
            ),
            (["import", "lake", __file__, "--language", "Klingon"], "'Klingon' is no language."),
            (["publish", "lake", "--track", "1", "--draft", "9"], "Captions 1 have no version 9."),
            (["transcribe"], "Give a SLUG, or --missing for the whole library."),
            (["transcribe", "lake", "--missing"], "Give a SLUG, or --missing for the whole library."),
        ],
    )
    def test_a_mistake_is_a_sentence(self, track, arguments, sentence):
        with pytest.raises(CommandError) as refused:
            self.run(*arguments)
        assert (str(refused.value)[: len(sentence)], refused.value.returncode) == (sentence, 2)
        assert texts(track) == [("Hello", False), ("word", False)]

    def test_without_whisper_nothing_is_transcribed(self, track):
        with pytest.raises(CommandError, match="VLOG_WHISPER_MODEL is none") as refused:
            self.run("transcribe", "--missing")
        assert refused.value.returncode == 1
