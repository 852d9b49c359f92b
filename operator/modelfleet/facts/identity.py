"""Names of models and endpoints, in the one spelling of operator, agents and Envoy."""

from typing import NamedTuple, Self


class Key(NamedTuple):
    """Namespace and name of a model."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Return `namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the key of `namespace/name`; raises TypeError without a slash."""
        return cls(*text.split("/", 1))


def bracketed(address: str) -> str:
    """Return the address as a URL or an endpoint needs it: an IPv6 address in brackets."""
    return f"[{address}]" if ":" in address else address


def endpoint_of(address: str, port: int) -> str:
    """Return `ip:port`, with brackets around an IPv6 address.

    Worked example: ('fd00::5', 8080) is '[fd00::5]:8080'.
    """
    return f"{bracketed(address)}:{port}"
