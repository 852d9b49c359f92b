"""The judge can fail: each way to be wrong is seen, and only the right answer passes."""

import json

import pytest

from tests.load.allowed import Allowed
from tests.load.answers import Answer, Question, judge

QUESTION = Question(b"{}", {"one": [1, 2, 3], "two": [1, 2, 4]})
ALLOWED = {"digits-v1": "one"}


def answer(version="digits-v1", labels=(1, 2, 3), status=200, **changes):
    labels = list(labels)
    value = {
        "model_name": "digits",
        "model_version": version,
        "outputs": [{"name": "label", "datatype": "INT64", "shape": [len(labels)], "data": labels}],
    }
    return Answer(status, json.dumps({**value, **changes}).encode())


def test_the_right_answer_passes():
    assert judge(answer(), QUESTION, ALLOWED).reason == ""


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (answer(labels=(1, 2, 4)), "wrong labels"),
        (answer(labels=(1, 2)), "wrong labels"),
        (answer(labels=()), "wrong labels"),
        (answer("digits-v2", (1, 2, 4)), "version not allowed"),
        (answer("digits-v2"), "version not allowed"),
        (answer(status=503), "status 503"),
        (answer(status=404), "status 404"),
        (answer(status=204), "status 204"),
        (Answer(200, answer().body[:-20]), "not an answer"),
        (Answer(200, b""), "not an answer"),
        (Answer(200, b"[]"), "not an answer"),
        (Answer(200, b'{"error": "no"}'), "not an answer"),
        (answer(outputs=[]), "not an answer"),
        (answer(outputs=[{"name": "label", "shape": [2], "data": [1, 2, 3]}]), "not an answer"),
        (answer(model_version=None), "not an answer"),
        (Answer(0, b"", "ClientPayloadError: cut"), "broken"),
        (Answer(200, answer().body, "TimeoutError"), "broken"),
    ],
)
def test_every_other_answer_fails(given, reason):
    assert judge(given, QUESTION, ALLOWED).reason == reason


def test_nothing_is_right_where_no_version_is_allowed():
    assert judge(answer(), QUESTION, {}).reason == "version not allowed"


def test_each_version_must_give_its_own_labels():
    allowed = {"digits-v1": "one", "digits-v2": "two"}
    assert judge(answer("digits-v2", (1, 2, 4)), QUESTION, allowed).reason == ""
    assert judge(answer("digits-v2", (1, 2, 3)), QUESTION, allowed).reason == "wrong labels"


def test_a_version_without_prepared_labels_fails():
    assert judge(answer(), QUESTION, {"digits-v1": "three"}).reason == "no expectation"


def test_the_detail_shows_the_body():
    found = judge(Answer(503, b'no\n"healthy"'), QUESTION, ALLOWED)
    assert found.detail == 'no\\n\\"healthy\\"'


def rollout():
    allowed = Allowed()
    allowed.set(0, {"v1": "one"})
    allowed.set(10, {"v1": "one", "v2": "two"})
    allowed.set(20, {"v2": "two"})
    return allowed


@pytest.mark.parametrize(
    ("sent", "ended", "versions"),
    [
        (1, 2, {"v1"}),
        (9, 11, {"v1", "v2"}),
        (9, 25, {"v1", "v2"}),
        (19, 21, {"v1", "v2"}),
        (20, 21, {"v2"}),
        (21, 30, {"v2"}),
    ],
)
def test_all_sets_in_force_on_the_way_count(sent, ended, versions):
    assert set(rollout().between(sent, ended)) == versions


def test_an_old_allow_list_cannot_be_slipped_in():
    with pytest.raises(ValueError, match="cannot follow"):
        rollout().set(5, {"v1": "one"})
