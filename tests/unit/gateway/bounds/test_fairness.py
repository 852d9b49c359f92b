"""Who gets how much of an overloaded model."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.facts.traffic import GatewaySample, ModelSample, VersionSample
from modelfleet.gateway.bounds.fairness import CALM_SECONDS, Shares, fair_share
from modelfleet.gateway.xds.builders import sharing

MODEL = "team-a/churn"


@pytest.mark.parametrize(
    ("rates", "capacity", "share"),
    [
        ([10, 100, 400], 100, 45),
        ([10, 20], 100, None),
        ([50, 50], 100, None),
        ([60, 60], 100, 50),
        ([], 100, None),
        ([500], 100, 100),
        ([1, 1, 1, 97.5], 100, 97),
    ],
)
def test_share(rates, capacity, share):
    assert fair_share(rates, capacity) == share


@given(st.lists(st.floats(0.1, 1e4), max_size=30), st.floats(1, 1e4))
def test_a_share_uses_the_whole_capacity_and_favours_nobody(rates, capacity):
    share = fair_share(rates, capacity)
    if share is None:
        assert sum(rates) <= capacity * (1 + 1e-9)
    else:
        assert sum(min(rate, share) for rate in rates) == pytest.approx(capacity)


class World:
    """One model of which 100 requests a second can be answered."""

    def __init__(self) -> None:
        self.now = 0.0
        self.shares = Shares(lambda: self.now)
        self.known: tuple[float, bool] | None = (100.0, True)

    def second(self, clients: Mapping[str, int], refused: int = 1) -> list[str]:
        self.now += 1.0
        seen = ModelSample({"churn-v1": VersionSample(refused=refused)})
        watched = {MODEL: clients} if MODEL in self.shares.watched else {}
        sample = GatewaySample("g", 1.0, {MODEL: seen})
        return self.shares.after(sample, watched, lambda _: self.known)


HEAVY = {"light": 10, "heavy": 400}


def test_clients_are_watched_only_while_a_model_refuses():
    world = World()
    assert world.second(HEAVY, refused=0) == []
    assert world.shares.watched == frozenset()
    world.second(HEAVY)
    assert world.shares.watched == {MODEL}


def test_heavy_clients_share_what_light_ones_leave():
    world = World()
    world.second(HEAVY)
    assert world.second(HEAVY) == [MODEL]
    assert world.shares.share(MODEL) == pytest.approx(0.97 * 100 - 10)
    assert world.second(HEAVY) == [], "nothing new"


def test_without_waits_more_is_let_in_until_they_come_back():
    world = World()
    for _ in range(3):
        world.second(HEAVY)
    tight = world.shares.share(MODEL)
    world.known = (100.0, False)
    for _ in range(20):
        world.second(HEAVY)
    loose = world.shares.share(MODEL)
    assert tight is not None
    assert loose is not None
    assert loose > 1.2 * tight
    world.known = (100.0, True)
    world.second(HEAVY)
    assert world.shares.share(MODEL) == pytest.approx(tight)


def test_one_client_alone_has_nobody_to_share_with():
    world = World()
    for _ in range(3):
        world.second({"heavy": 400})
    assert world.shares.share(MODEL) is None


def test_nothing_is_shared_while_the_pace_is_unknown():
    world = World()
    world.known = None
    for _ in range(3):
        world.second(HEAVY)
    assert world.shares.share(MODEL) is None


def test_when_the_heavy_client_stops_everybody_is_free_at_once():
    world = World()
    for _ in range(6):
        world.second({"light": 40, "mid": 50, "heavy": 400})
    assert world.shares.share(MODEL) is not None
    assert world.second({"light": 40, "mid": 50}) == [MODEL]
    assert world.shares.share(MODEL) is None


def test_sharing_ends_with_the_refusals():
    world = World()
    for _ in range(3):
        world.second(HEAVY)
    for _ in range(int(CALM_SECONDS) + 1):
        world.second(HEAVY, refused=0)
    assert world.shares.share(MODEL) is None
    assert world.shares.watched == frozenset()


@pytest.mark.parametrize(
    ("share", "tokens", "interval"), [(45.0, 45, "1.000s"), (0.25, 1, "4.000s"), (2.6, 3, "1.154s")]
)
def test_a_bucket_gives_the_share(share, tokens, interval):
    bucket = sharing(share)["descriptors"][0]["token_bucket"]
    assert (bucket["tokens_per_fill"], bucket["fill_interval"]) == (tokens, interval)
