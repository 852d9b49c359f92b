"""A Prometheus server, asked through `prometheus-api-client`. Blocking.

Made by `main` where an address is set, used by `prometheus.signal_reader` and
`prometheus.past_arrivals` in threads, and by the command line. Tells apart what is the matter with
a query and what with the server.
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
"""The server ends a query by itself; so much later we do."""
_OF_A_QUERY = frozenset({"bad_data", "execution", "timeout", "canceled"})
_OK = 200


@dataclass(frozen=True, slots=True)
class PrometheusAccess:
    """How to be let in; empty: as anybody, and by the certificates of the system."""

    token_file: str = ""
    """Sent as a bearer token; read at each query, since a kubelet renews the tokens of pods."""
    ca_file: str = ""
    """Certificates by which the server may prove itself, PEM."""


class PrometheusServer:
    """Queries, each within a time. One thread at a time."""

    def __init__(
        self, url: str, timeout_seconds: float, access: PrometheusAccess = PrometheusAccess()
    ) -> None:
        """`url` is the server's address, without `/api`."""
        self._timeout_seconds = timeout_seconds
        # Its own retries would take minutes; the next round is the retry.
        self._client = PrometheusConnect(
            url.rstrip("/"),
            session=_HttpSession(access),
            retry=Retry(total=0),
            timeout=timeout_seconds + _GRACE_SECONDS,
            method="POST",
        )

    def ask(self, query: str) -> Sequence[Row]:
        """The series of an instant query; raises QueryRejected or ServerSilent."""
        return self._in_time(lambda limit: self._client.custom_query(query, params=limit))

    def ask_range(
        self, query: str, begin_seconds: int, end_seconds: int, step_seconds: int
    ) -> Sequence[Row]:
        """The series of a range query, both ends included; raises as `ask` does."""
        begin, end = (datetime.fromtimestamp(at, UTC) for at in (begin_seconds, end_seconds))
        step = str(step_seconds)
        return self._in_time(
            lambda limit: self._client.custom_query_range(query, begin, end, step, params=limit)
        )

    def _in_time(self, ask: Callable[[dict[str, str]], Any]) -> Sequence[Row]:
        try:
            return self._asked(ask)
        except requests.Timeout:
            # Either the query is too much, or nobody is there: a query that costs nothing tells.
            try:
                self._asked(lambda limit: self._client.custom_query("vector(1)", params=limit))
            except requests.Timeout as error:
                raise ServerSilent("no answer in time") from error
            text = f"it takes longer than {self._timeout_seconds:g} s"
            raise QueryRejected(text) from None

    def _asked(self, ask: Callable[[dict[str, str]], Any]) -> Sequence[Row]:
        limit = {"timeout": f"{int(self._timeout_seconds * 1000)}ms"}
        try:
            found = ask(limit)
        except requests.Timeout:
            raise
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            raise ServerSilent(f"{type(error).__name__}: {error}"[:500]) from error
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise ServerSilent("the answer is no list of series")
        return found


class _HttpSession(requests.Session):  # type: ignore[misc] # its types are in another package
    """Sends the query as a form, as it may be longer than a URL may be; knows errors."""

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
            told = answer.json()
        except ValueError:
            told = {}
        if isinstance(told, dict) and told.get("errorType") in _OF_A_QUERY:
            raise QueryRejected(str(told.get("error", "")))
        msg = f"HTTP status {answer.status_code}"
        raise ServerSilent(msg)


class _Bearer(requests.auth.AuthBase):  # type: ignore[misc] # its types are in another package
    """A token from a file. As `auth`, since a header would yield to a .netrc."""

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
