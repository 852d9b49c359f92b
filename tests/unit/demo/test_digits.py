"""The requests tell the two versions apart, and no label hangs on a tie."""

import numpy as np

from tests.demo import digits


def fake(answers):
    def answer(content, images):
        labels = answers[content]
        return labels[: len(images)], np.full(len(images), 1.0)

    return answer


def test_each_question_has_images_on_which_the_versions_differ(monkeypatch):
    number = 100 + digits.MAX_BLENDS
    one = np.zeros(number, int)
    two = np.where(np.arange(number) % 50 == 0, 1, 0)
    monkeypatch.setattr(digits, "answer", fake({b"1": one, b"2": two}))
    images = np.zeros((100, 64), np.float32)
    questions = digits.ask({"one": b"1", "two": b"2"}, images)
    assert len(questions) == digits.BATCHES
    for question in questions:
        assert question["body"]["inputs"][0]["shape"] == [digits.BATCH, 64]
        assert sum(question["labels"]["two"]) == 3
        assert sum(question["labels"]["one"]) == 0


def test_a_body_is_the_protocols_and_whole():
    images = np.arange(128, dtype=np.float32).reshape(2, 64)
    value = digits.body(images)["inputs"][0]
    assert (value["name"], value["datatype"], value["shape"]) == ("X", "FP32", [2, 64])
    assert value["data"] == list(range(128))
