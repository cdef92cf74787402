"""Forgotten passwords: who gets a link, what it opens, and what a stranger learns."""

import re
from dataclasses import replace

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client

from vlog import site
from vlog.accounts import reset
from vlog.site import settings_of_site
from vlog.tests.people import PASSWORD, account, client_of

FORGOTTEN, SENT = "/admin/password_reset/", "/admin/password_reset/sent/"
NEW = "another harbour at dusk"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _mail(settings):
    settings.EMAIL_IS_SET_UP = True


@pytest.fixture
def ann():
    return account("ann", "Editors", email="ann@example.org")


def ask(email, client=None, **options):
    return (client or Client()).post(FORGOTTEN, {"email": email}, **options)


def link():
    """Send what a worker would send, and return the path in the last e-mail."""
    reset.send_links("ann@example.org")
    return re.search(r"http://[^/]+(/admin/password_reset/\S+/)", mail.outbox[-1].body)[1]


def choose(path, client, password=NEW):
    form = client.get(path, follow=True)
    return client.post(form.redirect_chain[-1][0], {"new_password1": password, "new_password2": password})


def test_the_login_leads_to_it_only_where_e_mail_is_set_up(settings):
    assert FORGOTTEN in Client().get("/admin/login/").content.decode()
    settings.EMAIL_IS_SET_UP = False
    assert FORGOTTEN not in Client().get("/admin/login/").content.decode()
    assert ask("ann@example.org").status_code == 404


def test_the_link_takes_another_password_once_and_ends_all_sessions(ann):
    browser, thief = Client(), client_of(ann)
    path = link()
    assert mail.outbox[-1].to == ["ann@example.org"]
    assert "the account ann of VLog" in mail.outbox[-1].body
    response = choose(path, browser)
    assert (response.status_code, response["Location"]) == (302, "/admin/password_reset/complete/")
    assert User.objects.get().check_password(NEW)
    assert thief.get("/admin/").status_code == 302
    assert "was used or has expired" in browser.get(path).content.decode()


def test_the_mail_is_in_the_language_of_the_site(ann):
    settings_of_site.assume(replace(site.current(), language="de"))
    reset.send_links("ann@example.org")
    assert mail.outbox[-1].subject == "Neues Passwort für VLog"
    assert "Für das Konto ann von VLog wurde ein neues Passwort angefordert." in mail.outbox[-1].body


def test_the_link_ends_after_an_hour(ann, settings):
    path = link()
    assert settings.PASSWORD_RESET_TIMEOUT == 3600
    settings.PASSWORD_RESET_TIMEOUT = -1
    assert "was used or has expired" in Client().get(path).content.decode()


def test_a_weak_password_is_refused(ann):
    response = choose(link(), Client(), "12345")
    assert "too short" in response.content.decode()
    assert User.objects.get().check_password(PASSWORD)


@pytest.mark.parametrize(
    "fields", [{"is_active": False}, {"is_staff": False}, {"email": "bob@example.org"}, {"password": "!unusable"}]
)
def test_others_get_none(ann, fields):
    User.objects.update(**fields)
    reset.send_links("ann@example.org")
    assert mail.outbox == []


def test_strangers_learn_nothing_from_the_answer(ann):
    answers = [ask(email) for email in ("ann@example.org", "nothing@example.org")]
    assert {(answer.status_code, answer["Location"]) for answer in answers} == {(302, SENT)}
    assert len({answer.content for answer in answers}) == 1
    assert "If an account has this address" in Client().get(SENT).content.decode()


def test_each_address_is_written_to_three_times_an_hour():
    answers = [ask(email, REMOTE_ADDR=f"192.0.2.{number}") for number, email in enumerate(["a@example.org"] * 4)]
    assert [answer.status_code for answer in answers] == [302, 302, 302, 429]
    assert "There were too many requests. Wait" in answers[-1].content.decode()


def test_each_network_asks_ten_times_an_hour():
    codes = [ask(f"{number}@example.org").status_code for number in range(11)]
    assert codes == [302] * 10 + [429]


@pytest.mark.parametrize(
    "email", ["", "ann", "ann@", "a" * 300 + "@example.org", "ann@example.org\r\nBcc: x@example.org"]
)
def test_what_is_no_address_is_refused(email):
    response = ask(email)
    assert response.status_code == 200
    assert "errorlist" in response.content.decode()


def test_a_mail_server_that_is_away_is_logged(ann, settings, caplog):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    reset.send_links("ann@example.org")
    assert "the link for another password of ann could not be sent" in caplog.text
