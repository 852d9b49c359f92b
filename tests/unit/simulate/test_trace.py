"""Reading traces, and finding the gaps of a collection."""

import gzip

import numpy as np
import pytest

from modelfleet.simulate.trace import Trace, TraceError, gaps, read_fleet, read_trace

RATES = "t_seconds,requests_per_second,tokens\n0,2,7\n5,0.4,7\n10,0,7\n"


def written(folder, text, name="x.csv"):
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
def test_rates_become_counts(tmp_path, name):
    trace = read_trace(written(tmp_path, RATES, name))
    assert (trace.name, trace.seconds, trace.bin_seconds) == ("x", 15, 5)
    assert trace.counts.tolist() == [10, 2, 0]


def test_one_row_for_each_request(tmp_path):
    trace = read_trace(written(tmp_path, "t_seconds,tokens\n3.5,1\n0.2,9\n"))
    assert trace.moments.tolist() == [0.2, 3.5]
    assert trace.seconds == 4


def test_requests_may_bring_their_service_time(tmp_path):
    trace = read_trace(written(tmp_path, "t_seconds,execution_seconds\n1,4\n0,2\n"))
    assert trace.work_seconds.tolist() == [2, 4]
    assert trace.mean_work_seconds() == 3


def test_fleet_is_split_by_model(tmp_path):
    text = "t_seconds,model,execution_seconds\n9,b,1\n0,a,2\n4,b,3\n"
    fleet = read_fleet(written(tmp_path, text))
    assert list(fleet) == ["a", "b"]
    assert fleet["b"].moments.tolist() == [4, 9]
    assert fleet["b"].work_seconds.tolist() == [3, 1]
    assert fleet["a"].seconds == fleet["b"].seconds == 10


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,requests_per_second\n0,1\n", "line 1: column 't_seconds' is missing"),
        ("t_seconds,requests_per_second\n0,1\n5,x\n", "line 3, column requests_per_second: 'x'"),
        (
            "t_seconds,requests_per_second\n0,1\n5\n",
            "line 3, column requests_per_second: 'nothing'",
        ),
        ("t_seconds,requests_per_second\n0,1\n5,-1\n", "line 3, column requests_per_second: -1"),
        ("t_seconds,requests_per_second\n0,1\n5,1\n9,1\n", "line 4, column t_seconds: bins"),
        ("t_seconds,requests_per_second\n0,1\n", "at least two rows"),
        ("t_seconds,requests_per_second\n-5,1\n0,1\n", "line 2, column t_seconds: -5"),
        ("t_seconds\n1\n-3\n", "line 3, column t_seconds: -3; must be 0 or more"),
        ("t_seconds\n0\n40000000\n", "t_seconds: the times span 463 days, at most 366"),
        ("t_seconds\n1700000000000\n1700086400000\n", "are they in seconds"),
        ("t_seconds\n", "no rows"),
        ("", "column 't_seconds' is missing"),
    ],
)
def test_faults_are_named_by_line_and_column(tmp_path, text, message):
    with pytest.raises(TraceError, match=message):
        read_trace(written(tmp_path, text))


def test_missing_file(tmp_path):
    with pytest.raises(TraceError, match="no such file"):
        read_trace(tmp_path / "none.csv")


def test_unix_times_begin_with_the_minute_of_the_first_request(tmp_path):
    """A day after 1970 counted as 19,000 days of silence."""
    trace = read_trace(written(tmp_path, "t_seconds\n1700000095\n1700000030.5\n"))
    assert trace.moments.tolist() == [50.5, 115]
    assert trace.seconds == 116
    text = "t_seconds,model,execution_seconds\n1700000095,a,1\n1700000030,b,2\n"
    fleet = read_fleet(written(tmp_path, text))
    assert (fleet["a"].moments.tolist(), fleet["b"].moments.tolist()) == ([115], [50])


def test_other_times_begin_at_zero(tmp_path):
    assert read_trace(written(tmp_path, "t_seconds\n90\n95\n")).moments.tolist() == [90, 95]


def test_byte_order_mark_of_a_spreadsheet_is_no_name(tmp_path):
    assert read_trace(written(tmp_path, "\ufeff" + RATES)).seconds == 15


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(RATES.encode())[:-12], "cut off"),
        (gzip.compress(b"")[:10] + b"\x07" * 90, "damaged"),
        (RATES.encode(), "not a complete gzip file"),
        (gzip.compress(RATES.encode("utf-16")), "not text in UTF-8"),
        (gzip.compress((RATES + '"' + "x" * 140_000).encode()), "field larger"),
    ],
    # A compressed file holds the time, and no test's name may change from second to second.
    ids=lambda value: value if isinstance(value, str) else "file",
)
def test_file_that_cannot_be_read_is_named(tmp_path, content, message):
    path = tmp_path / "x.csv.gz"
    path.write_bytes(content)
    with pytest.raises(TraceError, match=rf"x\.csv\.gz: .*{message}"):
        read_trace(path)


def test_folder_is_no_missing_file(tmp_path):
    with pytest.raises(TraceError, match="is a directory"):
        read_trace(tmp_path)


def test_forbidden_file_is_no_missing_file(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(TraceError, match="may not be read"):
        read_trace(tmp_path / "x.csv")


def test_short_row_of_a_fleet_is_named(tmp_path):
    path = written(tmp_path, "t_seconds,execution_seconds,model\n0,1,a\n1,2\n")
    with pytest.raises(TraceError, match="line 3, column model: nothing"):
        read_fleet(path)


def busy(*silences, seconds=20_000, rate=5.0):
    """Constant traffic with silences (begin, end)."""
    counts = np.full(seconds // 5, rate * 5)
    for begin, end in silences:
        counts[begin // 5 : end // 5] = 0
    return Trace("busy", seconds, 5.0, counts)


def test_ten_minutes_of_zeros_in_busy_traffic_are_a_gap():
    assert gaps(busy((1000, 1600), (5000, 5300))) == [(1000, 1600)]


def test_an_idle_service_has_no_gaps():
    assert gaps(busy((1000, 1600), rate=0.05)) == []


def test_when_silence_is_frequent_it_is_the_nature_of_the_service():
    silences = [(begin, begin + 600) for begin in range(0, 18_000, 3000)]
    assert gaps(busy(*silences)) == []


def test_rebinning_keeps_the_requests():
    trace = Trace("x", 20, 5.0, np.array([1.0, 2, 3, 4]))
    assert trace.binned(10).tolist() == [3, 7]
    moments = Trace("y", 20, moments=np.array([0.0, 9, 10, 19.5]))
    assert moments.binned(10).tolist() == [2, 2]
