"""Names, help and units of all metrics are as Prometheus wants them, and they are few."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.monitoring import exposition
from tests.monitoring.promtool import RULES, promtool

MOST_OF_A_MODEL = 40


@pytest.mark.parametrize("process", exposition.PROCESSES)
def test_metrics_are_clean(process):
    text = exposition.text(process)
    assert text.count("# HELP modelfleet_") > 10, "promtool takes an empty exposition, too"
    assert promtool("check", "metrics", given=text) == (0, "")


def test_a_metric_that_is_not_clean_is_seen():
    text = "# TYPE modelfleet_wait_milliseconds counter\nmodelfleet_wait_milliseconds 1\n"
    code, said = promtool("check", "metrics", given=text)
    assert code != 0
    assert "_total" in said


def test_everything_of_the_reference_is_in_the_expositions():
    families = {
        family.name
        for process in exposition.PROCESSES
        for family in text_string_to_metric_families(exposition.text(process))
    }
    assert families >= {name.removesuffix("_total") for name in exposition.documented()}


def test_a_model_has_few_series():
    """Of the operator, of one gateway with all that can happen to one version, and recorded."""
    operator, agent = (
        sum(
            sample.labels.get("model") == "digits"
            for family in text_string_to_metric_families(exposition.text(process))
            for sample in family.samples
        )
        for process in exposition.PROCESSES
    )
    recorded = RULES.read_text().count("- record: model:")
    assert (operator, agent, recorded) == (18, 11, 2)
    assert operator + agent + recorded <= MOST_OF_A_MODEL
