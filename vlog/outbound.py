"""POST requests to addresses that people entered, which must not reach into the network of this machine.

A name is resolved once, its addresses are checked, and the connection goes to a checked one: a name that resolves to
something else a moment later gains nothing. Redirects are not followed. The proxies of the environment are not used.
"""

import io
import re
import socket
import ssl
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException, HTTPResponse
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from vlog.addresses import HOST, host_of
from vlog.environment import parse_address

CONNECT_SECONDS, TOTAL_SECONDS = 5, 10
MAX_ANSWER = 64 * 1024  # bytes of an answer's body that are read
MAX_ADDRESS = 500  # characters
PORTS = {"http": 80, "https": 443}
URL = re.compile(r"https?://[^@#\s\"<>\\\x00-\x1f\x7f-\U0010ffff]+")
NAT64 = ip_network("64:ff9b::/96")
# The metadata service of Azure has a public address; those of other clouds are link-local or private.
METADATA = {ip_address("168.63.129.16")}
REFUSED = "Private, local and link-local addresses are refused unless {} has them."

Address = IPv4Address | IPv6Address


@dataclass(frozen=True)
class Reach:
    """The private networks that requests of one kind may reach, and the setting that names them."""

    setting: str
    networks: Callable[[], Collection[IPv4Network | IPv6Network]]

    @property
    def refusal(self) -> str:
        return REFUSED.format(self.setting)


WEBHOOKS = Reach("VLOG_WEBHOOK_PRIVATE_ADDRESSES", lambda: settings.WEBHOOK_PRIVATE_ADDRESSES)
IMPORTS = Reach("VLOG_IMPORT_PRIVATE_ADDRESSES", lambda: settings.IMPORTS.networks)


class OutboundError(Exception):
    """The request could not be sent, or was not answered; the message says why and has no secret."""


def check(url: str) -> SplitResult:
    """Return the parts of an address to which requests may be sent, as far as it tells. Raises OutboundError."""
    invalid = OutboundError("The address must look like https://example.org/path, without a user name and without #.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise invalid from None
    if len(url) > MAX_ADDRESS or not URL.fullmatch(url) or not HOST.fullmatch(host_of(url)) or port == 0:
        raise invalid
    address = parse_address(host_of(url))
    if address is not None and not is_allowed(address):
        raise OutboundError(f"{address} is not a public address. {WEBHOOKS.refusal}")
    return parts


def is_allowed(address: Address, reach: Reach = WEBHOOKS) -> bool:
    """Whether requests may be sent there: to the internet, or to the networks that the operator allows."""
    address = _embedded(address) or address
    if any(address in network for network in reach.networks()):
        return True
    is_site_local = isinstance(address, IPv6Address) and address.is_site_local
    return address.is_global and not (address.is_multicast or is_site_local or address in METADATA)


def _embedded(address: Address) -> Address | None:
    """Return the IPv4 address that packets to this IPv6 address reach."""
    if isinstance(address, IPv4Address):
        return None
    if address in NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour


def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """Send a body; returns the status of the answer. Raises OutboundError, after some seconds at the latest."""
    return exchange(url, body, headers, TOTAL_SECONDS, MAX_ANSWER)[0]


def exchange(url: str, body: bytes, headers: Mapping[str, str], seconds: float, most: int) -> tuple[int, bytes]:
    """Send a body; returns the status of the answer, and its body up to a number of bytes.

    Raises OutboundError, after so many seconds at the latest. What arrives of a body that breaks off is returned.
    """
    parts, deadline = check(url), time.monotonic() + seconds
    host, port = str(parts.hostname), parts.port or PORTS[parts.scheme]
    head = [f"POST {parts.path or '/'}{'?' + parts.query if parts.query else ''} HTTP/1.1"]
    shown = host_of(url) + (f":{parts.port}" if parts.port else "")
    fields = {"Host": shown, "Content-Length": str(len(body)), "Connection": "close", **headers}
    head += [f"{name}: {value}" for name, value in fields.items()]
    try:
        with connect(host, port, deadline) as plain, secured(plain, parts.scheme, host) as connection:
            connection.settimeout(_left(deadline))
            connection.sendall("\r\n".join([*head, "", ""]).encode() + body)
            return _answer(connection, deadline, most)
    except TimeoutError as error:
        raise OutboundError(f"There was no answer within {seconds:.0f} seconds.") from error
    except (OSError, HTTPException, ValueError) as error:
        raise OutboundError(sentence(error)) from error


def connect(host: str, port: int, deadline: float, reach: Reach = WEBHOOKS) -> socket.socket:
    """Return a connection to an address that the name has and that is allowed. Raises OutboundError and OSError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise OutboundError(f"The name {host} is not known to the DNS.") from error
    allowed = [one for one in found if is_allowed(ip_address(str(one[4][0]).partition("%")[0]), reach)]
    if not allowed:
        raise OutboundError(f"{host} has no public address. {reach.refusal}")
    until, failure = min(deadline, time.monotonic() + CONNECT_SECONDS), OSError()
    for family, kind, protocol, _, address in allowed:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(_left(until))
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            connection.settimeout(_left(deadline))  # of the handshake of TLS
            return connection
    raise failure


def secured(connection: socket.socket, scheme: str, host: str) -> socket.socket:
    """Return the connection with TLS, if the scheme wants it."""
    return _tls().wrap_socket(connection, server_hostname=host) if scheme == "https" else connection


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _answer(connection: socket.socket, deadline: float, most: int) -> tuple[int, bytes]:
    answer = HTTPResponse(_Answer(connection, deadline), method="POST")  # type: ignore[arg-type]
    answer.begin()
    content = b""
    with suppress(OSError, HTTPException, ValueError):  # the status is the answer; of most, the rest is not needed
        content = answer.read(most)
    return int(answer.status), content


class _Answer(io.RawIOBase):
    """What arrives on a connection before a deadline; each read of a socket alone would have its own time-out."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self.connection, self.deadline = connection, deadline

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.connection.settimeout(_left(self.deadline))
        return self.connection.recv_into(buffer)


def _left(deadline: float) -> float:
    """Return the seconds until the deadline. Raises TimeoutError."""
    if (left := deadline - time.monotonic()) <= 0:
        raise TimeoutError
    return left


def sentence(error: Exception) -> str:
    """Return why a request has failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"The certificate is not valid: {error.verify_message}."
    if isinstance(error, HTTPException | ValueError):
        return "The connection was closed before an answer came, or the answer is not HTTP."
    return f"The connection broke: {getattr(error, 'strerror', None) or 'no reason given'}."
