"""Catalogue of artifact schemes. A new one needs a file here, one in `artifacts`, and a test."""

from modelfleet.catalog.schemes.base import FetchShape, Scheme
from modelfleet.catalog.schemes.http import HttpScheme

SCHEMES: tuple[Scheme, ...] = (HttpScheme(),)

__all__ = ["SCHEMES", "FetchShape", "Scheme", "scheme_names", "scheme_of"]


def scheme_of(uri: str) -> Scheme | None:
    """Return the scheme of an artifact's address, or None."""
    name = uri.partition("://")[0].lower() if "://" in uri else ""
    return next((scheme for scheme in SCHEMES if name in scheme.names), None)


def scheme_names() -> tuple[str, ...]:
    """Return the names of all schemes, in the order of the catalogue."""
    return tuple(name for scheme in SCHEMES for name in scheme.names)
