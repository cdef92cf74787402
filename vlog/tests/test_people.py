"""The page of a person: sessions, tokens, the second factor; and the time zone of one's own desk."""

import re
import threading
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied
from django.db import connections, transaction
from django.test import Client, RequestFactory
from django.utils import timezone

from vlog import site, tokens, zones
from vlog.accounts import second_factor, sessions
from vlog.accounts.admin import AccountAdmin
from vlog.models import ApiToken, AuditEntry, SiteSettings, UserSettings
from vlog.tests.people import PASSWORD, account, client_of

USERS = "/admin/auth/user/"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def people(db):
    return account("adam", "Administrators"), account("edna", "Editors")


def page_of(user):
    return f"{USERS}{user.pk}/change/"


def log_in(name):
    client = Client(headers={"User-Agent": FIREFOX})
    client.post("/admin/login/", {"username": name, "password": PASSWORD})
    return client


def test_one_session_of_another_person_is_ended(people):
    adam, edna = people
    ours, first, second = client_of(adam), log_in("edna"), log_in("edna")
    page = ours.get(page_of(edna)).content.decode()
    assert page.count("Firefox on Linux</td>") == 2
    path = re.search(rf"{USERS}{edna.pk}/sessions/\w+/end/", page)[0]
    ours.post(path)
    assert sorted([first.get("/admin/").status_code, second.get("/admin/").status_code]) == [200, 302]
    assert AuditEntry.objects.filter(action="ended the sessions of", actor="adam").count() == 1


def test_a_page_shows_no_key_of_a_session(people):
    adam, edna = people
    log_in("edna")
    page = client_of(adam).get(page_of(edna)).content.decode()
    assert not any(row.pk in page for row in Session.objects.all())


def test_a_token_and_the_second_factor_are_ended(people):
    adam, edna = people
    _, token = tokens.create(edna, ["read"], name="Robot")
    device = second_factor.TOTPDevice.objects.create(user=edna, key=second_factor.new_key())
    client = client_of(adam)
    page = client.get(page_of(edna)).content.decode()
    assert "Robot" in page
    client.post(f"{USERS}{edna.pk}/tokens/{token.pk}/revoke/")
    client.post(f"{USERS}{edna.pk}/second_factor/remove/")
    assert ApiToken.objects.get(pk=token.pk).state == "revoked"
    assert not second_factor.TOTPDevice.objects.filter(pk=device.pk).exists()
    assert AuditEntry.objects.filter(action="removed the second factor of", actor="adam").exists()


@pytest.mark.parametrize("what", ["sessions/x/end/", "tokens/1/revoke/", "second_factor/remove/", "log_out/"])
def test_an_editor_and_a_get_end_nothing(people, what):
    adam, edna = people
    assert client_of(edna).post(f"{USERS}{adam.pk}/{what}").status_code == 403
    assert client_of(adam).get(f"{USERS}{edna.pk}/{what}").status_code == 403


def test_an_administrator_ends_nothing_of_a_superuser(people):
    adam, _ = people
    root = User.objects.create_superuser("root")
    for what in ("sessions/x/end/", "tokens/1/revoke/", "second_factor/remove/", "log_out/"):
        assert client_of(adam).post(f"{USERS}{root.pk}/{what}").status_code == 403


def test_a_token_of_another_person_is_not_revoked_on_the_wrong_page(people):
    adam, edna = people
    _, token = tokens.create(adam, ["read"])
    client_of(adam).post(f"{USERS}{edna.pk}/tokens/{token.pk}/revoke/")
    assert ApiToken.objects.get(pk=token.pk).state == "valid"


def test_the_own_second_factor_needs_a_code(people):
    adam, _ = people
    response = client_of(adam).post(f"{USERS}{adam.pk}/second_factor/remove/")
    assert response.headers["Location"] == "/admin/security/second_factor/remove/"


def test_the_list_tells_when_people_were_seen(people):
    adam, edna = people
    client_of(edna).get("/admin/")
    seen = sessions.last_seen([adam, edna])
    assert abs((timezone.now() - seen[edna.pk]).total_seconds()) < 60
    row = client_of(adam).get(USERS).content.decode()
    assert 'class="field-seen' in row


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1", "Safari on iPhone"),
        ("", "Unknown browser"),
        ("<script>", "Unknown browser"),
    ],
)  # fmt: skip
def test_a_browser_is_named_in_words(agent, words):
    assert sessions.browser_of(agent) == words


@pytest.mark.django_db(transaction=True)
def test_two_administrators_cannot_lock_each_other_out():
    accounts = [account(name, "Administrators") for name in ("adam", "anna")]
    barrier, results = threading.Barrier(2), []

    def demote(actor, other):
        request = RequestFactory().post("/")
        request.user = actor
        barrier.wait()
        try:
            with transaction.atomic():
                AccountAdmin._lock(None, request, [other])
                other.groups.clear()
            results.append("demoted")
        except PermissionDenied:
            results.append("refused")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=demote, args=pair) for pair in (accounts, accounts[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["demoted", "refused"]
    assert User.objects.filter(groups__name="Administrators").count() == 1


# Time zones


def set_zone(client, zone):
    return client.post("/admin/security/time/", {"time_zone": zone, "language": ""})


def test_the_desk_has_the_zone_of_the_person_and_the_site_its_own(people):
    _, edna = people
    client = client_of(edna)
    set_zone(client, "Asia/Tokyo")
    request = RequestFactory().get("/admin/")
    request.user = client.get("/admin/").wsgi_request.user
    assert zones.of_request(request) == ZoneInfo("Asia/Tokyo")
    request.path_info = "/watch/x/"
    assert zones.of_request(request) == ZoneInfo("UTC")
    assert "Asia/Tokyo" in client.get("/admin/security/").content.decode()


def test_without_an_own_zone_the_desk_has_that_of_the_site(people):
    site.save(SiteSettings(name="VLog", language="en", time_zone="Europe/Berlin"))
    page = client_of(people[1]).get("/admin/security/").content.decode()
    assert "The desk shows times in Europe/Berlin." in page


def test_an_unknown_zone_is_refused(people):
    response = set_zone(client_of(people[1]), "Europe/Nowhere")
    assert "Select a valid choice" in response.content.decode()
    assert not UserSettings.objects.exists()


def test_a_choice_of_the_zone_is_recorded(people):
    set_zone(client_of(people[1]), "Asia/Tokyo")
    entry = AuditEntry.objects.get(action="changed the time zone and language of")
    assert (entry.actor, entry.before, entry.after) == ("edna", {"time_zone": ""}, {"time_zone": "Asia/Tokyo"})


def test_the_zone_of_a_person_costs_no_query(people, django_assert_num_queries):
    client = client_of(people[1])
    with django_assert_num_queries(2):  # the session, and the account with its zone
        assert client.get("/admin/login/").status_code == 302
