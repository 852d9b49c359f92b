"""A file that is not whole and ours is never read."""

import numpy as np
import pytest

from modelfleet.engine.memory import file_format
from modelfleet.engine.memory.file_format import (
    MAGIC,
    MemoryFileWriter,
    Unusable,
    blocks,
    check_file,
)

BLOCKS = [{"a": np.arange(5, dtype=np.int64)}, {"a": np.zeros(0), "b": np.ones((2, 3))}]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "memory"
    writer = MemoryFileWriter(path)
    for one in BLOCKS:
        writer.write(one)
    writer.finish()
    return path


def test_what_was_written_is_read(file):
    check_file(file)
    found = list(blocks(file))
    assert [sorted(one) for one in found] == [["a"], ["a", "b"]]
    assert (found[0]["a"] == BLOCKS[0]["a"]).all()
    assert [one.name for one in file.parent.iterdir()] == ["memory"]


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda data: data[:-1], "cut off"),
        (lambda data: data[: len(data) // 2], "cut off"),
        (lambda data: data[: len(MAGIC)], "cut off"),
        (lambda data: flipped(data, len(MAGIC) + 3), "damaged"),
        (lambda data: flipped(data, len(data) // 2), "damaged"),
        (lambda data: flipped(data, len(data) - 1), "damaged"),
        (lambda data: data + b"more", "damaged"),
        (lambda _: b"", "not a memory file of modelfleet"),
        (lambda _: b"PK\x03\x04" + b"x" * 99, "not a memory file of modelfleet"),
        (lambda data: data.replace(b"memory 1\n", b"memory 2\n", 1), "another format"),
    ],
)
def test_damage_is_seen(file, damage, why):
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(Unusable, match=why):
        check_file(file)


def test_any_flipped_bit_is_seen(file):
    data = file.read_bytes()
    for place in range(0, len(data), 7):
        file.write_bytes(flipped(data, place))
        with pytest.raises(Unusable):
            check_file(file)


def test_pickle_is_not_read(tmp_path):
    path = tmp_path / "memory"
    writer = MemoryFileWriter(path)
    with pytest.raises(ValueError, match="allow_pickle"):
        writer.write({"a": np.array([{"x": 1}], dtype=object)})
    writer.abandon()
    assert list(tmp_path.iterdir()) == []


def test_large_file_is_neither_written_nor_read(file, monkeypatch):
    monkeypatch.setattr(file_format, "MAX_BYTES", 600)
    with pytest.raises(Unusable, match="MiB"):
        check_file(file)
    before, writer = file.read_bytes(), MemoryFileWriter(file)
    writer.write(BLOCKS[0])
    with pytest.raises(OSError, match="more than"):
        writer.write({"a": np.zeros(100)})
    writer.abandon()
    assert file.read_bytes() == before
    assert [one.name for one in file.parent.iterdir()] == ["memory"]


def test_old_file_stays_until_the_new_one_is_whole(file):
    before, writer = file.read_bytes(), MemoryFileWriter(file)
    writer.write(BLOCKS[1])
    assert file.read_bytes() == before
    writer.abandon()
    writer.write(BLOCKS[1])
    writer.finish()
    assert file.read_bytes() == before, "what was given up is given up"
    assert [one.name for one in file.parent.iterdir()] == ["memory"]
