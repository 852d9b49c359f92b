"""Every command that a page names is there: a target, a module, a test, a benchmark, a stage.

Pages are the README, CONTRIBUTING and everything below `docs`. What a command does is seen where it
runs; here only that its words lead somewhere.
"""

import re
from collections.abc import Iterator

import pytest

from modelfleet.__main__ import COMMANDS
from tests import run
from tests.bench.__main__ import ALL
from tests.cluster.__main__ import VERBS
from tests.cluster.paths import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
WORD = re.compile(r"[\w./-]+")
CODE = re.compile(r"```[a-z]*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
INDENTED = re.compile(r"^ {4}(\S.*)$", re.MULTILINE)
SETTING = re.compile(r"^(?:[A-Z_]+=\S+ )+")


def lines(page: str) -> Iterator[str]:
    """Everything in a page that may be a command."""
    for block, span in CODE.findall(page):
        yield from (block or span).splitlines()
    yield from INDENTED.findall(page)


def commands(page: str) -> Iterator[list[str]]:
    """The words of each command; settings before it and remarks behind it are left out."""
    for line in lines(page):
        bare = SETTING.sub("", line.strip().removeprefix("$ "))
        yield bare.partition("  #")[0].split()


def missing(page: str) -> list[str]:
    """Commands of a page that lead nowhere."""
    return [" ".join(words) for words in commands(page) if words and not is_there(words)]


def is_there(words: list[str]) -> bool:
    match words:
        case ["make", *targets]:
            found = {word for word in targets if "=" not in word} <= TARGETS
        case ["python" | "python3", "-m", module, *more]:
            found = is_module(module) and are_arguments(module, more)
        case ["python" | "python3", *_]:
            found = False
        case ["pytest", *paths]:
            found = bool(paths) and all((ROOT / path).exists() for path in paths)
        case ["modelfleet", verb, *_]:
            found = verb in COMMANDS
        case ["kubectl", "modelfleet", verb, *_]:
            found = verb in COMMANDS
        case ["docker", "build", "-f", file, "--target", stage, *_]:
            path = ROOT / file
            found = path.exists() and f" AS {stage}\n" in path.read_text()
        case _:
            found = True
    return found


def is_module(name: str) -> bool:
    roots = (ROOT, ROOT / "operator")
    places = [root / name.replace(".", "/") for root in roots]
    return any(p.with_suffix(".py").exists() or (p / "__main__.py").exists() for p in places)


def are_arguments(module: str, given: list[str]) -> bool:
    known = {"tests.bench": ALL, "tests.cluster": VERBS}.get(module)
    if module == "tests.run":
        return not given or bool(run.chosen_files(given))
    if known is None:
        return True
    named = [word for word in given if WORD.fullmatch(word)]
    return set(named[:1] if module == "tests.cluster" else named) <= set(known)


def test_make_unit_and_make_test_know_the_same_tests():
    """No marker is left out in `tests.run`: what `make unit` does not run, `make test` does."""
    unit = re.search(r"^UNIT := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert unit is not None
    assert unit[1].split() == [*run.NO_CLUSTER, *run.EACH_CORE]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_is_there(page):
    assert missing(page.read_text()) == []


def test_pages_name_commands_at_all():
    named = {words[0] for page in PAGES for words in commands(page.read_text()) if words}
    assert {"make", "python", "modelfleet", "docker"} <= named


@pytest.mark.parametrize(
    "page",
    [
        "Run `make everything`.",
        "    make demo test unknown  # a remark",
        "| a | `python -m tests.nothing` |",
        "`BENCH_SEEDS=1 python -m tests.bench speed`",
        "`pytest tests/e2e/test_gone.py`",
        "`python -m tests.run tests/e2e/test_gone.py`",
        "`python -m tests.cluster sideways`",
        "```sh\n$ modelfleet dance\n```",
        "`kubectl modelfleet dance NAME`",
        "    docker build -f operator/Dockerfile --target dancer -t x .",
    ],
)
def test_a_command_that_leads_nowhere_is_seen(page):
    assert len(missing(page)) == 1
