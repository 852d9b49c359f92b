"""Liveness: an API server that is away is no reason to start anew, a hang is."""

from modelfleet.engine.loop.operator_health import MAX_STUCK_SECONDS, OperatorHealth


def test_silent_watch_that_makes_attempts_is_well():
    health = OperatorHealth(lambda: 0.0)
    health.watch("Pod", silent_seconds=lambda: float("inf"), stuck_seconds=lambda: 70.0)
    assert health.report() == {}


def test_watch_without_any_progress_is_a_fault():
    health = OperatorHealth(lambda: 0.0)
    stuck = MAX_STUCK_SECONDS + 1
    health.watch("Pod", silent_seconds=lambda: stuck, stuck_seconds=lambda: stuck)
    assert health.report() == {"watch Pod": "watch of Pod is stuck for 181 s"}


def test_turns_that_do_not_move_are_a_fault():
    health = OperatorHealth(lambda: 0.0)
    health.turns(lambda: 200.0)
    assert health.report() == {"queue": "no turn moves for 200 s"}


def test_late_loop_is_a_fault():
    times = iter([0.0, 11.0])
    assert set(OperatorHealth(lambda: next(times)).report()) == {"loop"}
