"""Rollouts as text are as they were. Where they changed on purpose, run `make golden`."""

import pytest

from tests.sequences.stories import GOLDEN, STORIES, text_of


@pytest.mark.parametrize("tell", STORIES, ids=lambda tell: tell.__name__)
def test_run_is_as_it_was(tell):
    assert text_of(tell) == (GOLDEN / f"{tell.__name__}.txt").read_text(), "see `make golden`"


def test_every_file_has_its_story():
    assert {path.stem for path in GOLDEN.glob("*.txt")} == {tell.__name__ for tell in STORIES}
