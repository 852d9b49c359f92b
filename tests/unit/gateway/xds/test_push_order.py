"""The rules of the push order, also under random interleavings."""

from hypothesis import given, settings
from hypothesis import strategies as st

from modelfleet.gateway.xds.desired import DesiredResources
from modelfleet.gateway.xds.push_order import CLUSTER, ENDPOINTS, ROUTES, VIRTUAL_HOST, PushOrder
from modelfleet.gateway.xds.resources import PUSH_TYPES, EnvoyResource


def cluster(name: str, version: str = "1") -> EnvoyResource:
    return EnvoyResource(CLUSTER, name, version, b"")


def fed(name: str, version: str = "1") -> EnvoyResource:
    return EnvoyResource(ENDPOINTS, name, version, b"")


def host(name: str, *needs: str, version: str = "1") -> EnvoyResource:
    return EnvoyResource(
        VIRTUAL_HOST,
        name,
        version,
        b"",
        owner=name,
        needs=frozenset(needs),
        needs_endpoints=frozenset(needs),
    )


class Envoy:
    """Takes what it is sent, and checks that it never has a host without its clusters."""

    def __init__(self, wanted: DesiredResources, bad: frozenset[str] = frozenset()) -> None:
        self.order = PushOrder(wanted)
        self.has: dict[str, dict[str, EnvoyResource]] = {kind: {} for kind in PUSH_TYPES}
        self.asked: set[str] = set()
        self.bad = bad
        for kind in PUSH_TYPES:
            self.order.subscribe(kind, (), {}, ())

    def turn(self, kind: str) -> bool:
        """One response and its answer."""
        push = self.order.next(kind)
        if push is None:
            return False
        if any(resource.name in self.bad for resource in push.resources):
            self.order.refused(kind, push.nonce, "bad")
            return True
        for resource in push.resources:
            self.has[kind][resource.name] = resource
        for name in push.removed:
            del self.has[kind][name]
        self._check()
        self.order.accepted(kind, push.nonce)
        if kind == CLUSTER:
            self._subscribe()
        return True

    def _subscribe(self) -> None:
        now = set(self.has[CLUSTER])
        self.order.subscribe(ENDPOINTS, tuple(now - self.asked), {}, tuple(self.asked - now))
        self.asked = now

    def _check(self) -> None:
        for seen in self.has[VIRTUAL_HOST].values():
            assert seen.needs <= set(self.has[CLUSTER])
            assert seen.needs <= set(self.has[ENDPOINTS])

    def settle(self) -> None:
        """Until nothing is due."""
        for _ in range(100):
            moved = [self.turn(kind) for kind in PUSH_TYPES]
            if not any(moved):
                return
        raise AssertionError("never settles")


def wanted_of(*resources: EnvoyResource) -> DesiredResources:
    made = DesiredResources()
    made.put(EnvoyResource(ROUTES, "cluster", "1", b""))
    for resource in resources:
        made.put(resource)
    return made


def test_a_host_waits_for_clusters_and_endpoints() -> None:
    envoy = Envoy(wanted_of(cluster("a"), fed("a"), host("h", "a")))
    assert envoy.order.next(VIRTUAL_HOST) is None
    envoy.settle()
    assert set(envoy.has[VIRTUAL_HOST]) == {"h"}
    assert envoy.order.is_complete()


def test_a_cluster_stays_until_its_host_has_gone() -> None:
    wanted = wanted_of(cluster("a"), fed("a"), host("h", "a"), cluster("b"), fed("b"))
    envoy = Envoy(wanted)
    envoy.settle()
    wanted.drop(CLUSTER, "a")
    assert envoy.order.next(CLUSTER) is None
    wanted.put(host("h", "b", version="2"))
    envoy.settle()
    assert set(envoy.has[CLUSTER]) == {"b"}


def test_a_changed_cluster_gets_its_endpoints_again() -> None:
    wanted = wanted_of(cluster("a"), fed("a"))
    envoy = Envoy(wanted)
    envoy.settle()
    wanted.put(cluster("a", "2"))
    assert envoy.turn(CLUSTER)
    push = envoy.order.next(ENDPOINTS)
    assert push is not None
    assert [resource.name for resource in push.resources] == ["a"]


def test_of_several_refused_only_the_bad_one_is_left_out() -> None:
    wanted = wanted_of(
        *(part for name in "abc" for part in (cluster(name), fed(name), host(f"h{name}", name)))
    )
    envoy = Envoy(wanted, frozenset({"hb"}))
    envoy.settle()
    assert set(envoy.has[VIRTUAL_HOST]) == {"ha", "hc"}
    assert envoy.order.is_complete()
    envoy.bad = frozenset()
    wanted.put(host("hb", "b", version="2"))
    envoy.settle()
    assert set(envoy.has[VIRTUAL_HOST]) == {"ha", "hb", "hc"}


def test_a_bad_cluster_leaves_out_its_model_only() -> None:
    wanted = wanted_of(
        *(part for name in "ab" for part in (cluster(name), fed(name), host(f"h{name}", name)))
    )
    envoy = Envoy(wanted, frozenset({"b"}))
    envoy.settle()
    assert set(envoy.has[VIRTUAL_HOST]) == {"ha"}
    assert envoy.order.is_complete()


def test_an_old_answer_changes_nothing() -> None:
    order = PushOrder(wanted_of(cluster("a")))
    order.subscribe(CLUSTER, (), {}, ())
    push = order.next(CLUSTER)
    assert push is not None
    assert order.accepted(CLUSTER, "99") is None
    assert order.next(CLUSTER) is None
    assert order.accepted(CLUSTER, push.nonce) is push


def test_what_envoy_has_already_is_not_sent_again() -> None:
    wanted = wanted_of(cluster("a"), cluster("b", "2"))
    order = PushOrder(wanted)
    order.subscribe(CLUSTER, (), {"a": "1", "b": "1", "old": "1"}, ())
    order.subscribe(VIRTUAL_HOST, (), {}, ())
    push = order.next(CLUSTER)
    assert push is not None
    assert [resource.name for resource in push.resources] == ["b"]
    assert push.removed == ("old",)


ACTIONS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c", "d"]), st.integers(0, 9), st.integers(0, 3)),
    max_size=40,
)


@settings(max_examples=200)
@given(ACTIONS, st.lists(st.sampled_from(PUSH_TYPES), min_size=200, max_size=200))
def test_no_interleaving_leaves_a_host_without_its_clusters(
    actions: list[tuple[str, int, int]], turns: list[str]
) -> None:
    """Each action moves the one host to another cluster and drops the others at once."""
    wanted = wanted_of(cluster("a"), fed("a"), host("h", "a"))
    envoy = Envoy(wanted)
    order = iter(turns)
    for name, version, steps in actions:
        wanted.put(cluster(name, str(version)))
        wanted.put(fed(name, str(version)))
        wanted.put(host("h", name, version=f"{name}{version}"))
        for other in {"a", "b", "c", "d"} - {name}:
            wanted.drop(CLUSTER, other)
            wanted.drop(ENDPOINTS, other)
        for _ in range(steps):
            envoy.turn(next(order))
    envoy.settle()
    assert envoy.order.is_complete()
    assert len(envoy.has[CLUSTER]) == 1
