"""The command lines and configuration of the native cluster."""

import json
import re

import pytest

from tests.cluster.native import build, layout
from tests.cluster.native.certificates import CLIENTS, INTERNAL, SERVERS, plan
from tests.cluster.native.components import components, forwarder
from tests.cluster.native.configuration import files
from tests.cluster.native.forwarding import STANDARD, service_target

FILES = files("/plugins", "modelfleet-test")


def test_every_program_is_built_or_a_package():
    names = {each.argv[0] for each in components()}
    assert names - set(build.PROGRAMS) == {"containerd"}


def test_every_flag_is_given_once():
    for component in components():
        flags = [each.partition("=")[0] for each in component.argv[1:]]
        assert sorted(flags) == sorted(set(flags)), component.name


def test_every_file_that_is_named_is_written():
    named = {
        path
        for component in components()
        for argument in component.argv
        for path in re.findall(rf"{layout.CONFIG}/(\S+)", argument)
    }
    written = set(FILES) | {f"{each.name}.kubeconfig" for each in CLIENTS}
    assert named <= written


def test_every_key_that_is_named_is_made():
    texts = [" ".join(each.argv) for each in components()] + list(FILES.values())
    named = set(re.findall(rf"{layout.PKI}/([a-z-]+)\.(?:crt|key|pub)", " ".join(texts)))
    made = {each.name for each in (*CLIENTS, *INTERNAL, *SERVERS)}
    assert named <= made | {"ca", "front-proxy-ca", "service-account"}


@pytest.mark.parametrize(
    "flag",
    [
        "--kube-api-qps=300",
        "--kube-api-burst=600",
        "--concurrent-deployment-syncs=20",
        "--concurrent-service-endpoint-syncs=20",
    ],
)
def test_controllers_are_not_what_limits_a_test_of_scale(flag):
    argv = {each.name: each.argv for each in components()}
    assert flag in argv["kube-controller-manager"]


def test_kubelet_puts_all_pods_into_our_control_group():
    assert json.loads(FILES["kubelet.yaml"])["cgroupRoot"] == "/modelfleet-test"


def test_audit_logs_who_wrote_what():
    assert json.loads(FILES["audit-policy.yaml"])["rules"] == [{"level": "Metadata"}]


def test_server_certificate_names_every_way_in():
    hosts = next(each["hosts"] for each in json.loads(plan("x"))["certificates"])
    assert {"127.0.0.1", layout.NODE_ADDRESS, layout.FIRST_SERVICE_ADDRESS} <= set(hosts)


def test_forwarder_looks_complete_names_up():
    assert service_target("a", "b", 80) == "b.a.svc.cluster.local.:80"
    argv = forwarder("forward", {4: "b:80", 3: "a:6443"}).argv
    assert argv[-2:] == ("3=a:6443", "4=b:80")


def test_gateway_is_where_the_documentation_says():
    assert STANDARD["modelfleet-system/modelfleet-gateway-external:80"][0] == 8080


def test_linker_flags_carry_the_version():
    flags = build.linker_flags("1.34.4")
    assert "-X k8s.io/component-base/version.gitVersion=v1.34.4" in flags
    assert "-X k8s.io/client-go/pkg/version.gitMinor=34" in flags


def test_time_left_is_not_guessed_at_the_start_and_is_nothing_at_the_end():
    assert build.seconds_left(0.01, 3) is None
    assert build.seconds_left(1.0, 360) == 0
    assert build.seconds_left(0.0, 0.0) is None


def test_the_largest_packages_come_last():
    left = build.seconds_left(0.91, 270)
    assert left is not None
    assert 80 < left < 110
