from modelfleet.gateway.requests.failed_attempts import FailedAttempts


def test_failures_are_remembered_for_a_while() -> None:
    now = [0.0]
    failed = FailedAttempts(lambda: now[0])
    failed.broke("s", 1, "a:1")
    failed.was_reset("s", 3, "b:1")
    failed.was_silent("s", 5, "c:1")
    failures = failed.of("s")
    assert (failures.broken, failures.reset, failures.silent) == (("a:1",), ("b:1",), ("c:1",))
    assert (failures.cut_off, failures.attempt) == (2, 5)
    now[0] = 200.0
    failed.never_arrived("t", 1)
    assert failed.of("s").cut_off == 0
    assert (failed.of("t").cut_off, failed.of("t").attempt) == (0, 1)


def test_one_death_counts_once_however_often_it_breaks_a_request_off() -> None:
    now = [10.0]
    failed = FailedAttempts(lambda: now[0])
    for later in (0.0, 0.0, 0.05):
        now[0] = 10.0 + later
        failed.broke("s", 1, "a:1")
    assert failed.of("s").cut_off == 1
    now[0] = 10.6
    failed.broke("s", 3, "a:1")
    assert failed.of("s").cut_off == 2, "started again, and dead again"


def test_who_waits_for_an_end_is_told() -> None:
    failed, told = FailedAttempts(lambda: 0.0), []
    failed.on_end = told.append
    failed.never_arrived("s", 1)
    assert told == ["s"]
