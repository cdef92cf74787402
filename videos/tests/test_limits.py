"""An editor who is limited to categories: what the desk, the API and the addresses of files show of other videos."""

import re

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from videos import archive, grants, merging
from videos.models import CategoryLimit, Playlist, Upload, Video, categories_for
from videos.storage.paths import package_name
from videos.tests.factories import CategoryFactory, TranscodingJobFactory, VideoFactory
from vlog.models import AuditEntry
from vlog.tests.people import PASSWORD, client_of

pytestmark = pytest.mark.django_db
LIST = "/admin/videos/video/"


@pytest.fixture
def categories():
    return CategoryFactory(name="Harbour"), CategoryFactory(name="Lectures")


def person(name, *limits, group="Editors"):
    user = User.objects.create_user(name, is_staff=True)
    user.groups.add(Group.objects.get(name=group))
    CategoryLimit.objects.replace(user, list(limits))
    return user


@pytest.fixture
def editor(categories):
    return person("edna", categories[0])


@pytest.fixture
def videos(categories):
    """One video of the editor's category, one of another, and one without."""
    made = [
        VideoFactory(title=f"Video of {row}", slug=f"v{number}", category=row, visibility="private", public=True)
        for number, row in enumerate([*categories, None])
    ]
    for video in made:
        TranscodingJobFactory(video=video)
    return made


def test_the_method_finds_the_videos_of_the_categories(editor, videos):
    assert list(Video.objects.for_editor(editor)) == [videos[0]]
    assert set(Video.objects.for_editor(person("free"))) == set(videos)
    assert set(Video.objects.for_editor(User.objects.create_superuser("root"))) == set(videos)


def test_the_method_costs_one_query(editor, videos, django_assert_num_queries):
    with django_assert_num_queries(1):
        list(Video.objects.for_editor(editor))


def test_after_its_category_is_deleted_an_editor_sees_nothing(editor, videos, categories):
    categories[0].delete()
    assert not Video.objects.for_editor(editor).exists()


def test_a_superuser_is_never_limited(videos, categories):
    root = User.objects.create_superuser("root")
    CategoryLimit.objects.replace(root, [categories[0]])
    assert Video.objects.for_editor(root).count() == 3


def test_a_merged_category_takes_the_limit_along(editor, videos, categories):
    merging.merge(categories[1], [categories[0]])
    assert list(Video.objects.for_editor(editor)) == [*Video.objects.filter(category=categories[1])]


PAGES = [
    "GET /admin/videos/video/{pk}/change/",
    "POST /admin/videos/video/{pk}/change/",
    "GET /admin/videos/video/{pk}/history/",
    "GET /admin/videos/video/{pk}/delete/",
    "POST /admin/videos/video/{pk}/delete/",
    "GET /admin/videos/video/{pk}/original/",
    "POST /admin/videos/video/{pk}/poster/",
    "POST /admin/videos/video/{pk}/file/",
    "POST /admin/videos/video/{pk}/links/",
    "POST /admin/videos/video/{pk}/links/1/revoke/",
    "POST /admin/videos/video/{pk}/retry/",
    "GET /admin/transcoding/transcodingjob/{job}/change/",
    "GET /watch/{slug}/",
    "GET /api/v1/videos/{slug}/",
    "PATCH /api/v1/videos/{slug}/",
    "DELETE /api/v1/videos/{slug}/",
    "POST /api/v1/videos/{slug}/encode",
    "POST /api/v1/videos/{slug}/replace",
    "GET /api/v1/videos/{slug}/captions/",
    "POST /api/v1/videos/{slug}/captions/?language=en",
    "GET /api/v1/videos/{slug}/captions/1/",
    "PUT /api/v1/videos/{slug}/captions/1/",
    "DELETE /api/v1/videos/{slug}/captions/1/",
]


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_of_other_videos_are_as_if_there_were_none(editor, videos, page):
    method, path = page.split(" ")
    path = path.format(pk=videos[1].pk, slug=videos[1].slug, job=videos[1].job.pk)
    response = client_of(editor).generic(method, path, headers={"If-Match": '"1"'})
    assert response.status_code == 404 or response.headers.get("Location", "") in ("/admin/", LIST)
    assert "Video of Lectures" not in response.content.decode()
    assert Video.objects.not_archived().filter(pk=videos[1].pk, version=1).exists()


@pytest.mark.parametrize("path", [LIST, "/admin/", "/admin/transcoding/transcodingjob/", "/admin/videos/storageentry/"])
def test_lists_show_the_videos_of_the_categories(editor, videos, path):
    client_of(editor).get(path)
    page = client_of(editor).get(path).content.decode()
    assert "Video of Lectures" not in page
    assert "Video of None" not in page


def test_the_list_shows_and_counts_the_own_videos(editor, videos):
    page = client_of(editor).get(LIST).content.decode()
    assert "Video of Harbour" in page
    assert "1\N{EN DASH}1 of 1" in page or "All <" in page


def test_an_action_reaches_no_other_video(editor, videos):
    both = [video.pk for video in videos]
    data = {"action": "make_public", "_selected_action": both, **{f"version-{pk}": "1" for pk in both}}
    client_of(editor).post(LIST, data)
    client_of(editor).post(LIST, {**data, "select_across": "1", "confirmed": "1"})
    assert set(Video.objects.filter(visibility="public")) == {videos[0]}


def test_videos_are_moved_to_the_own_categories_only(editor, videos, categories):
    client, row = client_of(editor), videos[0]
    for category in (categories[1].pk, ""):
        data = {"action": "set_category", "_selected_action": row.pk, f"version-{row.pk}": "1"}
        client.post(LIST, {**data, "new_category": category})
        answer = client.patch(
            f"/api/v1/videos/{row.slug}/",
            {"category": category and categories[1].slug},
            content_type="application/json",
            headers={"If-Match": '"1"'},
        )
        assert answer.status_code == 400
        assert "You may use these categories only: Harbour." in answer.json()["detail"]
    row.refresh_from_db()
    assert row.category == categories[0]


def test_the_form_of_a_video_takes_the_own_categories_only(editor, videos, categories):
    path = f"{LIST}{videos[0].pk}/change/"
    for category, sentence in ((categories[1].pk, "Select a valid choice"), ("", "This field is required")):
        page = client_of(editor).post(path, {"title": "X", "slug": "x", "category": category, "from_version": "1"})
        assert sentence in page.content.decode()


def test_uploads_have_one_of_the_own_categories(editor, categories):
    client, headers = client_of(editor), {"Tus-Resumable": "1.0.0", "Upload-Length": "5"}
    name = "filename bGFrZS5tcDQ="
    assert client.post("/api/v1/uploads/", headers={**headers, "Upload-Metadata": name}).status_code == 201
    upload = Upload.objects.get()
    assert upload.category == categories[0]
    path = f"/api/v1/uploads/{upload.key}/"
    answer = client.put(path, {"category": categories[1].slug}, content_type="application/json")
    assert (answer.status_code, "Harbour" in answer.json()["detail"]) == (400, True)
    other = "category " + "TGVjdHVyZXM="
    assert client.post("/api/v1/uploads/", headers={**headers, "Upload-Metadata": f"{name},{other}"}).status_code == 400
    assert list(categories_for(editor)) == [categories[0]]


def test_a_replacement_of_another_video_is_refused(editor, videos):
    metadata = "filename bGFrZS5tcDQ=,replaces djE="
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "5", "Upload-Metadata": metadata}
    assert client_of(editor).post("/api/v1/uploads/", headers=headers).status_code == 400


def test_the_archive_has_the_own_videos(editor, videos):
    for video in videos[:2]:
        archive.archive(video.pk, by="ann")
    client = client_of(editor)
    page = client.get("/admin/videos/archivedvideo/").content.decode()
    assert ("Video of Harbour" in page, "Video of Lectures" in page) == (True, False)
    assert client.post(f"/admin/videos/archivedvideo/{videos[1].pk}/restore/").status_code == 404
    assert client.post(f"/api/v1/videos/{videos[1].pk}/restore").status_code == 404
    assert client.post("/api/v1/videos/v1/restore").status_code == 404
    assert client.post("/api/v1/videos/v0/restore").status_code == 200


def test_files_of_other_videos_need_another_grant(editor, videos):
    for video, expected in ((videos[0], 204), (videos[1], 403)):
        grant = grants.for_editor(editor, video)
        path = f"/access/media/{package_name(video)}/{grant}/master.m3u8"
        assert Client().get(path).status_code == expected


def test_other_videos_stay_in_a_playlist_and_cannot_be_added(editor, videos):
    client = client_of(editor)
    playlist = Playlist.objects.create(title="Talks", slug="talks")
    items = "/api/v1/playlists/talks/videos/"
    assert client.post(items, {"video": "v0"}, content_type="application/json").status_code == 200
    assert client.post(items, {"video": "v1"}, content_type="application/json").status_code == 400
    playlist.add([videos[1].pk])
    version = Playlist.objects.get().version
    order = client.patch(
        "/api/v1/playlists/talks/",
        {"videos": ["v1", "v0"]},
        content_type="application/json",
        HTTP_IF_MATCH=f'"{version}"',
    )
    assert order.status_code == 200
    assert playlist.order() == [videos[1].pk, videos[0].pk]


def test_a_limited_editor_changes_no_category(editor, categories):
    client = client_of(editor)
    page = client.get("/admin/videos/category/").content.decode()
    assert ("Harbour" in page, "Lectures" in page) == (True, False)
    assert client.get("/admin/videos/category/add/").status_code == 403
    assert client.post(f"/admin/videos/category/{categories[0].pk}/delete/", {"post": "yes"}).status_code == 403
    assert 'value="merge"' not in page


# Who sets the limit


def save(client, user, **fields):
    data = {"username": user.username, "is_active": "on", "role": "Editors", **fields}
    return client.post(f"/admin/auth/user/{user.pk}/change/", data)


def test_an_administrator_limits_an_editor_and_that_is_recorded(editor, categories):
    adam = person("adam", group="Administrators")
    save(client_of(adam), editor, categories=[categories[1].pk])
    assert [row.category for row in CategoryLimit.objects.filter(user=editor)] == [categories[1]]
    entry = AuditEntry.objects.get(action="changed the categories of")
    assert (entry.before, entry.after) == ({"categories": ["Harbour"]}, {"categories": ["Lectures"]})
    save(client_of(adam), editor)
    assert not CategoryLimit.objects.filter(user=editor).exists()


def test_an_administrator_is_not_limited(editor, categories):
    adam = person("adam", group="Administrators")
    page = save(client_of(adam), editor, role="Administrators", categories=[categories[0].pk])
    assert "Only editors can be limited" in page.content.decode()
    save(client_of(adam), editor, role="Administrators")
    assert not CategoryLimit.objects.exists()


def test_an_editor_changes_no_limit_and_one_with_accounts_not_the_own(editor, categories):
    assert save(client_of(editor), editor).status_code == 403
    editor.user_permissions.add(*_account_permissions())
    client = client_of(User.objects.get(pk=editor.pk))
    save(client, editor, categories=[categories[0].pk, categories[1].pk])
    assert [row.category for row in CategoryLimit.objects.filter(user=editor)] == [categories[0]]
    assert "Harbour" in client.get(f"/admin/auth/user/{editor.pk}/change/").content.decode()


def _account_permissions(*more):
    model = User._meta.get_field("user_permissions").related_model
    return model.objects.filter(codename__in=["change_user", "view_user", *more])


# Invitations


def invite(client, **fields):
    """Invite as the form does; return the answer, and the path of its link."""
    page = client.post("/admin/auth/user/invite/", {"role": "Editors", "days": "7", **fields}).content.decode()
    link = re.search(r"<pre[^>]*>http://[^/]+(/admin/invitation/[\w-]+/)</pre>", page)
    return page, link and link[1]


def join(path, name="zoe"):
    Client().post(path, {"username": name, "password1": PASSWORD, "password2": PASSWORD})
    return User.objects.get(username=name)


def test_an_invitation_limits_the_account_also_after_a_category_is_gone(categories, videos):
    adam = person("adam", group="Administrators")
    _, path = invite(client_of(adam), categories=[category.pk for category in categories])
    categories[1].delete()
    zoe = join(path)
    assert list(Video.objects.for_editor(zoe)) == [videos[0]]
    assert CategoryLimit.objects.filter(user=zoe).count() == 2
    entry = AuditEntry.objects.get(action="changed the categories of")
    assert (entry.actor, entry.after) == ("zoe", {"categories": ["Harbour", "a deleted category"]})


def test_an_invitation_follows_a_category_that_is_renamed_or_merged(categories):
    _, path = invite(client_of(person("adam", group="Administrators")), categories=[row.pk for row in categories])
    merging.merge(categories[0], [categories[1]])
    categories[0].slug = "port"
    categories[0].save()
    assert [row.category for row in CategoryLimit.objects.filter(user=join(path))] == [categories[0]]


def test_an_invitation_without_categories_limits_to_none(categories):
    _, path = invite(client_of(person("adam", group="Administrators")))
    assert not CategoryLimit.objects.filter(user=join(path)).exists()


def test_an_administrator_is_invited_without_categories(categories):
    client = client_of(person("adam", group="Administrators"))
    page, path = invite(client, role="Administrators", categories=[categories[0].pk])
    assert ("Only editors can be limited" in page, path) == (True, None)


def test_who_has_a_limit_invites_to_the_own_categories_only(editor, categories):
    editor.user_permissions.add(*_account_permissions("add_user"))
    client = client_of(User.objects.get(pk=editor.pk))
    for chosen in ([], [categories[1].pk]):
        assert invite(client, categories=chosen)[1] is None
    _, path = invite(client, categories=[categories[0].pk])
    assert [row.category for row in CategoryLimit.objects.filter(user=join(path))] == [categories[0]]
