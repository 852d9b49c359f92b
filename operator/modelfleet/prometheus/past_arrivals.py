"""Past arrivals of many models in the last days, from the gateways' metrics in a Prometheus.

`memory.history_backfill` reads them in a thread. One query is for many models and one day; a query
that is too large is halved. Anyone may have written the series, so numbers that cannot be right are
unknown. Must never take a time without any scrape for a silence. Must never take the requests of a
namesake in another namespace for those of the model.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from modelfleet.facts.history import History, HistoryRequest, HistoryUnavailable
from modelfleet.facts.identity import Key
from modelfleet.prometheus.queries import QueryRejected, Row, ServerSilent

ARRIVALS = "modelfleet_gateway_arrivals_total"
ALIVE = "modelfleet_gateway_log_entries_total"
"""A counter that every gateway has, also one that no model's request has reached yet."""
LONGEST_SECONDS = 8 * 86_400
CHUNK_SECONDS = 86_400
BIN_SECONDS = 5
MAX_REQUESTS_PER_SECOND = 1e6
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")

Column = NDArray[np.float64]
log = structlog.get_logger()


class RangeServer(Protocol):
    """The Prometheus server; see `prometheus.connection`."""

    def ask_range(
        self, query: str, begin_seconds: int, end_seconds: int, step_seconds: int
    ) -> Sequence[Row]:
        """Return the series of a range query.

        Raises QueryRejected or ServerSilent.
        """
        ...


class PrometheusPast:
    """Past arrivals of models in one Prometheus."""

    def __init__(self, server: RangeServer, namespace: str, window_seconds: int) -> None:
        """`namespace` is that of the gateways; `window_seconds` span four scrapes or more."""
        self._server, self._namespace = server, namespace
        # An increase needs two scrapes within the step.
        self._step = max(BIN_SECONDS, window_seconds // 2 // BIN_SECONDS * BIN_SECONDS)

    def read(self, requests: Sequence[HistoryRequest], now_seconds: float) -> Mapping[Key, History]:
        """Return the history up to now of those models that have any.

        Blocks. Raises HistoryUnavailable.
        """
        step, keys = (
            self._step,
            [request.key for request in requests if _NAME.fullmatch(request.key.name)],
        )
        last = int(now_seconds // step)
        first = max(
            min(request.since_seconds for request in requests), now_seconds - LONGEST_SECONDS
        )
        first_step = min(last, math.ceil(first / step))
        table = {key: np.full(last - first_step, np.nan) for key in keys}
        alive = np.zeros(last - first_step, dtype=np.bool_)
        size = max(1, CHUNK_SECONDS // step)
        try:
            for low in range(0, last - first_step, size):
                part = slice(low, min(low + size, last - first_step))
                self._chunk(table, alive, part, first_step)
        except ServerSilent as error:
            raise HistoryUnavailable(str(error)) from error
        since = {
            request.key: math.ceil(request.since_seconds / step) - first_step
            for request in requests
        }
        return {
            key: History(first_step * step // BIN_SECONDS, step // BIN_SECONDS, own)
            for key, column in table.items()
            if not np.isnan(own := _own(column, alive, since[key])).all()
        }

    def _chunk(
        self, table: Mapping[Key, Column], alive: NDArray[np.bool_], part: slice, first_step: int
    ) -> None:
        """Fill one day of all columns; a day that the server refuses stays unknown."""
        size = part.stop - part.start
        # Each value is the increase up to the end of its step.
        begin, end = ((first_step + index) * self._step for index in (part.start + 1, part.stop))
        alive[part] = self._alive(begin, end)
        for row in self._increases(sorted({key.name for key in table}), begin, end):
            key = self._key_of(row.get("metric"))
            column = None if key is None else table.get(key)
            if column is not None:
                values = _values(row, begin, self._step, size)
                column[part] = np.where(np.isnan(values), column[part], values)

    def _increases(self, names: list[str], begin: int, end: int) -> list[Row]:
        if not names:
            return []
        chosen = "|".join(name.replace(".", "[.]") for name in names)
        # Gateways that two jobs scrape are counted once.
        query = (
            "max by (namespace, exported_namespace, model)"
            " (sum by (namespace, exported_namespace, model, job)"
            f' (increase({ARRIVALS}{{model=~"{chosen}"}}[{self._step}s])))'
        )
        try:
            return list(self._server.ask_range(query, begin, end, self._step))
        except QueryRejected as error:
            if len(names) == 1:
                log.warning("history refused by prometheus", model=names[0], why=str(error)[:300])
                return []
        half = len(names) // 2
        return self._increases(names[:half], begin, end) + self._increases(names[half:], begin, end)

    def _alive(self, begin: int, end: int) -> NDArray[np.bool_]:
        """Return the steps in which any gateway was scraped."""
        size = (end - begin) // self._step + 1
        alive = np.zeros(size, dtype=np.bool_)
        query = f"count by (namespace) (increase({ALIVE}[{self._step}s]))"
        try:
            rows = self._server.ask_range(query, begin, end, self._step)
        except QueryRejected:
            return alive
        for row in rows:
            labels = row.get("metric")
            namespace = labels.get("namespace") if isinstance(labels, dict) else None
            if namespace in {None, self._namespace}:
                alive |= _values(row, begin, self._step, size) > 0
        return alive

    def _key_of(self, labels: Any) -> Key | None:
        """Return the model of a series.

        Most scrapers set `namespace` to that of the scraped pod and keep ours as
        `exported_namespace`. Such a series counts only if the scraped pod is beside the gateways.
        """
        if not isinstance(labels, dict) or not isinstance(labels.get("model"), str):
            return None
        namespace, exported = labels.get("namespace"), labels.get("exported_namespace")
        if exported is not None:
            return Key(exported, labels["model"]) if namespace == self._namespace else None
        return None if namespace is None else Key(namespace, labels["model"])


def _values(row: Row, begin: int, step: int, size: int) -> Column:
    """Return the numbers (size,) of a series by step; NaN where there is none, or a wrong one."""
    numbers = np.full(size, np.nan)
    values = row.get("values")
    for pair in values if isinstance(values, list) else ():
        try:
            index, value = round((float(pair[0]) - begin) / step), float(pair[1])
        except (TypeError, ValueError, IndexError, OverflowError):
            continue
        if 0 <= index < size and 0 <= value <= MAX_REQUESTS_PER_SECOND * step:
            numbers[index] = value
    return numbers


def _own(column: Column, alive: NDArray[np.bool_], since: int) -> Column:
    """Return whole requests of one model; unknown before it existed, or before its first series.

    From then on a step without a series is a silence while any gateway was scraped. A gateway that
    starts counts from zero and names a model only at its first request. The fraction of a request
    in an increase is carried into the next step. Worked example: 1.4, 1.4, 1.4, 1.4, 1.4 is 1, 2,
    1, 2, 1.
    """
    requests = column.copy()
    requests[: max(since, 0)] = np.nan
    with_series = np.flatnonzero(~np.isnan(requests))
    first_seen = with_series[0] if len(with_series) else len(requests)
    later = np.arange(len(requests)) > first_seen
    requests[np.isnan(requests) & alive & later] = 0.0
    is_known = ~np.isnan(requests)
    requests[is_known] = np.diff(np.floor(np.cumsum(requests[is_known]) + 0.5), prepend=0.0)
    return requests
