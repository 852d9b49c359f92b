"""Which provider is taken on which machine, and what is said where none fits."""

from dataclasses import replace

import pytest

from tests.cluster.base import ClusterError
from tests.cluster.choose import Machine, choose

BARE = Machine(
    docker_answers=False,
    kind_found=False,
    is_linux=True,
    is_root=False,
    go_found=False,
    kubeconfig=None,
)
LAPTOP = replace(BARE, docker_answers=True, kind_found=True)
BUILDER = replace(BARE, is_root=True, go_found=True)
REMOTE = replace(BARE, kubeconfig="somewhere")


@pytest.mark.parametrize(
    ("expected", "wanted", "machine"),
    [
        ("kind", None, LAPTOP),
        ("native", None, BUILDER),
        ("kind", None, replace(LAPTOP, is_root=True, go_found=True)),
        ("native", "native", replace(LAPTOP, is_root=True, go_found=True)),
        ("existing", "existing", REMOTE),
    ],
)
def test_takes_the_provider_that_fits(expected, wanted, machine):
    assert choose(wanted, machine) == expected


@pytest.mark.parametrize(
    ("said", "wanted", "machine"),
    [
        ("nearest is native, which needs Go", None, replace(BARE, is_root=True)),
        ("nearest is kind, which needs the program kind", None, replace(BARE, docker_answers=True)),
        ("CLUSTER=native needs to be root and Go", "native", BARE),
        ("CLUSTER=existing needs KUBECONFIG to be set", "existing", LAPTOP),
        ("CLUSTER=minikube is unknown", "minikube", LAPTOP),
        # Somebody else's cluster is never taken unasked.
        ("no local cluster fits", None, REMOTE),
    ],
)
def test_says_what_is_missing(said, wanted, machine):
    with pytest.raises(ClusterError, match=said):
        choose(wanted, machine)
