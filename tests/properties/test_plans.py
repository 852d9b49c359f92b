"""Properties of plans under any order of edits, grants, crashes, silence and operator deaths."""

from hypothesis import given, settings
from hypothesis import strategies as st

from modelfleet.core.model.decide import decide
from tests.given import KEY, spec_of
from tests.sequences.world import World

ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("edit"), st.sampled_from(["a", "b", "c"])),
        st.tuples(st.just("grant"), st.integers(0, 5)),
        st.tuples(st.just("cut"), st.integers(0, 4)),
        st.tuples(st.just("crash"), st.integers(1, 3)),
        st.tuples(st.just("silence"), st.booleans()),
        st.tuples(st.just("run"), st.integers(1, 12)),
    ),
    max_size=14,
)
SETTINGS = settings(max_examples=120, derandomize=True)


def world_of(seed: int) -> World:
    spec = spec_of(scaling={"minReplicas": 0, "maxReplicas": 5})
    return World(seed=seed, start_steps=2, lag=0.4, spec=spec)


def play(world: World, actions: list[tuple[str, object]]) -> None:
    for name, value in actions:
        if name == "edit":
            world.edit(str(value))
        elif name == "grant":
            world.grant = int(value)
        elif name == "cut":
            world.turn(cut=int(value))
        elif name == "crash":
            world.crash(f"digits-v{value}")
        elif name == "silence":
            world.gateways["gw-1"].is_silent = bool(value)
        elif name == "run":
            world.run(int(value))


@SETTINGS
@given(st.integers(0, 1000), ACTIONS)
def test_no_gateway_ever_sends_to_a_pod_that_we_ended(seed, actions):
    world = world_of(seed)
    play(world, actions)
    world.run(10)
    assert world.lost == []


@SETTINGS
@given(st.integers(0, 1000), ACTIONS)
def test_the_world_comes_to_rest_where_the_spec_wants_it(seed, actions):
    world = world_of(seed)
    play(world, actions)
    world.gateways["gw-1"].is_silent = False
    world.grant = 2
    world.run(120)
    plan = decide(world.facts())
    wanted = next(v for v in world.facts().versions if v.name == world.status.stable)
    assert world.status.candidate is None
    assert wanted.replicas == 2
    assert sum(world.replicas.values()) == 2
    left = {f"Service/{KEY.name}", f"Deployment/{wanted.name}", f"Service/{wanted.name}"}
    left.add(f"PodDisruptionBudget/{KEY.name}-replicas")
    assert set(world.children) == left
    before = world.writes
    world.run(5)
    assert world.writes == before, "a settled world is written to"
    assert not plan.scales


@SETTINGS
@given(st.integers(0, 1000), ACTIONS)
def test_version_numbers_are_used_once(seed, actions):
    world = world_of(seed)
    play(world, actions)
    assert len(world.version_numbers) == len(set(world.version_numbers))


@SETTINGS
@given(st.integers(0, 1000), ACTIONS)
def test_same_facts_give_the_same_plan(seed, actions):
    world = world_of(seed)
    play(world, actions)
    assert decide(world.facts()) == decide(world.facts())
