"""The report passes only a whole run, and says what is missing."""

from tests.demo.report import PHASES, Report


def whole(**changes):
    total = {"sent": 100, "ok": 100, "failed": 0, "reasons": {}, "versions": {"digits-v1": 100}}
    report = Report(
        phases=dict.fromkeys(PHASES, 1.0),
        load={"total": total},
        gateways={"2xx": 101},
        others_requests=1,
        versions={"digits-v1": "one"},
        pod_starts=[1.0, 2.0, 9.0],
    )
    for name, value in changes.items():
        setattr(report, name, value)
    return report


def test_a_whole_run_passes():
    assert whole().faults() == []
    assert whole().to_json()["passed"] is True


def test_a_failed_request_fails_the_run_with_its_reason():
    total = {"sent": 100, "failed": 2, "reasons": {"status 503": 2}}
    assert whole(load={"total": total}).faults() == ["2 of 100 requests failed: 2 x status 503"]


def test_a_phase_that_did_not_happen_is_named():
    phases = dict.fromkeys(PHASES, 1.0)
    del phases["wake"]
    assert whole(phases=phases).faults() == ["phase 'wake' did not happen"]


def test_other_counts_of_the_gateways_fail_the_run():
    assert "counted 99 requests" in whole(gateways={"2xx": 99}).faults()[0]


def test_without_the_generators_report_nothing_passes():
    assert "the load generator left no report" in whole(load={}).faults()


def test_an_error_is_said_first():
    assert whole(error="waited 90 s").faults()[0] == "waited 90 s"


def test_what_was_not_measured_is_null():
    found = Report().to_json()
    names = ("requests", "failed", "max_replicas", "rollout_seconds", "wake_seconds")
    assert [found[name] for name in (*names, "pod_start_seconds")] == [None] * 6
    assert dict(Report().lines())["wake from zero"] == "unknown"


def test_the_keys_that_were_promised_are_there():
    found = whole(rollout_seconds=12.3456, wake_seconds=3.0, max_replicas=4).to_json()
    assert found["requests"] == 100
    assert found["envoy_requests"] == 101
    assert found["rollout_seconds"] == 12.346
    assert found["pod_start_seconds"] == 2.0
    assert found["versions"] == {"digits-v1": {"model": "one", "answers": 100}}


def loaded(**phases):
    total = {"sent": 100, "failed": 0, "reasons": {}, "versions": {}, "late_ms": {"p95": 2.0}}
    return {
        "total": total,
        "phases": {
            name.replace("_", " "): {
                "sent": sent,
                "within_objective": within,
                "latency_ms": {"p95": 250.0},
            }
            for name, (within, sent) in phases.items()
        },
    }


def test_late_answers_fail_the_run_and_the_phase_is_named():
    late = whole(
        load=loaded(scale_up=(95, 100), roll_out=(60, 100)), rates={"objective_milliseconds": 100}
    )
    assert late.within() == 0.775
    (fault,) = late.faults()
    assert fault == (
        "only 77.5% of the answers were within the objective of 100 ms (90% must be): "
        "roll out 60 of 100 (p95 250 ms); the generator itself was 2.0 ms late (p95)"
    )


def test_nine_of_ten_in_time_are_enough():
    assert whole(load=loaded(scale_up=(90, 100))).faults() == []


def test_the_first_start_and_the_wake_are_not_promised():
    load = loaded(first_answer=(0, 50), wake=(0, 50), roll_out=(99, 100))
    assert whole(load=load).faults() == []
    assert whole(load=load).to_json()["within_objective_by_phase"] == {"roll out": 0.99}


def test_a_request_that_failed_was_not_in_time():
    assert whole(load=loaded(roll_out=(0, 10))).within() == 0
