"""Requests to addresses that people entered: only to public ones, and none waits long. The receivers are real."""

import socket
import socketserver
import ssl
import subprocess
import time
from contextlib import closing, contextmanager, suppress
from ipaddress import ip_address, ip_network
from threading import Thread

import pytest

from vlog import outbound
from vlog.environment import SettingError, parse_networks
from vlog.outbound import OutboundError
from vlog.tests.processes import reserve_port

LOOPBACK = (ip_network("127.0.0.0/8"),)
PRIVATE = (
    *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.1", "224.0.0.1"),
    *("168.63.129.16", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1"),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:db8::1"),
)


@contextmanager
def receiver(answer):
    """Serve each connection with a function, which gets the request up to the end of its body and the socket."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            received = b""
            while not received.endswith(b"}"):
                received += self.request.recv(65536)
            requests.append(received)
            with suppress(OSError):
                answer(self.request)

    requests = []
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/hook?key=1", requests
        server.shutdown()


@pytest.fixture
def allowed(settings):
    settings.WEBHOOK_PRIVATE_ADDRESSES = LOOPBACK


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_the_internet_is_refused(address):
    assert not outbound.is_allowed(ip_address(address))
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(OutboundError, match="not a public address"):
        outbound.post(f"http://{host}/", b"{}", {})


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f.1", "127.1"])
def test_names_and_spellings_of_such_addresses_are_refused_too(host):
    with pytest.raises(OutboundError, match="has no public address"):
        outbound.post(f"http://{host}:9/", b"{}", {})


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "64:ff9b::101:101"])
def test_the_internet_is_allowed(address):
    assert outbound.is_allowed(ip_address(address))


def test_the_operator_allows_networks(settings):
    settings.WEBHOOK_PRIVATE_ADDRESSES = parse_networks("WEBHOOK_PRIVATE_ADDRESSES", "10.1.0.0/16, fd00::/8")
    allowed = ("10.1.2.3", "fd00::1", "::ffff:10.1.2.3", "10.2.0.1", "127.0.0.1")
    assert [outbound.is_allowed(ip_address(one)) for one in allowed] == [True, True, True, False, False]
    with pytest.raises(SettingError, match="VLOG_WEBHOOK_PRIVATE_ADDRESSES must be addresses and networks"):
        parse_networks("WEBHOOK_PRIVATE_ADDRESSES", "10.1.2.3/16")


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://example.org/", "file:///etc/passwd", "example.org", "http://", "http://ann:secret@example.org/"),
        *("http://example.org/#a", "http://example.org:0/", "http://example.org:99999/", "http://[::1", "http://a b/"),
        *("http://example.org/\r\nHost: evil", "http://exämple.org/", "http://example.org/" + "x" * 500),
    ],
)
def test_only_plain_addresses_of_the_web_are_taken(url):
    with pytest.raises(OutboundError, match=r"must look like https://example\.org/path") as error:
        outbound.check(url)
    assert "secret" not in str(error.value)


def test_a_request_is_what_the_receiver_expects(allowed):
    with receiver(lambda peer: peer.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")) as (url, requests):
        assert outbound.post(url, b'{"a": 1}', {"webhook-id": "x"}) == 204
    host = url.split("/")[2]
    head = (
        f"POST /hook?key=1 HTTP/1.1\r\nHost: {host}\r\nContent-Length: 8\r\nConnection: close\r\nwebhook-id: x\r\n\r\n"
    )
    assert requests == [head.encode() + b'{"a": 1}']


def test_redirects_are_not_followed(allowed):
    redirect = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/meta-data/\r\n\r\n"
    with receiver(lambda peer: peer.sendall(redirect)) as (url, requests):
        assert outbound.post(url, b"{}", {}) == 302
    assert len(requests) == 1


def endless(peer):
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
    while True:
        peer.sendall(b"x" * 65536)
        sent.append(65536)


sent = []


def test_of_a_huge_answer_only_the_beginning_is_read(allowed):
    sent.clear()
    with receiver(endless) as (url, _):
        assert outbound.post(url, b"{}", {}) == 200
        time.sleep(0.2)
    assert sum(sent) < 50_000_000  # what the buffers of the sockets took


def trickle(peer):
    while True:
        peer.sendall(b"H")
        time.sleep(0.1)


def headers_without_end(peer):
    peer.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        peer.sendall(b"a: b\r\n")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda peer: time.sleep(5), "no answer within 1 seconds"),
        (trickle, "no answer within 1 seconds"),
        (headers_without_end, "not HTTP"),
        (lambda peer: None, "closed before an answer came"),
        (lambda peer: peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"), "not HTTP"),
        (lambda peer: peer.sendall(b"HTTP/1.1 2"), "closed before an answer came"),
    ],
)
def test_bad_answers_are_sentences_and_none_takes_long(allowed, monkeypatch, answer, sentence):
    monkeypatch.setattr(outbound, "TOTAL_SECONDS", 1)
    began = time.monotonic()
    with receiver(answer) as (url, _), pytest.raises(OutboundError, match=sentence) as error:
        outbound.post(url, b"{}", {})
    assert time.monotonic() - began < 3
    assert "key=1" not in str(error.value)


def test_a_receiver_that_is_away_and_a_name_that_is_unknown(allowed):
    with (
        closing(reserve_port()) as port,
        pytest.raises(OutboundError, match="The connection broke: Connection refused"),
    ):
        outbound.post(f"http://127.0.0.1:{port.getsockname()[1]}/", b"{}", {})
    with pytest.raises(OutboundError, match="not known to the DNS"):
        outbound.post("https://nothing.invalid/", b"{}", {})


def test_a_certificate_that_no_authority_signed_is_refused(allowed, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def accept(listener):
        with suppress(OSError), context.wrap_socket(listener.accept()[0], server_side=True):
            pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=accept, args=[listener])
        thread.start()
        with pytest.raises(OutboundError, match=r"The certificate is not valid: self-signed certificate"):
            outbound.post(f"https://127.0.0.1:{listener.getsockname()[1]}/", b"{}", {})
        thread.join()
