"""One socket for both families, and IPv4 alone where the kernel has no IPv6."""

import socket

import pytest

from modelfleet import listening

HAS_IPV6 = socket.has_dualstack_ipv6()
"""Whether this machine has it; `tests/gateway/test_addresses.py` makes a network of each kind."""


def answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=2):
            return True
    except OSError:
        return False


def test_an_empty_address_means_every_family_of_the_machine() -> None:
    with listening.listening_socket("", 0) as server:
        port = server.getsockname()[1]
        assert answers("127.0.0.1", port)
        assert answers("::1", port) == HAS_IPV6


@pytest.mark.parametrize(
    ("address", "other"),
    [("127.0.0.1", "::1"), *([("::1", "127.0.0.1")] if HAS_IPV6 else [])],
)
def test_an_address_that_is_set_is_the_only_one(address: str, other: str) -> None:
    with listening.listening_socket(address, 0) as server:
        port = server.getsockname()[1]
        assert answers(address, port)
        assert not answers(other, port)


@pytest.mark.parametrize("has_library", [True, False])
def test_ipv4_alone_where_ipv6_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, *, has_library: bool
) -> None:
    create = socket.create_server

    def without_ipv6(*args: object, family: int = socket.AF_INET, **more: object) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return create(*args, family=family, **more)

    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: has_library)
    monkeypatch.setattr(socket, "create_server", without_ipv6)
    assert listening.every_address() == "0.0.0.0"
    with listening.listening_socket("", 0) as server:
        assert answers("127.0.0.1", server.getsockname()[1])
