"""No number changes silently: tables of wrong values, and properties over all datatypes."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelfleet.server.base import RequestError
from modelfleet.server.datatypes import (
    DATATYPES,
    bf16_numbers,
    from_binary,
    from_json,
    shown,
    to_binary,
    to_json,
)

INTEGERS = [f"{sign}INT{bits}" for sign in ("U", "") for bits in (8, 16, 32, 64)]
FLOATS = ["FP16", "BF16", "FP32", "FP64"]
NUMBERS = [*INTEGERS, *FLOATS]
ALL = [*NUMBERS, "BOOL", "BYTES"]
WRONG = [
    *[(name, value) for name in ALL for value in (None, [], [1], {}, {"a": 1})],
    *[(name, value) for name in NUMBERS for value in (True, False, "1", "", "NaN", "false")],
    *[(name, value) for name in INTEGERS for value in (1.9, -0.5, 1e300, 2.0**53, -(2.0**63))],
    *[(name, 2**64) for name in INTEGERS],
    *[(f"UINT{bits}", value) for bits in (8, 16, 32) for value in (-1, 2**bits, 2.0**bits)],
    *[(f"INT{bits}", -(2 ** (bits - 1)) - 1) for bits in (8, 16, 32)],
    *[(f"INT{bits}", 2 ** (bits - 1)) for bits in (8, 16, 32, 64)],
    ("UINT64", -1),
    ("FP16", 65520),
    ("FP16", -1e6),
    ("BF16", 3.4e38),
    ("FP32", 1e40),
    ("FP32", -3.5e38),
    *[("BOOL", value) for value in (0, 1, 1.0, "false", "False", "true", "")],
    *[("BYTES", value) for value in (0, 1.5, True)],
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_value_that_the_datatype_cannot_hold_is_refused_with_its_place(name, value):
    right = {"BOOL": True, "BYTES": "a"}.get(name, 1)
    with pytest.raises(RequestError, match=r"^here\.data\[1\] must be ") as raised:
        from_json([right, value], DATATYPES[name], "here")
    assert name in str(raised.value)
    assert raised.value.status == 400


@pytest.mark.parametrize("name", INTEGERS)
def test_whole_numbers_are_taken_to_the_bounds(name):
    limits = np.iinfo(DATATYPES[name].numpy)
    values = [limits.min, limits.max, 0, 1]
    assert from_json(values, DATATYPES[name], "here").tolist() == values
    mixed = from_json([1.0, 2, 0.0], DATATYPES[name], "here")
    assert mixed.tolist() == [1, 2, 0]
    assert mixed.dtype == DATATYPES[name].numpy


def test_every_datatype_is_tested():
    assert set(DATATYPES) == set(ALL)


@pytest.mark.parametrize(
    ("value", "bits"),
    [(1, 0x3F80), (-2, 0xC000), (1.00390625, 0x3F80), (1.01171875, 0x3F82), (3.3e38, 0x7F78)],
)
def test_bf16_rounds_to_the_nearest_and_ties_to_even(value, bits):
    assert from_json([value], DATATYPES["BF16"], "here").tolist() == [bits]


@pytest.mark.parametrize(
    ("value", "text"), [(None, "null"), (True, "true"), ([1], "a list"), ({}, "an object")]
)
def test_values_are_shown_as_json(value, text):
    assert shown(value) == text
    assert len(shown("x" * 10_000)) < 100


json_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-300, 300).map(float.__round__).map(float),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
)


@given(st.sampled_from(ALL), st.lists(json_values, max_size=4))
@settings(max_examples=500)
def test_what_is_taken_is_what_was_sent(name, values):
    try:
        array = from_json(values, DATATYPES[name], "here")
    except RequestError:
        return
    assert array.dtype == DATATYPES[name].numpy
    kept = (bf16_numbers(array) if name == "BF16" else array).tolist()
    if name in FLOATS:
        step = {"BF16": 2**-8, "FP16": 2**-11, "FP32": 2**-24, "FP64": 2**-53}[name]
        for value, number in zip(values, kept, strict=True):
            assert math.isclose(number, value, rel_tol=step * 1.01, abs_tol=6e-8)
    else:
        assert kept == values
        wanted = {"BYTES": str, "BOOL": bool}.get(name, int | float)
        assert all(isinstance(value, wanted) for value in values)


@given(st.sampled_from([n for n in ALL if n != "BYTES"]), st.binary(max_size=64))
def test_binary_data_keep_every_bit(name, raw):
    datatype = DATATYPES[name]
    size = datatype.numpy.itemsize
    raw = bytes(byte % 2 for byte in raw) if name == "BOOL" else raw
    raw = raw[: len(raw) // size * size]
    # One byte before it: the numbers may lie at any address.
    array = from_binary(memoryview(b"x" + raw)[1:], len(raw) // size, datatype, "here")
    assert array.flags.aligned
    assert to_binary(array, name) == raw


@given(st.lists(st.text(max_size=9), max_size=5))
def test_texts_come_back_from_binary_data(texts):
    array = from_json(texts, DATATYPES["BYTES"], "here")
    raw = to_binary(array, "BYTES")
    again = from_binary(memoryview(raw), len(texts), DATATYPES["BYTES"], "here")
    assert again.tolist() == texts
    assert to_json(again, "BYTES") == texts


@given(st.sampled_from(ALL), st.binary(max_size=40), st.integers(0, 9))
def test_any_binary_data_are_taken_or_refused(name, raw, count):
    try:
        array = from_binary(memoryview(raw), count, DATATYPES[name], "here")
    except RequestError:
        return
    assert array.shape == (count,)
    assert to_binary(array, name) == raw


@pytest.mark.parametrize(
    ("name", "raw", "words"),
    [
        ("FP32", b"\0" * 7, "must be 8 for 2 values of FP32, not 7"),
        ("BOOL", b"\1\2", "byte 1 must be 0 or 1"),
        ("BYTES", b"\1\0\0\0a", "must hold 2 elements"),
        ("BYTES", b"\1\0\0\0a" * 3, "must hold 2 elements"),
        ("BYTES", b"\1\0\0\0a\xff\xff\xff\xffa", "element 1 goes beyond"),
        ("BYTES", b"\1\0\0\0a\1\0", "element 1 goes beyond"),
        ("BYTES", b"\1\0\0\0\xff\1\0\0\0a", "element 0 must be UTF-8"),
    ],
)
def test_wrong_binary_data_are_refused(name, raw, words):
    with pytest.raises(RequestError, match=words):
        from_binary(memoryview(raw), 2, DATATYPES[name], "here")
