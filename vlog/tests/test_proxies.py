"""REMOTE_ADDR and the protocol behind proxies."""

import subprocess
import sys

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory

from vlog import proxies
from vlog.environment import BASE_DIR, Proxies, SettingError, parse_proxies
from vlog.tests.processes import environment_for

TRUSTED = parse_proxies("10.0.0.5, 10.1.0.0/24 ::1")


@pytest.fixture
def seen(settings, monkeypatch):
    """Return a function that sends a request, and returns the address and whether TLS was used."""
    settings.TRUSTED_PROXIES = TRUSTED
    monkeypatch.setattr(proxies, "_warned_at", float("-inf"))

    def send(peer, **headers):
        request = RequestFactory().get("/", REMOTE_ADDR=peer, headers=headers)
        proxies.trust_proxies(lambda _: HttpResponse())(request)
        assert "X-Forwarded-For" not in request.headers
        return request.META["REMOTE_ADDR"], request.is_secure()

    return send


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.5", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.5", "203.0.113.9, 10.1.0.7", "203.0.113.9"),
        ("10.0.0.5", "198.51.100.1, 203.0.113.9", "203.0.113.9"),  # the beginning is what the client invented
        ("10.0.0.5", "10.1.0.7,10.1.0.8", "10.1.0.7"),
        ("10.0.0.5", "203.0.113.9:5123", "203.0.113.9"),
        ("10.0.0.5", "[2001:db8::1]:5123", "2001:db8::1"),
        ("10.0.0.5", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.5", "::ffff:203.0.113.9", "203.0.113.9"),
        ("::ffff:10.0.0.5", "203.0.113.9", "203.0.113.9"),
        ("::1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.5", "", "10.0.0.5"),
        ("10.0.0.5", "unknown", "10.0.0.5"),
        ("10.0.0.5", "203.0.113.9, garbage\x00", "10.0.0.5"),
        ("10.0.0.5", "203.0.113.9, garbage, 10.1.0.7", "10.1.0.7"),
        ("10.0.0.6", "203.0.113.9", "10.0.0.6"),
        ("203.0.113.9", "10.0.0.5", "203.0.113.9"),
        ("", "203.0.113.9", ""),
    ],
)
def test_only_trusted_proxies_state_an_address(seen, peer, forwarded, client):
    assert seen(peer, X_Forwarded_For=forwarded)[0] == client


@pytest.mark.parametrize(("peer", "secure"), [("10.0.0.5", True), ("203.0.113.9", False), ("", False)])
def test_only_trusted_proxies_state_the_protocol(seen, peer, secure):
    assert seen(peer, X_Forwarded_Proto="https") == (peer, secure)


def test_a_peer_on_a_unix_socket_is_trusted_if_the_setting_says_so(seen, settings):
    settings.TRUSTED_PROXIES = Proxies(unix=True)
    assert seen("", X_Forwarded_For="203.0.113.9", X_Forwarded_Proto="https") == ("203.0.113.9", True)
    assert seen("nonsense", X_Forwarded_For="203.0.113.9")[0] == "nonsense"


def test_a_request_without_these_headers_is_left_alone(seen):
    assert seen("10.0.0.5") == ("10.0.0.5", False)


def test_the_log_names_a_proxy_that_is_not_trusted_once_in_ten_minutes(seen, caplog):
    for _ in range(3):
        seen("192.0.2.1", X_Forwarded_For="203.0.113.9")
    (line,) = caplog.messages
    assert line.startswith("Ignored X-Forwarded-For and X-Forwarded-Proto from 192.0.2.1. ")
    assert line.endswith("add it to VLOG_TRUSTED_PROXIES.")


def test_the_middleware_is_in_place(settings, db):
    settings.TRUSTED_PROXIES, settings.SECURE_SSL_REDIRECT = TRUSTED, True
    client, https = Client(), {"X-Forwarded-Proto": "https"}
    assert client.get("/robots.txt", headers=https, REMOTE_ADDR="10.0.0.5").status_code == 200
    assert client.get("/robots.txt", headers=https, REMOTE_ADDR="203.0.113.9").status_code == 301


@pytest.mark.parametrize("text", ["example.org", "10.0.0.5/99", "10.0.0.0/8;", "10.0.0.5/24", "any", "*"])
def test_anything_but_addresses_and_networks_is_an_error_that_names_the_variable(text):
    with pytest.raises(SettingError, match="VLOG_TRUSTED_PROXIES must be"):
        parse_proxies(text)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "Proxies(networks=(), unix=False)"),
        (
            {"VLOG_BASE_URL": "https://video.example.org"},
            "Proxies(networks=(IPv4Network('127.0.0.1/32'), IPv6Network('::1/128')), unix=True)",
        ),
        (
            {"VLOG_BASE_URL": "https://video.example.org", "VLOG_TRUSTED_PROXIES": ""},
            "Proxies(networks=(), unix=False)",
        ),
    ],
)
def test_without_the_setting_this_machine_is_trusted_where_a_proxy_must_end_tls(new_dir, variables, expected):
    code = "from vlog.settings import TRUSTED_PROXIES; print(TRUSTED_PROXIES)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=BASE_DIR,
        env={**environment_for(new_dir), **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == expected
