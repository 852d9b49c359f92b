"""What is said of the time that is left."""

from tests.demo.remaining import Remaining


def test_parts_that_ended_are_struck_off():
    left = Remaining({"load": 60, "install": 30, "measure": 20})
    assert left.said() == "about 1.8 min left"
    left.ended("load")
    left.ended("never heard of")
    assert left.said() == "about 50 s left"


def test_a_slower_machine_is_given_more():
    assert Remaining({"load": 20}, factor=2).said() == "about 40 s left"


def test_who_compiles_knows_better():
    left = Remaining({"packages": 10, "compile": 310, "load": 20})
    assert not left.hears("  installing Debian packages\n")
    assert left.hears("  220 of at most 2833 packages compiled, about 40 s left; 15 s\n")
    assert left.said() == "about 60 s left"


def test_nothing_left_is_still_some_seconds():
    assert Remaining({}).said() == "about 5 s left"
