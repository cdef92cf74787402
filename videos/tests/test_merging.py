"""Categories and tags in the admin: suggested, merged, deleted."""

import threading

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from videos.merging import GoneError, merge
from videos.models import Category, Tag, Video, VideoTag
from videos.tests.factories import CategoryFactory, TagFactory, VideoFactory
from videos.tests.test_admin import staff, text
from videos.tests.versions import shown_by_list
from videos.uploads import tags_named

pytestmark = pytest.mark.django_db

KINDS = pytest.mark.parametrize(("kind", "factory"), [("category", CategoryFactory), ("tag", TagFactory)])


@pytest.fixture
def editor(client):
    user = staff(*(f"{verb}_{what}" for verb in ("view", "add", "change", "delete") for what in ("category", "tag")))
    client.force_login(user)
    return user


def give(row, *videos):
    """Put videos on a category or a tag."""
    row.videos.add(*videos)


def names(row):
    return sorted(row.videos.values_list("slug", flat=True))


def act(client, kind, action, rows, **more):
    data = {"action": action, "_selected_action": [row.pk for row in rows], **shown_by_list(*rows), **more}
    return client.post(f"/admin/videos/{kind}/", data, follow=True)


class TestMerging:
    @KINDS
    def test_the_videos_move_and_the_others_go(self, kind, factory):
        kept, other, third, apart = factory(), factory(), factory(), factory()
        for number, row in enumerate((kept, other, third, apart)):
            give(row, VideoFactory(slug=f"v{number}"), VideoFactory(slug=f"gone-{number}", deleted_at=timezone.now()))
        merge(kept, [other, third])
        assert names(kept) == [*(f"gone-{n}" for n in range(3)), *(f"v{n}" for n in range(3))]
        assert names(apart) == ["gone-3", "v3"]
        assert set(type(kept).objects.all()) == {kept, apart}

    def test_a_video_with_both_tags_has_one(self):
        kept, other, third, video = TagFactory(), TagFactory(), TagFactory(), VideoFactory()
        video.tags.set([kept, other, third])
        both = VideoFactory()
        both.tags.set([other, third])
        merge(kept, [other, third])
        assert sorted(VideoTag.objects.values_list("video", "tag")) == [(video.pk, kept.pk), (both.pk, kept.pk)]

    @KINDS
    def test_nothing_is_lost_where_the_one_to_stay_is_gone(self, kind, factory):
        kept, other = factory(), factory()
        give(other, VideoFactory(slug="v"))
        type(kept).objects.filter(pk=kept.pk).delete()
        with pytest.raises(GoneError, match="Choose another one to keep"):
            merge(kept, [other])
        assert names(other) == ["v"]

    @KINDS
    def test_it_runs_twice_without_harm_and_never_deletes_the_one_that_stays(self, kind, factory):
        kept, other = factory(), factory()
        merge(kept, [other, kept])
        merge(kept, [other])
        assert list(type(kept).objects.all()) == [kept]


class TestTheAction:
    @KINDS
    def test_asks_which_one_stays_and_does_it(self, client, editor, kind, factory):
        kept, other = factory(name="Kept"), factory(name="Other")
        give(other, VideoFactory(slug="v1"), VideoFactory(slug="v2"))
        page = text(act(client, kind, "merge", [kept, other]))
        assert f"Choose the {kind} to keep." in page
        assert f'value="{other.pk}" required checked> Other (other, 2 videos)' in page
        assert type(kept).objects.count() == 2
        assert "Merged Other into Kept." in text(act(client, kind, "merge", [kept, other], kept=kept.pk))
        assert names(kept) == ["v1", "v2"]
        assert LogEntry.objects.get().change_message == "Merged with Other."

    @KINDS
    def test_one_alone_cannot_be_merged(self, client, editor, kind, factory):
        row = factory()
        assert "Select at least two" in text(act(client, kind, "merge", [row], kept=row.pk))

    @KINDS
    @pytest.mark.parametrize("chosen", ["", "0", "x", "999999"])
    def test_a_choice_that_is_none_of_them_is_asked_again(self, client, editor, kind, factory, chosen):
        rows = [factory(), factory()]
        assert f"Choose the {kind} to keep." in text(act(client, kind, "merge", rows, kept=chosen))
        assert rows[0]._meta.model.objects.count() == 2

    @KINDS
    def test_is_for_those_who_may_delete(self, client, kind, factory):
        client.force_login(staff(f"view_{kind}", f"change_{kind}"))
        rows = [factory(), factory()]
        act(client, kind, "merge", rows, kept=rows[0].pk)
        assert rows[0]._meta.model.objects.count() == 2


class TestDeleting:
    @pytest.mark.parametrize("action", [True, False])
    @pytest.mark.parametrize(
        ("kind", "factory", "note"),
        [
            ("category", CategoryFactory, "Woods: 1 video will remain without a category"),
            ("tag", TagFactory, "Woods: 1 video will lose this tag"),
        ],
    )
    def test_the_confirmation_says_what_becomes_of_the_videos(self, client, editor, kind, factory, note, action):
        row, video = factory(name="Woods"), VideoFactory()
        give(row, video)
        address = f"/admin/videos/{kind}/{row.pk}/delete/"
        page = text(act(client, kind, "delete_selected", [row]) if action else client.get(address))
        assert note in page
        if action:
            act(client, kind, "delete_selected", [row], post="yes")
        else:
            client.post(address, {"post": "yes"})
        assert not row._meta.model.objects.exists()
        video.refresh_from_db()
        assert (video.category, list(video.tags.all())) == (None, [])

    @KINDS
    def test_is_for_those_who_may(self, client, kind, factory):
        client.force_login(staff(f"view_{kind}", f"change_{kind}"))
        row = factory()
        assert client.post(f"/admin/videos/{kind}/{row.pk}/delete/", {"post": "yes"}).status_code == 403
        act(client, kind, "delete_selected", [row], post="yes")
        assert row._meta.model.objects.exists()


class TestTheList:
    @KINDS
    def test_counts_what_is_not_archived_with_the_same_queries_for_any_number(self, client, editor, kind, factory):
        def row():
            give(factory(), VideoFactory(), VideoFactory(), VideoFactory(deleted_at=timezone.now()))

        row()
        with CaptureQueriesContext(connection) as one:
            page = text(client.get(f"/admin/videos/{kind}/"))
        assert '<td data-label="Videos" class="field-number_of_videos">2</td>' in page
        row()
        row()
        with CaptureQueriesContext(connection) as three:
            client.get(f"/admin/videos/{kind}/")
        assert len(one) == len(three) <= 8

    @KINDS
    def test_is_searched(self, client, editor, kind, factory):
        factory(name="Woods")
        factory(name="Lake")
        page = text(client.get(f"/admin/videos/{kind}/?q=woo"))
        assert "Woods" in page
        assert "Lake" not in page


class TestSuggestions:
    def test_are_the_tags_that_begin_so_and_the_most_used_first(self, client, editor):
        for name, number in (("Wood", 0), ("Woods", 2), ("Lake", 3), ("woodland", 1)):
            give(TagFactory(name=name), *(VideoFactory() for _ in range(number)))
        answer = client.get("/admin/videos/tag/names/?term=wOO").json()
        assert answer == {"names": ["Woods", "woodland", "Wood"]}

    @pytest.mark.parametrize("term", ["%25", "_", "x" * 5000, "%ff"])
    def test_whatever_is_typed_is_only_text(self, client, editor, term):
        TagFactory(name="Woods")
        response = client.get(f"/admin/videos/tag/names/?term={term}")
        assert response.status_code == 200
        assert response.json()["names"] == []

    def test_are_for_those_who_may_see_tags_or_write_videos(self, client):
        address = "/admin/videos/tag/names/?term=w"
        assert client.get(address).status_code == 302
        client.force_login(staff())
        assert client.get(address).status_code == 403
        client.force_login(staff("add_video"))
        assert client.get(address).status_code == 200

    def test_the_field_of_a_video_asks_for_them(self, client):
        client.force_login(staff("view_video", "add_video", "change_video"))
        for address in ("add/", f"{VideoFactory().pk}/change/"):
            page = text(client.get(f"/admin/videos/video/{address}"))
            assert 'data-suggestions="/admin/videos/tag/names/"' in page
            assert "tag_names.js" in page


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (["C"], ["C++"], ["C", "C++"]),  # one slug
        (["Woods"], ["woods"], ["Woods"]),  # one tag
        (["Woods"], ["Woods"], ["Woods"]),
        (["a", "b"], ["b", "a"], ["a", "b"]),  # each holds what the other waits for, unless both begin with one
    ],
)
def test_two_editors_make_tags_at_the_same_moment(first, second, expected):
    made = []

    def work():
        with transaction.atomic():
            made.extend(tags_named(second))
        connections.close_all()

    other = threading.Thread(target=work)
    with transaction.atomic():
        mine = tags_named(first[:1])
        other.start()
        other.join(0.3)  # it waits for this transaction
        mine += tags_named(first[1:])
    other.join(30)
    assert len(made) == len(second)
    assert sorted(Tag.objects.values_list("name", flat=True)) == expected
    assert Tag.objects.values("slug").distinct().count() == len(expected)
    assert Category.objects.count() == Video.objects.count() == 0
