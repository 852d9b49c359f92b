"""Tables for narrow terminals, names that look like markup, pictures with all policies."""

import io

import pytest
from matplotlib.figure import Figure
from rich.console import Console

from modelfleet.simulate import plot, report

NAMES = {"default": ("hpa-concurrency", "default: target 0.8, down 300 s")}
NAMES["best"] = ("hpa-concurrency", "target 0.95, down 300 s")


def row(name: str, kind: str, setting: str, **more: object) -> dict[str, object]:
    found: dict[str, object] = {"name": name, "kind": kind, "setting": setting, "curve": []}
    for metric in report.METRICS:
        found |= {metric: 1.5, f"{metric}_min": 1.25, f"{metric}_max": 1.75}
    return {**found, **more}


def document(*more: dict[str, object], trace: str = "t") -> dict[str, object]:
    policies = [row("clairvoyant", "reference", "beta -1 -0.9 -0.85", violations_percent=0.5)]
    policies += [row(name, kind, setting) for kind, (name, setting) in NAMES.items()]
    return {
        "trace": trace, "aim_percent": 1.0, "wait_seconds": 5.0, "policies": [*policies, *more],
    }  # fmt: skip


def shown(found: dict[str, object], width: int, most: int = 1000) -> list[str]:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(report.fitting(found, most, width))
    return console.export_text().splitlines()


@pytest.mark.parametrize(
    ("width", "missing"),
    [
        (80, {"replica-h", "starts/day", "p99 wait s"}),
        (120, set()),
        (160, set()),
    ],
)
def test_table_fits_its_terminal(width, missing):
    """At 80 columns `setting` and `peak` had no width at all."""
    lines = shown(document(), width)
    head = next(line for line in lines if "policy" in line)
    columns = {"policy", "setting", *report.CELLS}
    assert {c for c in columns if c not in head} == missing
    text = "\n".join(lines)
    assert "…" not in text
    assert "(1.250-1.750)" in text
    assert ("1.500 (1.250-1.750)" in text) == (width == 160)
    assert all(len(line) <= width for line in lines)


def test_names_are_no_markup():
    name = 'sum(rate(x{a=~"[a-z]"}[1m])) [/] :fire:'
    assert name in "\n".join(shown(document(trace=name), 140))


def test_cap_of_the_simulation_is_said():
    capped = row("keda-rate", "best", "target 0.2, down 60 s", peak_replicas_max=1000)
    text = " ".join("\n".join(shown(document(capped), 140)).split())
    assert "keda-rate: reached the most replicas that are simulated (1,000)" in text
    kept = row("keda-rate", "best", "x", peak_replicas_max=1000, violations_percent=0.9)
    assert "reached" not in "\n".join(shown(document(kept), 140))


def test_no_ratio_is_a_dash():
    missing = {"cost_ratio": None, "cost_ratio_min": None, "cost_ratio_max": None}
    lines = shown(document(row("static", "best", "1 replicas", **missing)), 160)
    cells = next(line for line in lines if "static" in line).split("│")
    assert cells[4].strip() == "-"


@pytest.fixture
def drawn(monkeypatch):
    """Labels of the legend, once a picture was made."""
    made: list[Figure] = []
    plain = plot.figure

    def keep(*size: float) -> Figure:
        made.append(plain(*size))
        return made[-1]

    monkeypatch.setattr(plot, "figure", keep)
    return lambda: [text.get_text() for text in made[0].axes[0].get_legend().get_texts()]


def test_every_policy_is_in_the_legend(tmp_path, drawn):
    """A peer with a default only was missing, one outside of the picture seemed to be in it."""
    found = document(
        row("always-70%", "default", "always"),
        row("ray-serve", "best", "far away", cost_ratio=7.0),
        row("keda-rate", "best", "nothing to compare", cost_ratio=None),
        trace="a $ and a $x_{",
    )
    plot.plot_policies(found, tmp_path / "o.png")
    labels = drawn()
    assert labels.count("always-70%") == labels.count("hpa-concurrency") == 1
    assert "ray-serve (outside, at 7.00)" in labels
