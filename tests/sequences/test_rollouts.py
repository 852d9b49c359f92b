"""Whole rollouts and scaling runs through `decide`, step by step, in a virtual world."""

import pytest

from tests.given import spec_of
from tests.sequences.world import World


def served(world: World) -> World:
    """The first version serves with two replicas."""
    world.grant = 2
    world.run(30)
    assert world.status.stable == "digits-v1"
    return world


def story(world: World, steps: int) -> list[str]:
    """Weights and replicas whenever they change."""
    lines: list[str] = []
    for _ in range(steps):
        world.turn()
        world.step()
        route = world.status.route
        weights = {w.version[-2:]: w.weight for w in route.weights} if route else {}
        sizes = {name[-2:]: n for name, n in sorted(world.replicas.items()) if n}
        line = f"{world.status.stable} {weights} {sizes}"
        if not lines or lines[-1] != line:
            lines.append(line)
    return lines


def test_first_start_holds_then_serves():
    world = World(lag=0.0)
    world.grant = 1
    lines = story(world, 20)
    assert "None {'v1': 100} {'v1': 1}" in lines, "routed before it serves, so that it is held"
    assert lines[-1] == "digits-v1 {'v1': 100} {'v1': 1}"


def test_rolling_update_moves_capacity_first_and_empties_the_old_last():
    world = served(World(lag=0.0))
    world.edit("next")
    lines = story(world, 40)
    assert lines[-1] == "digits-v2 {'v2': 100} {'v2': 2}"
    shifted = next(i for i, line in enumerate(lines) if "'v2': 100" in line)
    assert "{'v1': 2, 'v2': 2}" in lines[shifted]
    assert world.lost == []
    assert "Deployment/digits-v1" not in world.children


def test_settled_world_writes_nothing():
    world = served(World(lag=0.0))
    world.edit("next")
    world.run(60)
    before = world.writes
    world.run(30)
    assert world.writes == before


def test_scale_down_and_to_zero_and_back():
    world = World(lag=0.3, spec=spec_of(scaling={"minReplicas": 0, "maxReplicas": 5}))
    world.grant = 4
    world.run(30)
    world.grant = 1
    world.run(20)
    assert world.replicas["digits-v1"] == 1
    world.grant = 0
    world.run(20)
    assert world.replicas["digits-v1"] == 0
    world.held, world.grant = 1, 1
    world.run(10)
    assert world.reachable("digits-v1") == 1
    assert world.lost == []


def test_request_on_hold_keeps_the_last_replica():
    world = World(lag=0.0, spec=spec_of(scaling={"minReplicas": 0}))
    world.grant = 1
    world.run(20)
    world.grant, world.held = 0, 1
    world.run(20)
    assert world.replicas["digits-v1"] == 1


def test_spec_that_goes_back_during_a_rollout_keeps_the_stable_version():
    world = served(World(lag=0.0, start_steps=6))
    world.edit("next")
    world.run(4)
    world.spec = spec_of()
    world.generation += 1
    world.run(60)
    assert world.status.stable == "digits-v1"
    assert world.replicas.get("digits-v2", 0) == 0
    assert world.version_numbers == [1, 2]


def test_return_to_a_version_by_its_spec_makes_no_new_one():
    world = served(World(lag=0.0))
    world.edit("next")
    world.run(60)
    world.spec = spec_of()
    world.generation += 1
    world.run(60)
    assert (world.status.stable, world.version_numbers) == ("digits-v1", [1, 2])


def test_pin_returns_to_a_version_by_name():
    world = served(World(lag=0.0))
    world.edit("next")
    world.run(60)
    world.spec = world.spec.model_copy(update={"version": "digits-v1"})
    world.generation += 1
    world.run(60)
    assert world.status.stable == "digits-v1"


@pytest.mark.parametrize("seed", range(3))
def test_silent_gateway_freezes_the_weights_until_it_speaks(seed):
    world = served(World(seed=seed))
    world.gateways["gw-1"].is_silent = True
    world.edit("next")
    world.run(40)
    route = world.status.route
    assert {w.version: w.weight for w in route.weights}["digits-v1"] == 100
    world.gateways["gw-1"].is_silent = False
    world.run(60)
    assert world.status.stable == "digits-v2"
    assert world.lost == []


@pytest.mark.parametrize("seed", range(3))
def test_refused_route_stops_the_rollout_with_its_words_until_the_spec_is_another(seed):
    world = served(World(seed=seed))
    world.gateways["gw-1"].refuses = "digits-v2"
    world.edit("bad")
    world.run(40)
    assert world.status.stable == "digits-v1"
    assert {w.version: w.weight for w in world.status.route.weights}["digits-v1"] == 100
    found = {c.type: c for c in world.status.conditions}
    assert found["RolledOut"].reason == "RouteRejected"
    assert "gateway gw-1 refuses the route: digits-v2: not valid" in found["RolledOut"].message
    world.edit("good")
    world.run(60)
    assert world.status.stable == "digits-v3"
    assert {c.type: c.reason for c in world.status.conditions}["RolledOut"] == "Complete"
    assert world.lost == []


def test_lost_status_is_found_again_without_touching_pods():
    world = served(World(lag=0.0))
    before = [p.uid for p in world.pods["digits-v1"]]
    world.status = type(world.status)()
    world.run(20)
    assert world.status.stable == "digits-v1"
    assert [p.uid for p in world.pods["digits-v1"]] == before


def test_leader_that_dies_after_every_single_write_gets_to_the_end():
    """Found by the kill campaign: outcomes written before the promotion went to and fro."""
    world = served(World(lag=0.0))
    world.edit("next")
    for _ in range(60):
        unknown = {name: g.acknowledged for name, g in world.gateways.items()}
        for gateway in world.gateways.values():
            gateway.acknowledged = None
        world.turn(cut=1)
        for name, gateway in world.gateways.items():
            gateway.acknowledged = unknown[name]
        world.step()
        world.turn(cut=1)
    world.run(20)
    assert world.status.stable == "digits-v2"
    assert {"Deployment/digits-v1", "Service/digits-v1"}.isdisjoint(world.children)
    assert world.lost == []


def test_a_first_start_without_traffic_is_finished_before_the_model_sleeps():
    world = World(start_steps=30, lag=0.0, spec=spec_of(scaling={"minReplicas": 0}), grant=0)
    granted = set()
    while world.status.stable is None:
        world.turn()
        world.step()
        if world.status.scaling is not None:
            granted.add(world.status.scaling.granted)
    assert granted == {1}
    world.run(10)
    assert world.replicas == {"digits-v1": 0}
    assert world.status.scaling.granted == 0
