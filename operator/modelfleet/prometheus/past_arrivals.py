"""Arrivals of many models in the last days, from what the gateways have told a Prometheus.

Run by `memory.history_backfill` in a thread. A query is for many models and one day; one that is
too much is halved. What is read may be anybody's: numbers that make no sense are unknown. Must
never take a time when nobody was scraped for a silence, nor another model's requests for those of
its namesake.
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
"""Every gateway has it, also one that no model's request has reached yet."""
LONGEST_SECONDS = 8 * 86_400
CHUNK_SECONDS = 86_400
BIN_SECONDS = 5
MAX_REQUESTS_PER_SECOND = 1e6
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")

Column = NDArray[np.float64]
log = structlog.get_logger()


class RangeServer(Protocol):
    """What is asked; see `prometheus.connection`."""

    def ask_range(
        self, query: str, begin_seconds: int, end_seconds: int, step_seconds: int
    ) -> Sequence[Row]:
        """The series of a range query; raises QueryRejected or ServerSilent."""
        ...


class PrometheusPast:
    """The past of models in one Prometheus."""

    def __init__(self, server: RangeServer, namespace: str, window_seconds: int) -> None:
        """`namespace` is that of the gateways; `window_seconds` span four scrapes or more."""
        self._server, self._namespace = server, namespace
        # An increase needs two scrapes within the step.
        self._step = max(BIN_SECONDS, window_seconds // 2 // BIN_SECONDS * BIN_SECONDS)

    def read(self, wishes: Sequence[HistoryRequest], now_seconds: float) -> Mapping[Key, History]:
        """What is known of these models up to now, of those only of which anything is.

        Blocking. Raises `HistoryUnavailable`.
        """
        step, keys = self._step, [w.key for w in wishes if _NAME.fullmatch(w.key.name)]
        last = int(now_seconds // step)
        first = max(min(w.since_seconds for w in wishes), now_seconds - LONGEST_SECONDS)
        begun = min(last, math.ceil(first / step))
        table = {key: np.full(last - begun, np.nan) for key in keys}
        alive = np.zeros(last - begun, dtype=np.bool_)
        size = max(1, CHUNK_SECONDS // step)
        try:
            for low in range(0, last - begun, size):
                part = slice(low, min(low + size, last - begun))
                self._chunk(table, alive, part, begun)
        except ServerSilent as silence:
            raise HistoryUnavailable(str(silence)) from silence
        since = {wish.key: math.ceil(wish.since_seconds / step) - begun for wish in wishes}
        return {
            key: History(begun * step // BIN_SECONDS, step // BIN_SECONDS, own)
            for key, column in table.items()
            if not np.isnan(own := _own(column, alive, since[key])).all()
        }

    def _chunk(
        self, table: Mapping[Key, Column], alive: NDArray[np.bool_], part: slice, begun: int
    ) -> None:
        """Fill one day of all columns; a day that is refused stays unknown."""
        size = part.stop - part.start
        # The increase up to the end of a step.
        begin, end = ((begun + place) * self._step for place in (part.start + 1, part.stop))
        alive[part] = self._alive(begin, end)
        for row in self._asked(sorted({key.name for key in table}), begin, end):
            key = self._key_of(row.get("metric"))
            column = None if key is None else table.get(key)
            if column is not None:
                values = _values(row, begin, self._step, size)
                column[part] = np.where(np.isnan(values), column[part], values)

    def _asked(self, names: list[str], begin: int, end: int) -> list[Row]:
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
        return self._asked(names[:half], begin, end) + self._asked(names[half:], begin, end)

    def _alive(self, begin: int, end: int) -> NDArray[np.bool_]:
        """Steps in which any gateway was scraped."""
        size = (end - begin) // self._step + 1
        alive = np.zeros(size, dtype=np.bool_)
        query = f"count by (namespace) (increase({ALIVE}[{self._step}s]))"
        try:
            rows = self._server.ask_range(query, begin, end, self._step)
        except QueryRejected:
            return alive
        for row in rows:
            labels = row.get("metric")
            said = labels.get("namespace") if isinstance(labels, dict) else None
            if said in {None, self._namespace}:
                alive |= _values(row, begin, self._step, size) > 0
        return alive

    def _key_of(self, labels: Any) -> Key | None:
        """Whose series it is.

        Most scrapers set `namespace` to that of the scraped pod and keep ours as
        `exported_namespace`: then only a pod beside the gateways can have told it.
        """
        if not isinstance(labels, dict) or not isinstance(labels.get("model"), str):
            return None
        said, exported = labels.get("namespace"), labels.get("exported_namespace")
        if exported is not None:
            return Key(exported, labels["model"]) if said == self._namespace else None
        return None if said is None else Key(said, labels["model"])


def _values(row: Row, begin: int, step: int, size: int) -> Column:
    """Numbers (size,) of a series by step; NaN where there is none, or none of sense."""
    found = np.full(size, np.nan)
    values = row.get("values")
    for pair in values if isinstance(values, list) else ():
        try:
            place, value = round((float(pair[0]) - begin) / step), float(pair[1])
        except (TypeError, ValueError, IndexError, OverflowError):
            continue
        if 0 <= place < size and 0 <= value <= MAX_REQUESTS_PER_SECOND * step:
            found[place] = value
    return found


def _own(column: Column, alive: NDArray[np.bool_], since: int) -> Column:
    """Whole requests of one model: nothing before it existed, nor before its first series.

    From then on no series is a silence while any gateway was scraped: each begins to count anew,
    and names a model when its first request comes. The parts of a request that an increase has go
    on into the next step. Worked example: 1.4, 1.4, 1.4, 1.4, 1.4 is 1, 2, 1, 2, 1.
    """
    found = column.copy()
    found[: max(since, 0)] = np.nan
    seen = np.flatnonzero(~np.isnan(found))
    begun = seen[0] if len(seen) else len(found)
    later = np.arange(len(found)) > begun
    found[np.isnan(found) & alive & later] = 0.0
    known = ~np.isnan(found)
    found[known] = np.diff(np.floor(np.cumsum(found[known]) + 0.5), prepend=0.0)
    return found
