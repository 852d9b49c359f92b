"""Arrivals of the past: increases by step in, whole requests out, unknown where nobody looked."""

import math
import re
from itertools import pairwise

import numpy as np
import pytest
from structlog.testing import capture_logs

from modelfleet.facts.history import HistoryRequest, HistoryUnavailable
from modelfleet.facts.identity import Key
from modelfleet.prometheus import past_arrivals
from modelfleet.prometheus.past_arrivals import PrometheusPast
from modelfleet.prometheus.queries import QueryRejected, ServerSilent

KEY = Key("team-a", "digits")
STEP = 60
NOW = 1_800_000_000
BEGIN = NOW - 10 * STEP


class Server:
    """A Prometheus with given increases; step i ends at BEGIN + (i + 1) * STEP."""

    def __init__(self) -> None:
        self.series: list[tuple[dict, dict[int, object]]] = []
        self.gateways: dict[int, object] = {}
        self.asked: list[tuple[str, int, int]] = []
        self.most_names = 1000

    def tell(self, values: dict[int, object], **labels: str) -> None:
        whole = {"namespace": "modelfleet-system", "exported_namespace": "team-a"}
        self.series.append(({**whole, "model": "digits", **labels}, values))

    def ask_range(self, query: str, begin: int, end: int, step: int) -> list[dict]:
        assert step == STEP
        self.asked.append((query, begin, end))
        if "log_entries" in query:
            return [self._row({"namespace": "modelfleet-system"}, self.gateways, begin, end)]
        names = re.search(r'model=~"([^"]*)"', query)[1].replace("[.]", ".").split("|")
        if len(names) > self.most_names:
            raise QueryRejected("too many samples")
        labels = [
            ({k: v for k, v in own.items() if v}, values)
            for own, values in self.series
            if own["model"] in names
        ]
        return [self._row(own, values, begin, end) for own, values in labels]

    def _row(self, labels: dict, values: dict[int, object], begin: int, end: int) -> dict:
        at = {BEGIN + (place + 1) * STEP: value for place, value in values.items()}
        pairs = [[float(t), str(v)] for t, v in sorted(at.items()) if begin <= t <= end]
        return {"metric": labels, "values": pairs}


@pytest.fixture
def server():
    made = Server()
    made.gateways = dict.fromkeys(range(10), 2)
    return made


def read(server, *keys, since=BEGIN, now=NOW):
    source = PrometheusPast(server, "modelfleet-system", 2 * STEP)
    return source.read([HistoryRequest(key, since) for key in keys or (KEY,)], now)


def requests(server, **when):
    return read(server, **when)[KEY].requests.tolist()


def same(found, expected):
    return np.array_equal(found, [math.nan if x is None else x for x in expected], equal_nan=True)


def test_increases_become_whole_requests(server):
    server.tell(dict.fromkeys(range(10), 1.4))
    found = read(server)[KEY]
    assert (found.begin, found.step_bins) == (BEGIN // 5, 12)
    assert found.requests.tolist() == [1, 2, 1, 2, 1, 1, 2, 1, 2, 1]


def test_steps_in_which_no_gateway_was_scraped_are_unknown(server):
    server.tell({0: 5, 1: 5, 6: 5, 9: 5})
    server.gateways = dict.fromkeys((0, 1, 2, 6, 7, 8, 9), 2)
    assert same(requests(server), [5, 5, 0, None, None, None, 5, 0, 0, 5])


def test_nothing_is_known_before_the_first_series(server):
    server.tell({4: 3, 5: 3})
    assert same(requests(server), [None] * 4 + [3, 3, 0, 0, 0, 0])


def test_time_before_the_model_existed_is_of_its_namesake(server):
    server.tell(dict.fromkeys(range(10), 7))
    other = Key("team-a", "older")
    source = PrometheusPast(server, "modelfleet-system", 2 * STEP)
    wishes = [HistoryRequest(KEY, BEGIN + 3 * STEP + 1), HistoryRequest(other, BEGIN)]
    assert same(source.read(wishes, NOW)[KEY].requests, [None] * 4 + [7] * 6)


def test_scraper_that_honours_labels_is_understood(server):
    server.tell(dict.fromkeys(range(10), 4), namespace="team-a", exported_namespace="")
    assert requests(server) == [4] * 10


def test_tenant_cannot_forge_the_past_of_another(server):
    server.tell(dict.fromkeys(range(10), 4000), namespace="team-b")
    assert read(server) == {}


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-3", "1e300", "x", None])
def test_values_of_no_sense_are_unknown(server, value):
    server.tell({**dict.fromkeys(range(10), 4), 5: value})
    server.gateways = {}
    assert same(requests(server), [4] * 5 + [None] + [4] * 4)


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"metric": {}},
        {"metric": {"model": "digits"}, "values": []},
        {"metric": {"model": 5, "namespace": "team-a"}, "values": [[BEGIN, "1"]]},
        {"metric": [], "values": [[BEGIN, "1"]]},
        {"metric": {"model": "digits", "namespace": "team-a"}},
        {"metric": {"model": "digits", "namespace": "team-a"}, "values": [[], ["x", 1], 5, [1]]},
    ],
)
def test_rows_of_no_sense_are_left_out(server, row):
    server.tell(dict.fromkeys(range(10), 4))
    honest = server.ask_range
    server.ask_range = lambda *asked: [row, *honest(*asked)]
    assert requests(server) == [4] * 10


def test_absent_metric_is_no_history(server):
    assert read(server) == {}
    server.gateways = {}
    assert read(server) == {}


def test_many_models_are_few_queries(server):
    keys = [Key("team-a", f"m-{number}.x") for number in range(50)]
    for key in keys:
        server.tell(dict.fromkeys(range(10), 1), model=key.name)
    assert len(read(server, *keys)) == 50
    assert len(server.asked) == 2
    assert "m-0[.]x|m-1[.]x" in server.asked[1][0]


def test_query_that_is_too_much_is_halved(server):
    keys = [Key("team-a", f"m{number}") for number in range(8)]
    for key in keys:
        server.tell(dict.fromkeys(range(10), 1), model=key.name)
    server.most_names = 3
    assert len(read(server, *keys)) == 8


def test_model_that_is_refused_alone_costs_a_line(server):
    server.tell(dict.fromkeys(range(10), 1))
    server.most_names = 0
    with capture_logs() as lines:
        assert read(server) == {}
    assert [one["event"] for one in lines] == ["history refused by prometheus"]


def test_days_are_asked_one_by_one_and_eight_at_most(server):
    server.tell(dict.fromkeys(range(10), 1))
    read(server, since=0)
    spans = [(begin, end) for query, begin, end in server.asked if "arrivals" in query]
    assert len(spans) == 8
    assert all((end - begin) / STEP < 11_000 for begin, end in spans)
    assert spans[0][0] == NOW - 8 * 86_400 + STEP
    assert spans[-1][1] == NOW
    assert all(b[0] == a[1] + STEP for a, b in pairwise(spans))


def test_names_that_are_none_are_not_asked_for(server):
    assert read(server, Key("team-a", 'x"}) or vector(1) #')) == {}
    assert all("vector" not in query for query, *_ in server.asked)


def test_server_that_does_not_answer(server):
    def silent(*_: object) -> list:
        raise ServerSilent("no answer in time")

    server.ask_range = silent
    with pytest.raises(HistoryUnavailable, match="no answer in time"):
        read(server)


def test_metric_names_are_those_of_the_gateways():
    from modelfleet.gateway.requests.counters import TrafficCounters
    from modelfleet.gateway.traffic_metrics import TrafficCollector

    families = {
        f"{one.name}_total" for one in TrafficCollector(TrafficCounters(lambda: 0), dict).collect()
    }
    assert {past_arrivals.ARRIVALS, past_arrivals.ALIVE} <= families
