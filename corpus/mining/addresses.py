"""Which machines may be spoken to: public ones. The check stands where the socket is made.

A URL can lead to a private machine by its literal address (also written in decimal, octal or hexadecimal), by what a
name server answers now and answered otherwise a moment ago, or by a redirect. All of them end in a socket being made
for one address, and that address is the one checked. Nothing is looked up or cached in between.
"""

import ipaddress
import socket
from collections.abc import Callable
from functools import lru_cache

# IPv6 outside of the global unicast block, or inside it but a tunnel that ends at some IPv4 address: 6to4 (RFC 3056),
# Teredo and the other protocol assignments of 2001::/23 (RFC 2928). IPv4-mapped and NAT64 ones are outside of it.
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # RFC 4291
TUNNELS = (ipaddress.IPv6Network("2002::/16"), ipaddress.IPv6Network("2001::/23"))
# Special IPv4 blocks that `is_global` lets through in some releases of Python: RFC 6890, RFC 7526.
SPECIAL = (ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv4Network("192.88.99.0/24"))


class AddressRefused(OSError):
    """The address is not a public one; no socket was made."""


@lru_cache(4096)
def is_public(address: str) -> bool:
    """Return whether a numeric address, as a socket takes it, belongs to the public internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if not ip.is_global or ip.is_multicast or ip.is_reserved:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in block for block in SPECIAL)
    return ip in GLOBAL_UNICAST and not any(ip in block for block in TUNNELS)


def guarded_socket(allowed: Callable[[str], bool]) -> Callable[[tuple], socket.socket]:
    """Return a socket factory for aiohttp's connector: it raises AddressRefused in place of making a socket."""

    def make(address_info: tuple) -> socket.socket:
        family, kind, protocol, _, address = address_info
        if not allowed(address[0]):
            raise AddressRefused(f"{address[0]} is not a public address")
        return socket.socket(family, kind, protocol)

    return make
