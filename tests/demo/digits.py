"""Two versions of a digits classifier, and the requests that tell them apart.

Called by the demo and by end-to-end tests; ``python -m tests.demo.digits FOLDER`` does it by hand.
Writes ``digits-1.onnx``, ``digits-2.onnx`` and ``questions.json`` (for ``tests.load``) with the
labels that each version must give, computed here from the same bytes. It must never keep a
request on which both versions agree, nor an image whose label hangs on a tie between classes.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

TREES = 500
SAMPLES = 1400
BATCHES = 64
BATCH = 96
"""Images of a request that keeps a replica busy."""
LIGHT = 8
"""Images of a request of the demo: its replicas take time, and their machine's cores are few."""
MIN_MARGIN = 0.01
"""Votes of five trees: sums in another order give the same label."""
MAX_BLENDS = 4_000
SEEDS = {"one": 1, "two": 2}
FILES = {"one": "digits-1.onnx", "two": "digits-2.onnx"}

Images = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class Digits:
    """What was written: artifacts by kind of labels, and the file of questions."""

    artifacts: dict[str, bytes]
    questions: Path


def make(folder: Path, batch: int = BATCH) -> Digits:
    """Train both versions and write everything into ``folder``; about 8 CPU seconds."""
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    folder.mkdir(parents=True, exist_ok=True)
    images, labels = load_digits(return_X_y=True)
    images = images.astype(np.float32)
    with ThreadPoolExecutor(len(SEEDS)) as pool:
        tasks = {
            kind: pool.submit(train, images[:SAMPLES], labels[:SAMPLES], seed)
            for kind, seed in SEEDS.items()
        }
        artifacts = {kind: task.result() for kind, task in tasks.items()}
    for kind, content in artifacts.items():
        (folder / FILES[kind]).write_bytes(content)
    path = folder / "questions.json"
    path.write_text(json.dumps(ask(artifacts, images[SAMPLES:], batch)), encoding="utf-8")
    return Digits(artifacts, path)


def train(images: Images, labels: Any, seed: int) -> bytes:
    """One version as ONNX."""
    from skl2onnx import to_onnx  # type: ignore[import-untyped]
    from sklearn.ensemble import RandomForestClassifier  # type: ignore[import-untyped]

    forest = RandomForestClassifier(TREES, random_state=seed).fit(images, labels)
    model = to_onnx(forest, images[:1], options={"zipmap": False})
    content: bytes = model.SerializeToString()
    return content


def ask(artifacts: dict[str, bytes], images: Images, batch: int = BATCH) -> list[dict[str, Any]]:
    """Questions of ``batch`` images each, all of which the versions answer differently."""
    chance = np.random.default_rng(0)
    images = np.concatenate([images, blend(images, chance)])
    answers = {kind: answer(content, images) for kind, content in artifacts.items()}
    clear = np.all([margin >= MIN_MARGIN for _, margin in answers.values()], axis=0)
    one, two = (labels for labels, _ in answers.values())
    telling = np.flatnonzero(clear & (one != two))
    plain = np.flatnonzero(clear & (one == two))
    if not telling.size:
        raise RuntimeError("the two versions agree on every image: no request tells them apart")
    questions = []
    for _ in range(BATCHES):
        some = chance.choice(telling, min(3, telling.size), replace=False)
        rest = chance.choice(plain, batch - some.size, replace=False)
        chosen = chance.permutation(np.concatenate([some, rest]))
        questions.append(
            {
                "body": body(images[chosen]),
                "labels": {kind: labels[chosen].tolist() for kind, (labels, _) in answers.items()},
            }
        )
    return questions


def blend(images: Images, chance: np.random.Generator) -> Images:
    """Halves of two images each: some are hard enough for the versions to differ."""
    first, second = (images[chance.integers(len(images), size=MAX_BLENDS)] for _ in range(2))
    return np.round((first + second) / 2).astype(np.float32)


def answer(content: bytes, images: Images) -> tuple[Any, Any]:
    """Labels, and how far each is from the second best class, from the very artifact."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    labels, chances = session.run(["label", "probabilities"], {"X": images})
    best = np.sort(chances, axis=1)
    return labels, best[:, -1] - best[:, -2]


def body(images: Images) -> dict[str, Any]:
    """A request of the Open Inference Protocol, v2."""
    return {
        "inputs": [
            {
                "name": "X",
                "datatype": "FP32",
                "shape": list(images.shape),
                # Whole numbers keep the body small; the server reads them as FP32.
                "data": images.astype(int).reshape(-1).tolist(),
            }
        ]
    }


if __name__ == "__main__":
    make(Path(sys.argv[1]), LIGHT)
