"""Task folders: whole, equal for equal input, and nothing but what an analyst may see."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from protocol import small

from simbench.errors import BadInput
from simbench.protocol import briefs as protocol_briefs
from simbench.protocol.asked import asked_in, asked_of, shapes
from simbench.protocol.task import ID, neutral_labels, opaque_ids, read_ids, seed_of, write_task

FILES = {"panel.csv", "future.csv", "plans.csv", "context.json", "questions.json", "problems.json"}


def several(count=3, **options):
    pairs = [small.brief(seed, **options) for seed in range(count)]
    keys = [small.key(seed) for seed in range(count)]
    return [brief for brief, _ in pairs], pairs[0][1], keys


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_equal_input_gives_equal_bytes(tmp_path):
    briefs, labels, keys = several()
    ids = opaque_ids(keys)
    one, other = (contents(write_task(tmp_path / name, briefs, labels, keys, ids)) for name in ("one", "other"))
    assert one == other
    assert set(one) == {"task.json", "README.txt", *(f"{name}/{file}" for name in ids for file in FILES)}


def test_the_task_says_its_version_ids_and_seeds(tmp_path):
    briefs, labels, keys = several()
    ids = opaque_ids(keys)
    told = json.loads((write_task(tmp_path / "task", briefs, labels, keys, ids) / "task.json").read_text())
    assert told == {"protocol": 1, "briefs": [{"id": i, "seed": seed_of(k)} for i, k in zip(ids, keys)]}
    assert read_ids(tmp_path / "task") == ids


def test_ids_depend_on_the_key_and_not_on_the_company():
    keys = [small.key(number) for number in range(50)]
    ids = opaque_ids(keys)
    assert len(set(ids)) == 50 and all(ID.fullmatch(name) for name in ids)
    assert opaque_ids(keys[30:]) == ids[30:]
    twice = opaque_ids([keys[0], keys[0], keys[0]])
    assert twice[0] == ids[0] and len(set(twice)) == 3 and all(ID.fullmatch(name) for name in twice)


def test_seeds_fit_a_signed_word():
    assert seed_of(np.array([2**32 - 1, 0], dtype=np.uint32)) == 2**31 - 1


def test_masked_weeks_are_not_told(tmp_path):
    (seen, labels), (hidden, _) = small.brief(1), small.brief(1, hidden=9)
    one = contents(write_task(tmp_path / "one", [seen], labels, [small.key(1)], ["a"]))
    other = contents(write_task(tmp_path / "other", [hidden], labels, [small.key(1)], ["a"]))
    assert one == other


@pytest.mark.parametrize("geos", [1, 3])
def test_a_reader_knows_the_same_from_record_and_files(tmp_path, geos):
    brief, labels = small.brief(2, geos=geos)
    write_task(tmp_path / "task", [brief], labels, [small.key(2)], ["a"])
    assert asked_in(tmp_path / "task" / "a") == asked_of(brief, labels)


def test_shapes_are_those_that_answers_are_checked_for():
    from simbench.backends import replies

    brief, labels = small.brief(2, geos=2)
    ours, theirs = shapes(asked_of(brief, labels)), {}
    for name, shape in replies.shapes(brief).items():
        several = name in ("response", "response_paid", "allocation", "promise")
        theirs |= {f"{name}_{p}": part for p, part in enumerate(shape)} if several else {name: shape}
    assert ours == theirs


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["a", "a", "b"], "id 'a'"),
        (["a", "../b", "c"], "id '../b'"),
        (["a", "B", "c"], "id 'B'"),
        (["a", "", "c"], "id ''"),
        (["a", "b"], "3 briefs, 3 labels, 3 keys and 2 ids"),
    ],
)
def test_ids_that_are_no_file_names_are_refused(tmp_path, ids, message):
    briefs, labels, keys = several()
    with pytest.raises(BadInput, match=message.replace(".", r"\.")):
        write_task(tmp_path / "task", briefs, labels, keys, ids)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_and_nothing_is_left_of_a_fault(tmp_path, monkeypatch):
    briefs, labels, keys = several(1)
    write_task(tmp_path / "task", briefs, labels, keys, ["a"])
    with pytest.raises(BadInput, match="exists already"):
        write_task(tmp_path / "task", briefs, labels, keys, ["a"])

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(protocol_briefs, "plans_frame", full)
    with pytest.raises(BadInput, match="No space left"):
        write_task(tmp_path / "other", briefs, labels, keys, ["a"])
    assert [path.name for path in tmp_path.iterdir()] == ["task"]


@pytest.mark.parametrize("geos", [1, 3])
def test_neutral_labels_fit_and_tell_only_the_season(geos):
    brief, labels = small.brief(3, geos=geos)
    told = neutral_labels(brief)
    assert [len(field) for field in told[:3]] == [len(field) for field in labels[:3]]
    assert told.channels == ("channel-1", "channel-2", "channel-3") and told.start == 18630  # 3 January 2021
    assert [len(units) for units in told.units] == [len(units) for units in labels.units]
    assert len(told.plans) == len(labels.plans) and told.plans[0] == "status quo"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"protocol": 2, "briefs": []}', '{"protocol": 1, "briefs": [{"id": "../x"}]}']
)
def test_what_is_no_task_is_refused(tmp_path, text):
    (tmp_path / "task.json").write_text(text)
    with pytest.raises(BadInput, match=r"task\.json"):
        read_ids(tmp_path)
