"""Runtimes: the container of a version."""

import pytest

from modelfleet.catalog.runtimes import RUNTIMES
from modelfleet.catalog.runtimes.onnx import OnnxRuntime
from modelfleet.server.serve_command import _options
from tests.given import spec_of


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({}, 60),
        ({"traffic": {"requestTimeoutSeconds": 3600}}, 3600),
        ({"runtime": {"shutdownSeconds": 7}}, 7),
        ({"runtime": {"shutdownSeconds": 7}, "traffic": {"requestTimeoutSeconds": 90}}, 7),
    ],
)
def test_the_own_server_finishes_requests_for_as_long_as_the_pod_may(fields, seconds):
    args = OnnxRuntime().pod("digits", spec_of(**fields), "server:1").args
    assert _options(list(args[1:])).shutdown_seconds == seconds


def test_an_argument_that_says_the_default_is_left_out():
    assert "--shutdown-seconds" not in OnnxRuntime().pod("digits", spec_of(), "server:1").args


def test_names_are_unique():
    names = [runtime.name for runtime in RUNTIMES]
    assert len(set(names)) == len(names)
