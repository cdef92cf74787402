"""Invitations: who may invite to what, what a link opens, and that it opens it once."""

import re
import threading
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db import connections
from django.test import Client
from django.utils import timezone

from vlog.accounts import invitations
from vlog.accounts.invitations import InvitationError
from vlog.accounts.roles import Role, role_of
from vlog.models import AuditEntry, Invitation
from vlog.tests.people import PASSWORD, account, client_of

INVITE = "/admin/auth/user/invite/"


@pytest.fixture
def administrator(db):
    return account("adam", "Administrators")


def invite(client, **fields):
    """Invite, and return the path of the link that the answer shows."""
    response = client.post(INVITE, {"role": "Editors", "days": "7", **fields})
    return re.search(r"<pre[^>]*>http://[^/]+(/admin/invitation/[\w-]+/)</pre>", response.content.decode())[1]


def accept(path, client=None, username="bea", password=PASSWORD):
    return (client or Client()).post(path, {"username": username, "password1": password, "password2": password})


def test_a_person_chooses_a_name_and_a_password_and_is_an_editor(administrator):
    path, guest = invite(client_of(administrator), email="bea@example.org"), Client()
    page = guest.get(path)
    assert "adam invites you to VLog as editor." in page.content.decode()
    assert "no-store" in page.headers["Cache-Control"]
    response = accept(path, guest)
    assert (response.status_code, response.headers["Location"]) == (302, "/admin/")
    assert guest.get("/admin/").status_code == 200
    bea = User.objects.get(username="bea")
    assert (bea.email, bea.is_staff, bea.is_superuser, role_of(bea)) == ("bea@example.org", True, False, Role.EDITOR)
    assert bea.check_password(PASSWORD)


def test_a_link_works_once(administrator):
    path = invite(client_of(administrator))
    accept(path)
    assert Client().get(path).status_code == 404
    assert accept(path, username="another").status_code == 404
    assert not User.objects.filter(username="another").exists()


def test_the_link_is_shown_once_and_not_stored(administrator):
    client = client_of(administrator)
    token = invite(client).split("/")[-2]
    row = Invitation.objects.get()
    assert token not in str(vars(row))
    assert token not in client.get("/admin/auth/user/").content.decode()
    assert not any(token in str(vars(entry)) for entry in AuditEntry.objects.all())


@pytest.mark.parametrize(
    "end",
    [
        lambda row: Invitation.objects.update(expires_at=timezone.now() - timedelta(seconds=1)),
        lambda row: client_of(User.objects.get(username="adam")).post(f"/admin/auth/user/invitations/{row.pk}/revoke/"),
        lambda row: User.objects.get(username="adam").groups.clear(),
        lambda row: User.objects.filter(username="adam").update(is_active=False),
        lambda row: User.objects.get(username="adam").delete(),
    ],
    ids=["expired", "revoked", "inviter without the role", "inviter inactive", "inviter deleted"],
)
def test_an_ended_invitation_opens_nothing(administrator, end):
    path = invite(client_of(administrator))
    end(Invitation.objects.get())
    assert "used, revoked or has expired" in Client().get(path).content.decode()
    assert accept(path).status_code == 404
    assert not User.objects.filter(username="bea").exists()


@pytest.mark.parametrize(
    ("username", "password", "sentence"),
    [
        ("bea", "12345678", "too common"),
        ("bea", "short", "at least 8 characters"),
        ("bea-of-the-harbour", "bea-of-the-harbour", "too similar to the username"),
        ("adam", PASSWORD, "A user with that username already exists."),
        ("", PASSWORD, "This field is required."),
    ],
)
def test_a_bad_name_or_password_is_answered_with_a_sentence(administrator, username, password, sentence):
    path = invite(client_of(administrator))
    response = accept(path, username=username, password=password)
    assert response.status_code == 200
    assert sentence in response.content.decode()
    assert Invitation.objects.open().count() == 1


@pytest.mark.django_db
def test_a_person_gives_only_the_roles_that_they_may_give():
    helper = account("helper", "Editors")
    helper.user_permissions.add(*_permissions("add_user", "view_user", "change_user"))
    page = client_of(helper).get(INVITE).content.decode()
    assert 'value="Editors"' in page
    assert 'value="Administrators"' not in page
    assert "valid choice" in client_of(helper).post(INVITE, {"role": "Administrators", "days": "7"}).content.decode()
    with pytest.raises(InvitationError):
        invitations.invite(helper, Role.ADMINISTRATOR)
    assert not Invitation.objects.exists()


def _permissions(*names):
    model = User._meta.get_field("user_permissions").related_model
    return model.objects.filter(codename__in=names, content_type__app_label="auth")


@pytest.mark.django_db
def test_editors_neither_invite_nor_revoke():
    administrator, editor = account("adam", "Administrators"), account("edna", "Editors")
    invite(client_of(administrator))
    row, client = Invitation.objects.get(), client_of(editor)
    assert client.get(INVITE).status_code == 403
    assert client.post(INVITE, {"role": "Editors", "days": "7"}).status_code == 403
    assert client.post(f"/admin/auth/user/invitations/{row.pk}/revoke/").status_code == 403
    assert Invitation.objects.open().count() == 1


def test_where_mail_is_set_up_the_link_is_sent_and_not_shown(administrator, settings):
    settings.EMAIL_IS_SET_UP = True
    response = client_of(administrator).post(INVITE, {"role": "Editors", "days": "7", "email": "bea@example.org"})
    assert response.headers["Location"] == "/admin/auth/user/"
    (sent,) = mail.outbox
    assert (sent.to, sent.subject) == (["bea@example.org"], "Your invitation to VLog")
    assert "adam invites you to VLog as an editor." in sent.body
    path = re.search(r"http://[^/]+(/admin/invitation/[\w-]+/)", sent.body)[1]
    assert accept(path).status_code == 302


def test_where_the_mail_server_is_away_the_link_is_shown(administrator, settings):
    settings.EMAIL_IS_SET_UP = True
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    response = client_of(administrator).post(INVITE, {"role": "Editors", "days": "7", "email": "bea@example.org"})
    page = response.content.decode()
    assert "The e-mail could not be sent. Send the link to bea@example.org yourself" in page
    assert "/admin/invitation/" in page


def test_wrong_links_are_counted_for_their_network(administrator):
    path, wrong = invite(client_of(administrator)), "/admin/invitation/" + "x" * 43 + "/"
    answers = [Client().get(wrong).status_code for _ in range(21)]
    assert answers == [404] * 20 + [429]
    assert Client().get(path, REMOTE_ADDR="192.0.2.1").status_code == 200
    assert Client().get(path).status_code == 429


@pytest.mark.parametrize("token", ["x", "%00", "é", "x" * 5000, "-" * 43])
@pytest.mark.django_db
def test_any_link_is_answered(token):
    assert Client().get(f"/admin/invitation/{token}/").status_code in (400, 404)


def test_there_is_a_limit_to_open_invitations(administrator, monkeypatch):
    monkeypatch.setattr(invitations, "MAX_OPEN", 1)
    client = client_of(administrator)
    invite(client)
    response = client.post(INVITE, {"role": "Editors", "days": "7"})
    assert "There are 1 open invitations." in response.content.decode()
    assert Invitation.objects.count() == 1


def test_each_step_is_in_the_audit_log(administrator):
    client = client_of(administrator)
    invite(client, email="zoe@example.org")
    client.post(f"/admin/auth/user/invitations/{Invitation.objects.get().pk}/revoke/")
    accept(invite(client, email="bea@example.org"))
    entries = AuditEntry.objects.filter(subject_type="vlog.invitation").order_by("pk")
    assert [(entry.actor, entry.action, entry.subject) for entry in entries] == [
        ("adam", "created", "zoe@example.org"),
        ("adam", "revoked", "zoe@example.org"),
        ("adam", "created", "bea@example.org"),
        ("bea", "accepted", "bea@example.org"),
    ]


@pytest.mark.django_db(transaction=True)
def test_of_two_people_with_one_link_one_gets_an_account():
    address, _ = invitations.invite(account("adam", "Administrators"), Role.EDITOR)
    token, results, barrier = address.split("/")[-2], [], threading.Barrier(2)
    equipped = []

    def note(account, row):
        equipped.append(account.username)

    def try_it(name):
        barrier.wait()
        try:
            results.append(invitations.accept(token, username=name, password=PASSWORD, equip=note).username)
        except InvitationError:
            results.append("refused")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=try_it, args=[name]) for name in ("bea", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results)[1] == "refused"
    assert equipped == sorted(results)[:1]
    assert User.objects.filter(username__in=["bea", "bob"]).count() == 1
    assert Invitation.objects.get().state == "accepted"
