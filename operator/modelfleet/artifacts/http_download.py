"""Fetcher for http and https, with the standard library only: it runs first in a pod.

Redirects stay within http and https and are counted. A download without progress is abandoned.
"""

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator

from modelfleet.artifacts.base import SINGLE_FILE, ArtifactFile, FetchError, FetchLimits

_CHUNK = 1024 * 1024
_SERVER_ERROR = 500
_RETRIED = {408, 425, 429}


class _BoundedRedirects(urllib.request.HTTPRedirectHandler):
    """Handler with a bound; the standard library refuses redirects that leave http and https."""

    max_redirections = FetchLimits().most_redirects


class HttpFetcher:
    """One file by a plain GET."""

    schemes = ("http", "https")

    def files(self, uri: str, limits: FetchLimits) -> Iterator[ArtifactFile]:
        """Yield the body as a single file."""
        yield ArtifactFile(SINGLE_FILE, self._chunks(uri, limits))

    def _chunks(self, uri: str, limits: FetchLimits) -> Iterator[bytes]:
        """Yield pieces of at most 1 MiB.

        Raises FetchError.
        """
        opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            _BoundedRedirects(),
        ):
            opener.add_handler(handler)
        request = urllib.request.Request(uri, headers={"User-Agent": "modelfleet-fetch"})  # noqa: S310 - the scheme was checked
        try:
            with opener.open(request, timeout=limits.idle_seconds) as answer:
                promised = answer.headers.get("Content-Length")
                received = 0
                while chunk := answer.read(_CHUNK):
                    received += len(chunk)
                    yield chunk
                if promised is not None and received != int(promised):
                    text = f"{uri} ended after {received} of {promised} bytes"
                    raise FetchError(text, is_final=False)
        except urllib.error.HTTPError as error:
            is_final = error.code < _SERVER_ERROR and error.code not in _RETRIED
            text = f"{uri} answers {error.code} {error.reason}"
            raise FetchError(text, is_final=is_final) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            text = f"{uri}: {getattr(error, 'reason', None) or error}"
            raise FetchError(text, is_final=False) from error
