"""Runs as text are as they were. Where they changed on purpose, run `make golden`."""

import pytest

from tests.sequences.stories import GOLDEN, files, text_of


@pytest.mark.parametrize("name", files())
def test_run_is_as_it_was(name):
    assert text_of(files()[name]) == (GOLDEN / name).read_text(), "see `make golden`"


def test_every_file_has_its_story():
    assert {path.name for path in GOLDEN.glob("*.txt")} == set(files())
