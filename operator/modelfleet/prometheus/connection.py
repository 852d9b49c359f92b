"""Connection to a Prometheus server through `prometheus-api-client`. Blocking.

`compose` makes it where an address is set. `prometheus.signal_reader` and
`prometheus.past_arrivals` use it in threads; commands use it directly. It separates faults of a
query from faults of the server.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
from prometheus_api_client import PrometheusConnect
from urllib3.util.retry import Retry

from modelfleet.prometheus.queries import QueryRejected, Row, ServerSilent

_GRACE_SECONDS = 1.0
"""The server ends a query by its own time-out; ours is so much longer."""
_OF_A_QUERY = frozenset({"bad_data", "execution", "timeout", "canceled"})
_OK = 200


@dataclass(frozen=True, slots=True)
class PrometheusAccess:
    """Credentials; empty: no token, and the certificates of the system."""

    token_file: str = ""
    """Sent as a bearer token; read at each query, since a kubelet renews the tokens of pods."""
    ca_file: str = ""
    """Certificates (PEM) that the server's certificate is checked against."""


class PrometheusServer:
    """Queries, each within a time. For one thread at a time."""

    def __init__(
        self, url: str, timeout_seconds: float, access: PrometheusAccess = PrometheusAccess()
    ) -> None:
        """`url` is the server's address, without `/api`."""
        self._timeout_seconds = timeout_seconds
        # Retries of the client would take minutes; the next round is the retry.
        self._client = PrometheusConnect(
            url.rstrip("/"),
            session=_HttpSession(access),
            retry=Retry(total=0),
            timeout=timeout_seconds + _GRACE_SECONDS,
            method="POST",
        )

    def ask(self, query: str) -> Sequence[Row]:
        """Return the series of an instant query.

        Raises QueryRejected or ServerSilent.
        """
        return self._in_time(lambda limit: self._client.custom_query(query, params=limit))

    def ask_range(
        self, query: str, begin_seconds: int, end_seconds: int, step_seconds: int
    ) -> Sequence[Row]:
        """Return the series of a range query, both ends included.

        Raises QueryRejected or ServerSilent.
        """
        begin, end = (datetime.fromtimestamp(at, UTC) for at in (begin_seconds, end_seconds))
        step = str(step_seconds)
        return self._in_time(
            lambda limit: self._client.custom_query_range(query, begin, end, step, params=limit)
        )

    def _in_time(self, ask: Callable[[dict[str, str]], Any]) -> Sequence[Row]:
        try:
            return self._send(ask)
        except requests.Timeout:
            # The query is too large, or the server is away: a query without cost decides.
            try:
                self._send(lambda limit: self._client.custom_query("vector(1)", params=limit))
            except requests.Timeout as error:
                raise ServerSilent("no answer in time") from error
            text = f"it takes longer than {self._timeout_seconds:g} s"
            raise QueryRejected(text) from None

    def _send(self, ask: Callable[[dict[str, str]], Any]) -> Sequence[Row]:
        limit = {"timeout": f"{int(self._timeout_seconds * 1000)}ms"}
        try:
            rows = ask(limit)
        except requests.Timeout:
            raise
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            raise ServerSilent(f"{type(error).__name__}: {error}"[:500]) from error
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ServerSilent("the answer is not a list of series")
        return rows


class _HttpSession(requests.Session):  # type: ignore[misc] # its types are in another package
    """Sends the query as a form, since a URL may be too short for it; raises our errors."""

    def __init__(self, access: PrometheusAccess) -> None:
        super().__init__()
        self._access = access

    def request(self, method: str, url: str, params: Any = None, **more: Any) -> requests.Response:
        if self._access.ca_file:
            more["verify"] = self._access.ca_file
        if self._access.token_file:
            more["auth"] = _Bearer(self._access.token_file)
        answer = super().request(method, url, data=params, **more)
        if answer.status_code == _OK:
            return answer
        try:
            content = answer.json()
        except ValueError:
            content = {}
        if isinstance(content, dict) and content.get("errorType") in _OF_A_QUERY:
            raise QueryRejected(str(content.get("error", "")))
        msg = f"HTTP status {answer.status_code}"
        raise ServerSilent(msg)


class _Bearer(requests.auth.AuthBase):  # type: ignore[misc] # its types are in another package
    """A token from a file. As `auth`, since an entry in a .netrc would replace a header."""

    def __init__(self, file: str) -> None:
        self._file = Path(file)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        try:
            token = self._file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            msg = f"no token for Prometheus: {error}"
            raise ServerSilent(msg) from error
        request.headers["Authorization"] = f"Bearer {token}"
        return request
