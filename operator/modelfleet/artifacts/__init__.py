"""Fetchers of model artifacts by scheme. To add one: a file here, a line in SCHEMES, a test."""

from modelfleet.artifacts.base import Fetcher, FetchError, FetchLimits
from modelfleet.artifacts.http_download import HttpFetcher

SCHEMES: tuple[Fetcher, ...] = (HttpFetcher(),)

__all__ = ["SCHEMES", "FetchError", "FetchLimits", "Fetcher", "by_uri"]


def by_uri(uri: str) -> Fetcher:
    """Return the fetcher for a URI.

    Raises FetchError when its scheme has no fetcher.
    """
    scheme = uri.split("://", 1)[0].lower() if "://" in uri else ""
    for fetcher in SCHEMES:
        if scheme in fetcher.schemes:
            return fetcher
    schemes = ", ".join(f"{name}://" for fetcher in SCHEMES for name in fetcher.schemes)
    msg = f"the scheme of '{uri}' must be one of {schemes}"
    raise FetchError(msg, is_final=True)
