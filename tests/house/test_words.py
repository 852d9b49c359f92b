"""Names and sentences stay as they are laid down: each allowance here may only shrink."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelfleet.api.reasons import Reason
from modelfleet.settings import Settings

ROOT = Path(__file__).parents[2]
PRODUCT = ROOT / "operator" / "modelfleet"
SOURCES = sorted(PRODUCT.rglob("*.py"))
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
MAX_FOLDER, MAX_README_WORDS = 15, 900
VAGUE = {"found", "one", "told", "made"}
"""Names that say nothing of the value; loops and comprehensions may use them."""
VAGUE_ALLOWED = 0
BANNED = re.compile(
    r"\b(nobody|somebody|anybody|is told|tells? apart|buys?|bought)\b", re.IGNORECASE
)
CITATION = re.compile(r"\brules? \d|\bresearch \d|\bdesign \d|\bthe study\b|\bpromise \d")
MODULE = re.compile(r"`([a-z_]+(?:\.[a-z_]+)+)`")


def docstrings(path: Path) -> Iterator[tuple[str, str]]:
    """Name and docstring of the module, its classes and functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "name", "module"), text


def twice(names: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: places for name, places in names.items() if len(places) > 1}


def place(path: Path) -> str:
    return str(path.relative_to(PRODUCT))


def test_no_two_modules_have_one_name():
    stems = defaultdict(list)
    for path in SOURCES:
        if path.stem not in {"__init__", "__main__", "base"}:
            stems[path.stem].append(place(path))
    # The two processes are named after what they run.
    assert set(twice(stems)) == {"agent"}


def test_no_two_classes_have_one_name():
    classes = defaultdict(list)
    for path in SOURCES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                classes[node.name.lstrip("_")].append(place(path))
    assert twice(classes) == {}


@pytest.mark.parametrize("folder", sorted({path.parent for path in SOURCES}), ids=place)
def test_a_folder_can_be_seen_at_once(folder):
    modules = [path for path in folder.glob("*.py") if path.stem != "__init__"]
    assert len(modules) <= MAX_FOLDER


@pytest.mark.parametrize("path", SOURCES, ids=place)
def test_docstrings_follow_the_style_sheet(path):
    bad = [
        f"{name}: {text.splitlines()[0]}"
        for name, text in docstrings(path)
        if text.startswith("What") or BANNED.search(text)
    ]
    assert bad == []


@pytest.mark.parametrize("path", [*SOURCES, *PAGES], ids=lambda p: str(p.relative_to(ROOT)))
def test_no_page_is_cited_that_is_not_here(path):
    if path.parent.name == "research":
        return
    bad = [line.strip() for line in path.read_text().splitlines() if CITATION.search(line)]
    assert bad == []


@pytest.mark.parametrize("path", SOURCES, ids=place)
def test_modules_that_a_docstring_names_are_there(path):
    known = {".".join(p.relative_to(PRODUCT).with_suffix("").parts) for p in SOURCES}
    known |= {".".join(p.relative_to(PRODUCT).parts) for p in PRODUCT.rglob("*") if p.is_dir()}
    first_words = {name.split(".")[0] for name in known} | {
        word for name in known for word in name.split(".")[:-1]
    }
    module = ast.get_docstring(ast.parse(path.read_text())) or ""
    for name in MODULE.findall(module):
        head = name.split(".")[0]
        if head not in first_words or head in {"status", "scaling", "traffic", "rollout", "spec"}:
            continue
        is_known = any(
            known_name == name or known_name.endswith(f".{name}") for known_name in known
        )
        parent = name.rpartition(".")[0]
        is_member = any(k == parent or k.endswith(f".{parent}") for k in known)
        assert is_known or is_member, f"`{name}`"


def test_every_reason_is_set_somewhere():
    code = "\n".join(p.read_text() for p in SOURCES if p.name != "reasons.py")
    by_word = set(re.findall(r'"([A-Z][A-Za-z]+)"', code))
    unused = [r for r in Reason if f"Reason.{r.name}" not in code and r.value not in by_word]
    assert unused == []


def test_every_setting_is_read_somewhere():
    code = "\n".join(p.read_text() for p in SOURCES if p.name != "settings.py")
    assert [n for n in Settings.model_fields if not re.search(rf"\.{n}\b", code)] == []


def test_results_have_names_that_say_what_they_are():
    vague = [
        f"{place(path)}:{node.lineno} {node.id}"
        for path in SOURCES
        for statement in ast.walk(ast.parse(path.read_text()))
        if isinstance(statement, ast.Assign | ast.AnnAssign)
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in VAGUE
    ]
    assert len(vague) <= VAGUE_ALLOWED, vague


def test_no_test_imports_from_a_test():
    bad = [
        f"{path.relative_to(ROOT)}: {node.module}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[-1][:5] == "test_"
    ]
    assert bad == []


SLEEPS = {
    "cli/verbs/test_bench.py": 3,
    "engine/loop/test_end_of_leading.py": 2,
    "load/test_closed.py": 1,
    "load/test_generator.py": 2,
    "prometheus/test_connection.py": 1,
    "server/test_server.py": 2,
}
"""Real sleeps that are left: tests of processes, servers and load. The numbers may only shrink."""


def sleeps_of(tree: ast.AST) -> int:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return sum(
        ast.unparse(call.func) in {"time.sleep", "asyncio.sleep"}
        and ast.unparse(call.args[0]) not in {"0", "0.0"}
        for call in calls
    )


def test_unit_tests_do_not_sleep():
    found = {}
    for folder in ("unit", "sequences", "properties"):
        for path in sorted((ROOT / "tests" / folder).rglob("*.py")):
            number = sleeps_of(ast.parse(path.read_text()))
            if number:
                found[str(path.relative_to(ROOT / "tests" / folder))] = number
    assert found == SLEEPS


def test_a_sleep_is_seen():
    assert sleeps_of(ast.parse("import time\ntime.sleep(1)\nawait_ = asyncio.sleep(0)")) == 1


def test_readme_is_read_to_its_end():
    assert len((ROOT / "README.md").read_text().split()) <= MAX_README_WORDS


def test_each_word_has_one_meaning():
    words = re.findall(
        r"^\| ([a-z -]+) \|", (ROOT / "docs/concepts/words.md").read_text(), re.MULTILINE
    )
    assert len(words) > 40
    assert [word for word in words if words.count(word) > 1 and word != "word"] == []


@pytest.mark.parametrize("text", ["See rule 7.", "as in design 05", "promise 2 says so"])
def test_a_citation_is_seen(text):
    assert CITATION.search(text)


@pytest.mark.parametrize("text", ["Nobody waits.", "It buys a replica.", "The leader is told."])
def test_a_banned_word_is_seen(text):
    assert BANNED.search(text)
