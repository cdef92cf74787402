"""What limits count as one client."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_network

from vlog.environment import parse_address

IPV6_PREFIX = 64  # bits; one customer of a provider has at least such a network


@lru_cache(maxsize=4096)
def client_of(address: str) -> str:
    """Return the client that has an address: the address itself, for IPv6 its network; empty for a Unix socket."""
    parsed = parse_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, IPV6_PREFIX), strict=False))
    return str(parsed or "")
