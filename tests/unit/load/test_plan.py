"""Plans and commands: wrong ones are refused by name; no address outside is ever accepted."""

import pytest

from tests.load.control import Command, read_command
from tests.load.plan import check_target, plan_of
from tests.load.schedule import PlanError, Step

PLAN = {"url": "http://127.0.0.1:8080/", "host": "digits.a.localhost", "questions": "q.json"}


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/x", "http://[::1]/"])
def test_loopback_is_accepted(url):
    check_target(url, in_own_network=False)


@pytest.mark.parametrize(
    "url",
    ["http://10.96.0.1/", "http://8.8.8.8/", "http://localhost/", "http://digits.team-a/", "x"],
)
def test_everything_else_is_refused_on_the_machines_own_network(url):
    with pytest.raises(PlanError, match="url"):
        check_target(url, in_own_network=False)


def test_inside_the_clusters_network_private_addresses_are_accepted_and_no_others():
    check_target("http://10.96.0.1/", in_own_network=True)
    with pytest.raises(PlanError, match=r"8\.8\.8\.8"):
        check_target("http://8.8.8.8/", in_own_network=True)


def test_https_is_refused():
    with pytest.raises(PlanError, match="http://"):
        check_target("https://127.0.0.1/", in_own_network=False)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"retries": 3}, "retries"),
        ({"host": None}, "host"),
        ({"pacing": "bursts"}, "pacing"),
        ({"fresh_share": 2}, "fresh_share"),
        ({"steps": [[1]]}, "steps"),
    ],
)
def test_a_wrong_plan_is_named(change, named):
    with pytest.raises(PlanError, match=named):
        plan_of({**PLAN, **change})


def test_a_plan_has_defaults():
    plan = plan_of(PLAN)
    assert (plan.pacing, plan.stay, plan.steps) == ("poisson", False, ())


def test_a_command_may_say_several_things():
    found = read_command('{"allow": {"v1": "one"}, "steps": [[5, 1, 9]], "phase": "up"}')
    assert found == Command(steps=(Step(5, 1, 9),), allow={"v1": "one"}, phase="up")


@pytest.mark.parametrize(
    "line", ["", "[]", "{}", '{"rate": 5}', '{"once": -1}', '{"allow": ["v1"]}', '{"once": 1e9}']
)
def test_a_wrong_command_is_never_ignored(line):
    with pytest.raises(PlanError):
        read_command(line)
