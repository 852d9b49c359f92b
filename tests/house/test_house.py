"""The house rules of CONTRIBUTING that no linter knows."""

import ast
import statistics
import tomllib
from pathlib import Path

import pytest
import yaml

from modelfleet import __version__
from modelfleet.api.reasons import Reason
from modelfleet.cli.verbs.reference import pages
from modelfleet.settings import Settings

ROOT = Path(__file__).parents[2]
PRODUCT = ROOT / "operator" / "modelfleet"
SOURCES = sorted(p for p in PRODUCT.rglob("*.py"))
CHECKED = sorted({*SOURCES, *(ROOT / "tests").rglob("*.py")})
BANNED_NAMES = {"utils", "helpers", "common", "manager", "misc"}
MAX_LINES, MAX_FUNCTION_LINES, MAX_PARAMETERS = 400, 60, 6
REGISTRY_HOSTS = ("py" + "pi.org", "python" + "hosted", "golang" + ".org/x", "deb." + "debian")


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text())
    return [n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_operator_folder_is_no_package():
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_makefile_names_tests_that_exist():
    """`make unit` named a folder that was gone, and nobody noticed."""
    words = (ROOT / "Makefile").read_text().split()
    named = {word for word in words if word.startswith("tests/")}
    assert named
    assert [word for word in sorted(named) if not (ROOT / word).exists()] == []


@pytest.mark.parametrize("path", CHECKED, ids=lambda p: str(p.relative_to(ROOT)))
def test_file_keeps_the_sizes(path):
    assert len(path.read_text().splitlines()) <= MAX_LINES
    assert path.stem not in BANNED_NAMES
    for node in functions(path):
        assert length(node) <= MAX_FUNCTION_LINES, f"{node.name} has {length(node)} lines"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PRODUCT)))
def test_functions_take_few_positional_parameters(path):
    for node in functions(path):
        names = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
        own = [n for n in names if n not in {"self", "cls"}]
        assert len(own) <= MAX_PARAMETERS, f"{node.name}{tuple(own)}"


def test_functions_are_short_as_a_rule():
    lengths = sorted(length(node) for path in SOURCES for node in functions(path))
    assert statistics.median(lengths) <= 12
    assert lengths[int(len(lengths) * 0.9)] <= 35


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PRODUCT)))
def test_module_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


@pytest.mark.parametrize("reason", Reason)
def test_reason_is_documented(reason):
    assert reason.text.endswith(".")


def test_every_setting_is_documented():
    for name, field in Settings.model_fields.items():
        assert field.description, name


@pytest.mark.parametrize("name", sorted(pages()))
def test_reference_page_is_current(name):
    assert (ROOT / "docs" / "reference" / name).read_text().endswith(pages()[name])


def test_locks_have_hashes_and_no_addresses():
    for lock in (ROOT / "requirements").glob("*.txt"):
        text = lock.read_text()
        assert "--hash=sha256:" in text
        assert "://" not in text
    assert not (ROOT / "uv.lock").exists()


def test_no_registry_is_named():
    # Folders that a running cluster changes are not even walked.
    tops = [top for top in ROOT.iterdir() if not _is_ignored(top)]
    below = [path for top in tops for path in ([top] if top.is_file() else top.rglob("*"))]
    tracked = [path for path in below if path.is_file() and not _is_ignored(path)]
    assert tracked
    for path in tracked:
        text = path.read_text(errors="ignore")
        assert not any(host in text for host in REGISTRY_HOSTS), path


def _is_ignored(path: Path) -> bool:
    parts = path.relative_to(ROOT).parts
    names = {"build", ".venv", ".git", "go.mod", "go.sum", "__pycache__"}
    return bool(names & set(parts)) or path.name.startswith(".") or "_cache" in str(path)


def test_extras_hold_what_their_images_need():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert not any("kopf" in line for line in (*extras["gateway"], *extras["server"]))


def test_fits_of_the_operator_leave_the_node_to_who_serves():
    parts = yaml.safe_load_all((ROOT / "manifests" / "base" / "operator.yaml").read_text())
    pod = next(part for part in parts if part["kind"] == "Deployment")["spec"]["template"]
    env = {one["name"]: one.get("value") for one in pod["spec"]["containers"][0]["env"]}
    assert env["OPENBLAS_NUM_THREADS"] == "1"


def test_all_images_are_of_this_version():
    base = yaml.safe_load((ROOT / "manifests" / "base" / "kustomization.yaml").read_text())
    tags = {one["name"]: one["newTag"] for one in base["images"]}
    name, _, tag = str(Settings.model_fields["server_image"].default).partition(":")
    for image in ("modelfleet/operator", "modelfleet/agent", name):
        assert {**tags, name: tag}[image] == __version__
        assert f"/{image}:{__version__} " in (ROOT / "README.md").read_text()


def test_settings_in_manifests_exist():
    known = {f"MODELFLEET_{name.upper()}" for name in Settings.model_fields}
    local = yaml.safe_load((ROOT / "manifests" / "local" / "kustomization.yaml").read_text())
    for generator in local["configMapGenerator"]:
        for literal in generator["literals"]:
            assert literal.split("=", 1)[0] in known
