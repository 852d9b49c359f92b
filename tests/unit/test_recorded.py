"""Names on the wire and on the disk: what another release has written is understood.

`tests/recorded/` was written before classes and attributes were renamed. It is never written anew:
a release that cannot read it has broken its users.
"""

import gzip
from dataclasses import fields

import numpy as np
import pytest

from modelfleet.core.forecasting.constants import SHIPPED
from modelfleet.core.forecasting.policy import Policy
from modelfleet.core.forecasting.rows.encoding import NAMES, layout
from modelfleet.core.forecasting.rows.transfer import TABLES, parts
from modelfleet.engine.memory.learned_file import FILE_NAME
from modelfleet.link.messages import Message, decode_message, encode_message
from tests import stack
from tests.doubles.restarted_leader import KEY, World

RECORDED = stack.ROOT / "tests/recorded"
LINES = (RECORDED / "link.jsonl").read_bytes().splitlines(keepends=True)
WRITTEN_AT_BIN = 345_603_882
WRITTEN_LAYOUT = "8e7aca2a4c8ef12b"


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[:28].decode())
def test_a_line_of_another_release_is_read_and_written_alike(line: bytes) -> None:
    message = decode_message(line)
    assert message is not None
    assert encode_message(message) == line


def test_every_message_and_every_field_of_it_is_recorded() -> None:
    read = [decode_message(line) for line in LINES]
    assert {type(message) for message in read} == set(Message.__args__)
    for message in read:
        for field in fields(message):
            assert getattr(message, field.name) is not None


def test_lines_of_the_next_release_are_understood_as_far_as_they_are_known() -> None:
    assert decode_message(b'{"kind": "Unheard", "more": 1}') is None
    known = decode_message(b'{"kind": "Held", "model": "a/b", "requests": 2, "since": 5}')
    assert encode_message(known) == b'{"kind":"Held","model":"a/b","requests":2}\n'


async def test_a_memory_file_of_another_release_is_restored(tmp_path) -> None:
    packed = (RECORDED / "autoscaler.memory.gz").read_bytes()
    (tmp_path / FILE_NAME).write_bytes(gzip.decompress(packed))
    world = World(tmp_path, WRITTEN_AT_BIN + 24)
    assert await world.memory.restore() == 1
    entry, fleet = world.ledger.entry(KEY), world.forecaster.policy
    assert entry.scaling.service_time.answers == pytest.approx(1460.706239518928)
    assert entry.scaling.service_time.available == pytest.approx(2291.488668480176)
    assert int(fleet.live.age[0]) == 51_925
    assert len(fleet.histories[0].counts(51_925)) == 51_925
    assert np.isfinite(fleet.choice.cost[0]).all()
    assert world.forecaster.due_fits() == [], "the prior is known, no fit is due"


def test_the_layout_is_the_one_that_was_written() -> None:
    assert layout(SHIPPED) == WRITTEN_LAYOUT


def test_every_table_has_a_name_in_the_file() -> None:
    fleet = Policy(1, SHIPPED)
    tables = {f"policy.{name}" for name in TABLES}
    for name, part in parts(fleet).items():
        tables |= {f"{name}.{array}" for array in part.AXES}
    assert set(NAMES.values()) == tables
