"""The simulator holds no policy of ours: it drives the engine's tick."""

import ast
from pathlib import Path

import pytest

import modelfleet.simulate

ROOT = Path(modelfleet.simulate.__file__).parent
SEAMS = {"shipped_scaler.py", "replay.py"}
POLICY = (
    "modelfleet.core",
    "modelfleet.engine",
    "modelfleet.catalog",
    "modelfleet.prometheus",
)
FILES = sorted(ROOT.rglob("*.py"))


def imports(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {n.module or "" for n in nodes if isinstance(n, ast.ImportFrom)}
    return names | {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_seam_reaches_the_engine(path):
    ours = {name for name in imports(path) if name.startswith(POLICY)}
    assert not ours or path.name in SEAMS


def test_the_seam_drives_the_shipped_tick():
    assert "modelfleet.engine.scaling.tick" in imports(ROOT / "shipped_scaler.py")


def test_numba_is_imported_in_one_place():
    assert [p.name for p in FILES if "numba" in imports(p)] == ["compiled.py"]
