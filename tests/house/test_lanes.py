"""What disturbs others on the cluster says so, and runs alone."""

from pathlib import Path

import pytest

from tests import lanes

ON_CLUSTER = [path for name in ("e2e", "faults") for path in lanes.files(f"tests/{name}")]


@pytest.mark.parametrize("path", ON_CLUSTER, ids=lambda p: p.name)
def test_who_touches_the_installed_product_is_marked_alone(path):
    text = path.read_text()
    touches = "stack.SYSTEM" in text or "tests.e2e.restart" in text
    assert lanes.is_alone(path) == touches


def test_largest_file_begins_first():
    sizes = [path.stat().st_size for path in lanes.files("tests/gateway")]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(
    ("codes", "verdict"), [([0, 0], 0), ([0, 1], 1), ([0, -9], 1), ([0, 5], 1), ([0], 1)]
)
def test_only_files_that_all_ran_and_passed_are_a_pass(monkeypatch, codes, verdict):
    made = lanes.Lanes([Path("a"), Path("b")])
    left = iter(codes)
    monkeypatch.setattr(lanes.Lanes, "_one", lambda *_: next(left))
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    assert made.run(1) == verdict
