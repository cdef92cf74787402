"""Who may change whose account, and what a person's page offers."""

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.models import Session
from django.test import Client

from vlog.accounts.roles import Role, role_of

pytestmark = pytest.mark.django_db

USERS = "/admin/auth/user/"
EVERYTHING = {
    "is_staff": "on",
    "is_superuser": "on",
    "is_active": "on",
    "user_permissions": "1",
    "role": "Administrators",
}


@pytest.fixture(autouse=True)
def _hasher(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def account(name, *groups, **fields):
    user = User.objects.create_user(name, password="sesame, open", is_staff=True, **fields)
    user.groups.set(Group.objects.filter(name__in=groups))
    return user


@pytest.fixture
def administrator():
    return account("adam", "Administrators")


@pytest.fixture
def superuser():
    return User.objects.create_superuser("root", password="sesame, open")


def client_of(user):
    client = Client()
    client.force_login(user)
    return client


def page(user):
    return f"{USERS}{user.pk}/change/"


def fields_of(response):
    """Return the names of the fields that a form of the page itself lets a person change."""
    _, _, content = response.content.decode().partition("<main")
    names = re.findall(r'<(?:input|select|textarea)[^>]*? name="([^"]+)"', content)
    return {name for name in names if not name.startswith(("csrf", "_"))}


def save(client, user, **fields):
    given = {"username": user.username, "is_active": "on"} if user.is_active else {"username": user.username}
    return client.post(page(user), {**given, **fields})


def state(user):
    user = User.objects.get(pk=user.pk)
    groups, permissions = user.groups.values_list("name", flat=True), user.user_permissions.values_list("pk", flat=True)
    return user.is_active, user.is_staff, user.is_superuser, sorted(groups), sorted(permissions), user.password


# What an administrator cannot do to a superuser, nor with one's own account


@pytest.mark.parametrize(
    ("address", "fields"),
    [
        ("change/", {"username": "root", "is_active": ""}),
        ("change/", {"username": "root", "first_name": "Robert", "email": "adam@example.org"}),
        ("change/", {"username": "root", **EVERYTHING}),
        ("password/", {"password1": "long and other", "password2": "long and other", "usable_password": "true"}),
        ("password/", {"usable_password": "false", "unset-password": "1"}),
        ("delete/", {"post": "yes"}),
        ("log_out/", {}),
    ],
)
def test_an_administrator_changes_no_superuser_in_any_way(administrator, superuser, address, fields):
    client_of(superuser)
    before, sessions = state(superuser), Session.objects.count()
    response = client_of(administrator).post(f"{USERS}{superuser.pk}/{address}", fields)
    assert response.status_code == 403
    assert (state(superuser), Session.objects.count()) == (before, sessions + 1)


def test_an_administrator_deletes_no_superuser_with_the_action_of_the_list(administrator, superuser):
    chosen = {"action": "delete_selected", "_selected_action": [superuser.pk, account("eve", "Editors").pk]}
    client_of(administrator).post(USERS, {**chosen, "post": "yes"})
    assert User.objects.filter(username__in=["root", "eve"]).count() == 2


def test_an_inactive_superuser_is_a_superuser(administrator, superuser):
    User.objects.update(is_active=False)
    User.objects.filter(pk=administrator.pk).update(is_active=True)
    before = state(superuser)
    assert save(client_of(administrator), superuser, is_active="on").status_code == 403
    assert state(superuser) == before


def test_an_administrator_sees_a_superuser_without_a_form(administrator, superuser):
    response = client_of(administrator).get(page(superuser))
    assert response.status_code == 200
    assert fields_of(response) <= {"next"}
    assert not re.search("Log out everywhere|Reset password|pbkdf2|md5", response.content.decode())


def test_an_administrator_makes_nobody_a_superuser(administrator):
    editor = account("eve", "Editors")
    client = client_of(administrator)
    for one in (editor, administrator):
        response = save(client, one, **EVERYTHING, groups=[group.pk for group in Group.objects.all()])
        assert response.status_code == 302
        _, _, is_superuser, groups, permissions, _ = state(one)
        assert (is_superuser, groups, permissions) == (False, ["Administrators"], [])
    passwords = {"password1": "long and other", "password2": "long and other"}
    response = client.post(f"{USERS}add/", {"username": "new", **passwords, **EVERYTHING})
    assert response.status_code == 302
    assert state(User.objects.get(username="new"))[2:5] == (False, ["Administrators"], [])


def test_an_administrator_changes_no_group(administrator):
    client, permission = client_of(administrator), Permission.objects.get(codename="add_session")
    for group in Group.objects.all():
        fields = {"name": group.name, "permissions": [permission.pk]}
        assert client.post(f"/admin/auth/group/{group.pk}/change/", fields).status_code == 403
        assert client.post(f"/admin/auth/group/{group.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.post("/admin/auth/group/add/", {"name": "Mine", "permissions": [permission.pk]}).status_code == 403
    client.post("/admin/auth/group/", {"action": "delete_selected", "_selected_action": [group.pk], "post": "yes"})
    assert set(Group.objects.values_list("name", flat=True)) == {"Administrators", "Editors"}
    assert not permission.group_set.exists()


def test_a_person_who_has_more_rights_is_out_of_reach(administrator):
    trusted = account("tess", "Editors")
    trusted.user_permissions.add(Permission.objects.get(codename="add_session"))
    assert save(client_of(administrator), trusted, first_name="T").status_code == 403
    trusted.user_permissions.clear()
    assert save(client_of(administrator), trusted, first_name="T").status_code == 302


def test_a_permission_to_change_accounts_makes_no_editor_an_administrator(administrator):
    helper, editor = account("hal", "Editors"), account("eve", "Editors")
    codenames = ("change_user", "add_user", "view_user", "delete_user")
    helper.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = client_of(helper)
    for address in ("change/", "password/", "delete/", "log_out/"):
        assert client.post(f"{USERS}{administrator.pk}/{address}", {"post": "yes"}).status_code == 403
    assert 'value="Administrators"' not in client.get(page(editor)).content.decode()
    response = save(client, editor, role="Administrators")
    assert "is not one of the available choices" in response.content.decode()
    assert role_of(editor) == Role.EDITOR
    assert save(client, helper, role="Administrators").status_code == 302
    assert role_of(helper) == Role.EDITOR


def test_nobody_changes_the_own_rights_or_deletes_the_own_account(superuser, administrator):
    for user in (superuser, administrator):
        client, before = client_of(user), state(user)
        assert not fields_of(client.get(page(user))) & {"role", "is_active", "is_staff", "is_superuser"}
        assert client.post(page(user), {"username": user.username, "first_name": "F"}).status_code in (200, 302)
        assert client.post(f"{USERS}{user.pk}/delete/", {"post": "yes"}).status_code == 403
        client.post(USERS, {"action": "delete_selected", "_selected_action": [user.pk], "post": "yes"})
        assert state(user)[:3] == before[:3]


# What an administrator can do


def test_the_page_of_a_person_offers_two_roles_and_no_raw_permissions(administrator):
    response = client_of(administrator).get(page(account("eve", "Editors")))
    assert fields_of(response) == {"username", "first_name", "last_name", "email", "role", "is_active"}
    text = response.content.decode()
    assert re.findall(r'type="radio" name="role" value="(\w+)"', text) == ["Editors", "Administrators"]
    assert re.findall(r'value="(\w+)"[^>]* checked', text) == ["Editors"]


def test_for_superusers_the_raw_permissions_are_folded_away(superuser):
    response = client_of(superuser).get(page(account("eve", "Editors")))
    raw = {"is_staff", "is_superuser", "groups", "user_permissions"}
    assert raw <= fields_of(response)
    assert re.search(r"<details>\s*<summary>\s*<h2[^>]*>\s*Permissions", response.content.decode())


@pytest.mark.parametrize("role", Role)
def test_a_new_account_has_a_role_and_can_log_in(administrator, role):
    fields = {"username": "new", "password1": "long and other", "password2": "long and other", "role": role.value}
    assert client_of(administrator).post(f"{USERS}add/", fields).status_code == 302
    assert role_of(User.objects.get(username="new")) == role
    response = Client().post("/admin/login/", {"username": "new", "password": "long and other"})
    assert response.status_code == 302


def test_a_new_account_needs_a_role(administrator):
    fields = {"username": "new", "password1": "long and other", "password2": "long and other"}
    assert client_of(administrator).post(f"{USERS}add/", fields).status_code == 200
    assert not User.objects.filter(username="new").exists()


def test_a_change_of_role_leaves_other_groups(administrator):
    Group.objects.create(name="Choir")
    editor = account("eve", "Editors", "Choir")
    save(client_of(administrator), editor, role="Administrators")
    assert state(editor)[3] == ["Administrators", "Choir"]
    save(client_of(administrator), editor, role="Editors")
    assert state(editor)[3] == ["Choir", "Editors"]


def test_saving_without_a_change_changes_no_right(administrator, superuser):
    viewer = User.objects.create_user("vic")
    before = state(viewer)
    save(client_of(administrator), viewer, first_name="Vic")
    assert state(viewer) == before
    editor = account("eve", "Editors")
    groups = [group.pk for group in editor.groups.all()]
    save(client_of(superuser), editor, role="Editors", is_staff="on", groups=groups)
    assert state(editor)[:5] == (True, True, False, ["Editors"], [])


def test_an_editor_has_no_page_of_accounts():
    client = client_of(account("eve", "Editors"))
    assert [client.get(path).status_code for path in (USERS, "/admin/auth/group/")] == [403, 403]


def view_video():
    """The id of a permission, which depends on the tests that ran before."""
    return Permission.objects.get(codename="view_video").pk


def test_the_groups_of_the_roles_keep_their_names(superuser):
    client, group = client_of(superuser), Group.objects.get(name="Editors")
    client.post(f"/admin/auth/group/{group.pk}/change/", {"name": "Staff", "permissions": [view_video()]})
    assert client.post(f"/admin/auth/group/{group.pk}/delete/", {"post": "yes"}).status_code == 403
    group.refresh_from_db()
    assert (group.name, group.permissions.count()) == ("Editors", 1)


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_costs_the_same_for_any_number(administrator, django_assert_num_queries, count):
    for number in range(count):
        account(f"user-{number}", "Editors")
    client = client_of(administrator)
    client.get(USERS)
    with django_assert_num_queries(10):
        client.get(USERS)


def test_the_own_password_takes_the_old_one(administrator, superuser):
    fields = {"password1": "long and other", "password2": "long and other", "usable_password": "true"}
    for user in (administrator, superuser):
        before = state(user)
        response = client_of(user).post(f"{USERS}{user.pk}/password/", fields)
        assert response["Location"] == "/admin/password_change/"
        assert state(user) == before


# Sessions


def test_log_out_everywhere_ends_all_sessions_of_one_person(administrator):
    editor = account("eve", "Editors")
    clients = [client_of(editor) for _ in range(3)]
    own = client_of(administrator)
    response = own.post(f"{USERS}{editor.pk}/log_out/", follow=True)
    assert "All sessions of eve have ended." in response.content.decode()
    assert [client.get("/admin/").status_code for client in [*clients, own]] == [302, 302, 302, 200]
    assert LogEntry.objects.get().change_message == "Logged out everywhere."


def test_log_out_everywhere_wants_a_post_and_a_person(administrator):
    client = client_of(administrator)
    assert client.get(f"{USERS}{account('eve').pk}/log_out/").status_code == 403
    assert client.post(f"{USERS}999999/log_out/").status_code == 404


def test_a_person_logs_out_everywhere():
    editor = account("eve", "Editors")
    here, elsewhere, another = client_of(editor), client_of(editor), client_of(account("bob", "Editors"))
    assert here.get("/admin/security/log_out_everywhere/").status_code == 405
    assert here.post("/admin/security/log_out_everywhere/").status_code == 302
    assert [one.get("/admin/").status_code for one in (here, elsewhere, another)] == [302, 302, 200]


def test_a_password_that_an_administrator_sets_ends_the_sessions(administrator):
    editor = account("eve", "Editors")
    client = client_of(editor)
    fields = {"password1": "long and other", "password2": "long and other", "usable_password": "true"}
    assert client_of(administrator).post(f"{USERS}{editor.pk}/password/", fields).status_code == 302
    assert client.get("/admin/").status_code == 302


def test_a_session_ends_so_many_hours_after_the_login(settings, monkeypatch):
    settings.SESSION_COOKIE_AGE = 2 * 3600
    account("eve", "Editors")
    client = Client()
    response = client.post("/admin/login/", {"username": "eve", "password": "sesame, open"})
    assert 2 * 3600 - 5 <= response.cookies["sessionid"]["max-age"] <= 2 * 3600
    (session,) = Session.objects.all()
    end = session.expire_date
    changed = client.session
    changed["x"] = 1
    changed.save()  # a change does not prolong it
    assert abs((Session.objects.get().expire_date - end).total_seconds()) < 1


def test_a_login_deletes_sessions_that_have_ended():
    eve = account("eve", "Editors")
    client_of(eve)
    Session.objects.update(expire_date="2020-01-01T00:00Z")
    Client().post("/admin/login/", {"username": "eve", "password": "sesame, open"})
    assert Session.objects.filter(expire_date__year=2020).count() == 0


# The record


def test_changes_of_rights_are_recorded_with_what_was_before_and_after(administrator, caplog):
    editor = account("eve", "Editors")
    caplog.set_level("INFO")
    save(client_of(administrator), editor, role="Administrators")
    (line,) = [line for line in caplog.messages if line.startswith("Account changed")]
    assert line.startswith('Account changed from 127.0.0.1: account "eve", by account "adam", {')
    assert '"groups": ["Editors"]' in line.split(" → ")[0]
    assert '"groups": ["Administrators"]' in line.split(" → ")[1]


def test_changes_of_groups_deletions_and_passwords_are_recorded(superuser, caplog):
    client, group, editor = client_of(superuser), Group.objects.get(name="Editors"), account("eve", "Editors")
    caplog.set_level("INFO")
    client.post(f"/admin/auth/group/{group.pk}/change/", {"permissions": [view_video()]})
    fields = {"password1": "long and other", "password2": "long and other", "usable_password": "true"}
    client.post(f"{USERS}{editor.pk}/password/", fields)
    client.post(f"{USERS}{editor.pk}/delete/", {"post": "yes"})
    lines = [line.partition(", ")[0] for line in caplog.messages if " from 127.0.0.1: " in line]
    assert lines == [
        'Group changed from 127.0.0.1: group "Editors"',
        'Password changed from 127.0.0.1: account "eve"',
        'Account changed from 127.0.0.1: account "eve"',
    ]
