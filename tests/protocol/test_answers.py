"""Answers as files: what they mean, and every way in which they can be wrong."""

from __future__ import annotations

import io
import json
import os
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protocol import small
from scipy.stats import norm

from simbench.backends.replies import LEVELS
from simbench.errors import BadInput
from simbench.protocol.answers import read_answer, validate
from simbench.protocol.asked import asked_of, field_of, shapes
from simbench.protocol.meaning import QUANTILES, allocations
from simbench.protocol.task import write_task
from simbench.records import Answers, Diagnostics, Failure

BRIEF, LABELS = small.brief(5)
GEO, GEO_LABELS = small.brief(6, geos=3)
ONES = 'tv,1,1\nsearch,1,1\n"+radio, local",1,1\n'
SIX = '"plan_value": [[1, 2, 3, 4, 5, 6]]'
LEAST = 'channel,contribution\ntv,1\nsearch,2\n"+radio, local",3\n'
FULL = (
    "channel,contribution,low,high,level,budget\n"
    'tv,100,80,150,0.9,2000\nsearch,50,50,50,0.5,1000\n"+radio, local",-3,-9,0,,0\n'
)


def reply(folder, content, kind=".csv", brief=BRIEF, labels=LABELS):
    """What a file with this content answers."""
    content = content if isinstance(content, bytes) else content.encode()
    (folder / f"a{kind}").write_bytes(content)
    return read_answer(folder, "a", brief, labels)


def every_field(brief, labels, draws=3, seed=0):
    """Random arrays of every field of a full answer."""
    random = np.random.default_rng(seed)
    return {
        name: random.normal(size=shape if field_of(name) == "allocation" else (draws, *shape))
        for name, shape in shapes(asked_of(brief, labels)).items()
    }


def npz(**arrays):
    """Bytes of an npz archive."""
    held = io.BytesIO()
    np.savez_compressed(held, **arrays)
    return held.getvalue()


def npz_of(members):
    """Bytes of an archive with these members, whatever they hold."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return held.getvalue()


def npy(array=None, header=None, body=b""):
    """Bytes of an npy file; with `header`, whatever that claims."""
    held = io.BytesIO()
    if header is None:
        np.save(held, array, allow_pickle=False)
    else:
        np.lib.format.write_array_header_1_0(held, header)
        held.write(body)
    return held.getvalue()


def claim(descr, shape):
    """What the head of an npy file says."""
    return {"descr": descr, "fortran_order": False, "shape": shape}


# --- meaning


def test_a_point_is_one_draw(tmp_path):
    answers = reply(tmp_path, LEAST)
    assert answers.contribution.shape == (1, 2, 3) and answers.levels is None
    np.testing.assert_array_equal(answers.contribution[0, 0], [1, 2, 3])
    assert {name for name, value in answers._asdict().items() if value is not None} == {"contribution"}


def test_later_windows_take_their_share_of_spend(tmp_path):
    answers = reply(tmp_path, LEAST)
    spend = BRIEF.panel.spend[:, 0]
    (a, b), (c, d) = BRIEF.questions.windows
    for channel, point in enumerate((1, 2, 3)):
        share = sum(spend[t, channel] for t in range(c, d)) / sum(spend[t, channel] for t in range(a, b))
        assert answers.contribution[0, 1, channel] == pytest.approx(point * share)


def test_an_interval_is_a_two_piece_normal(tmp_path):
    answers = reply(tmp_path, FULL)
    quantiles = dict(zip(np.round(answers.levels, 4), answers.contribution[:, 0]))
    assert set(LEVELS) <= set(quantiles) and len(answers.levels) == len(QUANTILES)
    assert quantiles[0.05][0] == pytest.approx(80) and quantiles[0.95][0] == pytest.approx(150)
    np.testing.assert_allclose(quantiles[0.5], [100, 50, -3])
    # each half is that of a normal whose own interval at the level ends there
    assert quantiles[0.25][0] == pytest.approx(norm(100, 20 / norm.ppf(0.95)).ppf(0.25))
    assert quantiles[0.9][0] == pytest.approx(norm(100, 50 / norm.ppf(0.95)).ppf(0.9))
    assert quantiles[0.995][2] == pytest.approx(norm(-3, 3 / norm.ppf(0.95)).ppf(0.995))  # no level given: 0.9
    assert all(row[1] == 50 for row in quantiles.values())
    assert (np.diff(answers.contribution[:, 0, 0]) > 0).all()


def test_the_budget_answers_every_problem(tmp_path):
    answers = reply(tmp_path, FULL)
    fixed, free = answers.allocation
    np.testing.assert_array_equal(fixed, [2000, 1000, 0])
    low, high = BRIEF.questions.problems[1].budget
    np.testing.assert_allclose(free, np.array([2, 1, 0]) / 3 * np.clip(3000, low, high))


def test_units_of_a_channel_share_its_money_as_the_status_quo_does():
    asked = asked_of(GEO, GEO_LABELS)
    units = asked.choices[0]._replace(units=4, channel=(0, 1, 0, 2), status_quo=(1.0, 0.0, 3.0, 0.0), budget=(0.0, 1e9))
    (amounts,) = allocations(np.array([8.0, 5.0, 2.0]), asked._replace(choices=(units,)))
    np.testing.assert_array_equal(amounts, [2, 5, 6, 2])
    idle = units._replace(status_quo=(0.0, 0.0, 0.0, 0.0))
    (amounts,) = allocations(np.array([8.0, 5.0, 2.0]), asked._replace(choices=(idle,)))
    np.testing.assert_array_equal(amounts, [4, 5, 4, 2])
    assert allocations(np.ones(3), asked._replace(choices=(units._replace(channel=(0, -1, 0, 2)),))) is None


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + FULL,
        FULL.replace("\n", "\r\n"),
        FULL.replace("\n", "\r"),
        FULL.replace("\n", "\r\n", 2),
        FULL + "\n\n",
        FULL.replace("channel,", " Channel ,").replace("tv,", " tv , "),
        FULL.replace('"+radio, local"', '"\'+radio, local"'),
        'contribution,low,high,level,budget,channel\n-3,-9,0,NA,0,"+radio, local"\n50,50,50,.5,1e3,search\n'
        "100,80,150,0.90,2000,tv\n",
    ],
    ids=["mark", "crlf", "cr", "mixed", "blank lines", "spaces", "apostrophe", "permuted"],
)
def test_spreadsheets_write_it_in_many_ways(tmp_path, text):
    plain, other = reply(tmp_path, FULL), reply(tmp_path, text)
    for one, two in zip(plain, other):
        assert (one is None) == (two is None)
    np.testing.assert_array_equal(plain.contribution, other.contribution)
    np.testing.assert_array_equal(plain.allocation, other.allocation)


@pytest.mark.parametrize("kind", [".npz", ".json"])
@pytest.mark.parametrize(("brief", "labels"), [(BRIEF, LABELS), (GEO, GEO_LABELS)], ids=["national", "geo"])
def test_every_field_comes_back(tmp_path, kind, brief, labels):
    given = every_field(brief, labels)
    told = {"diagnostics_rhat_max": np.float64(1.01), "diagnostics_ess_min": np.array([500])}
    as_lists = {name: np.asarray(array).tolist() for name, array in (given | told).items()}
    content = npz(**given, **told) if kind == ".npz" else json.dumps(as_lists)
    answers = reply(tmp_path, content, kind, brief, labels)
    assert isinstance(answers, Answers), answers
    for name, array in given.items():
        field, value = field_of(name), getattr(answers, field_of(name))
        np.testing.assert_array_equal(value if field == name else value[int(name.rpartition("_")[2])], array)
    assert answers.diagnostics.rhat_max == 1.01 and answers.diagnostics.ess_min == 500
    assert np.isnan(answers.diagnostics.khat_max)


@pytest.mark.parametrize("kind", [".npz", ".json"])
def test_channels_in_another_order_are_put_right(tmp_path, kind):
    given = every_field(BRIEF, LABELS)
    axis = {"contribution": 2, "marginal": 2, "curve": 1, "impulse": 1, "contribution_geo": 2}
    order = [2, 0, 1]
    moved = {name: np.take(x, order, axis[name]) if name in axis else x for name, x in given.items()}
    names = [LABELS.channels[c] for c in order]
    content = (
        npz(**moved, channels=np.array(names))
        if kind == ".npz"
        else json.dumps({**{name: x.tolist() for name, x in moved.items()}, "channels": names})
    )
    answers = reply(tmp_path, content, kind)
    for name in axis:
        np.testing.assert_array_equal(getattr(answers, name), given[name])


def test_undefined_numbers_are_null(tmp_path):
    marginal = np.ones((1, 2, 3)).tolist()
    marginal[0][1][2] = None
    answers = reply(tmp_path, json.dumps({"marginal": marginal}), ".json")
    assert np.isnan(answers.marginal[0, 1, 2]) and np.isfinite(answers.marginal).sum() == 5


def test_a_baseline_ends_where_the_panel_is_seen_to_end(tmp_path):
    hidden, labels = small.brief(5, hidden=7)
    answers = reply(tmp_path, npz(baseline=np.arange(60.0)[None]), ".npz", hidden, labels)
    assert answers.baseline.shape == (1, 67) and (answers.baseline[0, 59:] == 59).all()


def test_a_reason_is_a_failure(tmp_path):
    text = json.dumps({"reason": "unsupported", "detail": "no\x1b[31m weeks"})
    assert reply(tmp_path, text, ".json") == Failure("unsupported", "no [31m weeks")


# --- faults

ZERO = np.zeros((3, 2, 3))
HOSTILE = [
    (".csv", "", "is empty"),
    (".csv", b"\xff\xfec\x00h\x00", "is not UTF-8"),
    (".csv", LEAST + "\0", "is NUL"),
    (".csv", b"x" * (2**20 + 1), "at most 1,048,576"),
    (".csv", LEAST.replace(",", ";"), "columns are parted by ';'; commas"),
    (".csv", "channel,contribution\n", "'tv' is missing"),
    (".csv", LEAST.replace("contribution", "contributions"), "unknown column 'contributions'"),
    (".csv", LEAST.replace("channel,", "budget,"), "row 1: has no column channel"),
    (".csv", "channel,low,low\n", "column low comes twice"),
    (".csv", LEAST.replace("tv,1", "tv,1,2"), "row 2: has 3 cells; 2, as the header has"),
    (".csv", LEAST.replace("tv,1", "search,1"), "row 3, column channel: 'search' comes twice, first in row 2"),
    (".csv", LEAST.replace("search", "serch"), "unknown channel 'serch'; did you mean 'search'?"),
    (".csv", LEAST.replace("tv,1\n", ""), "column channel: 'tv' is missing"),
    (".csv", LEAST.replace("tv,1", "tv,"), "row 2, column contribution: is empty"),
    (".csv", LEAST.replace("tv,1", 'tv,"1,5"'), "'1,5' is no number; a decimal point"),
    (".csv", LEAST.replace("tv,1", "tv,1_000"), "'1_000' is no number"),
    (".csv", LEAST.replace("tv,1", "tv,1e400"), "row 2, column contribution: '1e400' is not finite"),
    (".csv", LEAST.replace("tv,1", "tv,nan"), "'nan' is no number"),
    (".csv", LEAST.replace("tv,1", "tv,=1+1"), "'=1+1' is no number"),
    (".csv", LEAST.replace("tv,1", 'tv,"1'), "cannot be read"),
    (".csv", LEAST + "tv,1\n" * 1000, "row 108: is one of too many"),
    (".csv", "\n".join(["channel", *("tv" for _ in range(500))]), "at most 106 rows"),
    (".csv", "channel,budget\n" + "tv\n" * 9, "has 1 cells"),
    (".csv", "channel\ntv\nsearch\n'+radio, local'\n", "has 2 cells"),
    (".csv", 'channel\ntv\nsearch\n"+radio, local"\n', "answers nothing"),
    (".csv", FULL.replace(",80,", ",,"), "row 2, column low: is empty"),
    (".csv", FULL.replace(",high", ",level").replace("level,level", "level"), "has 6 cells"),
    (".csv", "channel,contribution,low\n" + ONES, "column low: stands without high"),
    (".csv", "channel,low,high\n" + ONES, "column low: stands without contribution"),
    (".csv", FULL.replace(",80,", ",180,"), "row 2: has a contribution outside its own interval"),
    (".csv", FULL.replace("0.9,", "90,"), "row 2, column level: is 90; a probability between 0 and 1"),
    (".csv", FULL.replace(",2000", ",-1"), "row 2, column budget: is -1; money, 0 or more"),
    (".json", "[1]", "holds a list; a JSON object"),
    (".json", "{", "is no JSON"),
    (".json", "[" * 100_000, "is no JSON"),
    (".json", "{}", "answers nothing"),
    (".json", '{"contribution": 1, "contribution": 1}', "'contribution': comes twice"),
    (".json", '{"reason": "tired"}', "reason: is 'tired'; one of timeout"),
    (".json", '{"reason": "error", "forecast": 1}', "'forecast': stands beside a reason"),
    (".json", '{"contributoin": 1}', "'contributoin': is an unknown field; did you mean 'contribution'?"),
    (".json", '{"contribution": "x"}', "contribution: holds 'x'; numbers"),
    (".json", '{"contribution": [[[1, 2, 3], [1, 2]]]}', "rows of unequal length"),
    (".json", '{"contribution": [[[1, 2, 3], [1, 2, 1e400]]]}', "contribution[draw 0, window 1, channel 2]: is not"),
    (".json", '{"contribution": [[[1, 2, 3], [1, 2, 1%s]]]}' % ("0" * 400), "too large"),
    (".json", '{"contribution": [[[1, 2, 3], [1, 2, null]]]}', "is not finite"),
    (".json", '{"contribution": [[1, 2, 3]]}', "has shape (1, 3); (draws, 2, 3), the axes draw, window, channel"),
    (".json", '{"channels": ["tv"], ' + SIX + "}", "channels: are 'tv'; each of tv, search"),
    (".json", '{"channels": {"a": 1}, ' + SIX + "}", "channels: is no list of names"),
    (".json", '{"diagnostics_rhat_max": [1, 2], ' + SIX + "}", "diagnostics_rhat_max: has shape (2,)"),
    (".json", '{"levels": [0.5], ' + SIX + "}", "levels: levels lack 0.05"),
    (".npz", b"PK\x03\x04", "is no npz archive"),
    (".npz", npy(ZERO), "is no npz archive"),
    (".npz", npz_of([("../x.npy", npy(ZERO))]), "'../x': is an unknown field"),
    (".npz", npz_of([("contribution.npy", b"\x93NUMPY")]), "contribution: is no npy array"),
    (".npz", npz_of([("contribution.npy", b"\0" * 10**8)]), "contribution: has 100,000,000 bytes"),
    (".npz", npz_of([(f"x{i}.npy", b"") for i in range(9000)]), "is an unknown field"),
    (".npz", npz(contribution=ZERO.astype(complex)), "contribution: is of type complex128"),
    (".npz", npz(contribution=np.array(["1"])), "contribution: holds text"),
    (".npz", npz(contribution=np.full((3, 2, 3), np.inf)), "contribution[draw 0, window 0, channel 0]: is not finite"),
    (".npz", npz(marginal=np.full((3, 2, 3), -np.inf)), "marginal[draw 0, window 0, channel 0]: is not finite"),
    (".npz", npz(contribution=ZERO, marginal=ZERO[:2]), "fields differ in draws: contribution 3, marginal 2"),
    (".npz", npz(contribution=np.zeros((257, 2, 3))), "has 257 draws; 1 to 256"),
    (".npz", npz(contribution=np.zeros((0, 2, 3))), "has 0 draws; 1 to 256"),
    (".npz", npz(allocation_0=np.zeros(3)), "allocation_1: is missing; allocation of every problem, or of none"),
    (".npz", npz(allocation=np.zeros(3)), "'allocation': is an unknown field"),
    (".npz", npz(diagnostics_ess_min=1.0), "answers nothing"),
    (
        ".npz",
        npz_of([("contribution.npy", npy(header=claim("<f8", (10**12, 2, 3))))]),
        "contribution: has shape '(1000000000000, 2, 3)' and 0 bytes",
    ),
    (
        ".npz",
        npz_of([("contribution.npy", npy(header=claim("|O", (1, 2, 3)), body=b"x"))]),
        "contribution: is of type object",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "content", "message"), HOSTILE, ids=[message[:40] for _, _, message in HOSTILE])
def test_what_is_wrong_is_told(tmp_path, kind, content, message):
    failure = reply(tmp_path, content, kind)
    assert isinstance(failure, Failure), failure
    assert message in failure.detail and f"a{kind}" in failure.detail
    assert len(failure.detail) < 500 and failure.detail.isprintable()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_field_twice_in_an_archive_is_told(tmp_path):
    content = npz_of([("contribution.npy", npy(ZERO)), ("contribution.npy", npy(ZERO + 1))])
    assert "contribution: comes twice" in reply(tmp_path, content, ".npz").detail


def test_what_is_not_finite_is_a_failure_of_its_own(tmp_path):
    assert reply(tmp_path, LEAST.replace("tv,1", "tv,1e400")).reason == "nonfinite"
    assert reply(tmp_path, LEAST.replace("tv,1", "tv,1e400").replace("search,2", "x,2")).reason == "error"


@pytest.mark.parametrize("what", ["link", "folder", "pipe", "two files", "nothing"])
def test_only_one_plain_file_is_an_answer(tmp_path, what):
    folder = tmp_path / "answers"
    folder.mkdir()
    (tmp_path / "real.csv").write_text(LEAST)
    if what == "link":
        (folder / "a.csv").symlink_to(tmp_path / "real.csv")
    elif what == "folder":
        (folder / "a.csv").mkdir()
    elif what == "pipe":
        os.mkfifo(folder / "a.csv")  # opening it the plain way would wait for ever
    elif what == "two files":
        (folder / "a.csv").write_text(LEAST)
        (folder / "a.json").write_text("{}")
    words = {
        "link": "is a link", "folder": "is no file", "pipe": "is no file",
        "two files": "is answered by a.csv and a.json; one file a brief", "nothing": "is not answered",
    }  # fmt: skip
    assert words[what] in read_answer(folder, "a", BRIEF, LABELS).detail


# --- validation


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    briefs = [small.brief(seed)[0] for seed in range(3)]
    ids = ["first", "second", "third"]
    place = tmp_path_factory.mktemp("validate") / "task"
    return write_task(place, briefs, LABELS, [small.key(seed) for seed in range(3)], ids)


def test_every_fault_is_told_and_what_was_understood(task, tmp_path):
    (tmp_path / "first.csv").write_text(FULL)
    wrong = FULL.replace("tv,100", "telly,100").replace(",50,50,50", ",x,50,1e999")
    (tmp_path / "second.csv").write_text(wrong)
    (tmp_path / "thrid.csv").write_text(LEAST)
    (tmp_path / ".third.csv.partial").write_text("half")
    found = validate(task, tmp_path)
    assert found.understood == {"first": ("contribution", "interval", "budget"), "second": (), "third": ()}
    assert [str(fault) for fault in found.faults] == [
        "second.csv: row 2, column channel: unknown channel 'telly'; one of tv, search, +radio, local",
        "second.csv: row 3, column contribution: 'x' is no number; a number such as 1234.5",
        "second.csv: row 3, column high: '1e999' is not finite; a number below 1e308",
        "third: is not answered; a file third.csv, .json or .npz",
        "thrid.csv: answers no brief of the task; did you mean third.csv?",
    ]


def test_arrays_and_reasons_are_understood(task, tmp_path):
    (tmp_path / "first.npz").write_bytes(npz(contribution=ZERO, promise_0=np.zeros(3), promise_1=np.zeros(3)))
    (tmp_path / "second.json").write_text('{"reason": "unsupported", "detail": "too short"}')
    (tmp_path / "third.json").write_text(json.dumps({"forecast": np.zeros((2, 26, 1)).tolist()}))
    found = validate(task, tmp_path)
    assert found.faults == []
    assert found.understood == {
        "first": ("contribution", "promise"), "second": ("unsupported: too short",), "third": ("forecast",),
    }  # fmt: skip


def test_money_in_another_unit_is_a_warning(task, tmp_path):
    spent = [float(problem.status_quo.sum()) for problem in small.brief(0)[0].questions.problems]
    assert len(spent) == 2

    def told(name, **arrays):
        (tmp_path / f"{name}.npz").write_bytes(npz(**arrays))

    told("first", allocation_0=np.array([1.0, 0.0, 1.0]) * spent[0] / 2000, allocation_1=np.ones(3) * spent[1] / 3)
    told("second", allocation_0=np.zeros(3), allocation_1=np.full(3, np.nan))  # nothing, and left to the allocator
    (tmp_path / "third.csv").write_text(FULL.replace("2000", "2e9"))
    found = validate(task, tmp_path)
    assert found.faults == [] and found.understood["third"] == ("contribution", "interval", "budget")
    assert [(warning.file, warning.place) for warning in found.warnings] == [
        ("first.npz", "allocation_0"), ("third.csv", "column budget"),
    ]  # fmt: skip
    assert str(found.warnings[0]) == (
        f"first.npz: allocation_0: amounts come to {spent[0] / 1000:g} where the status quo spends {spent[0]:g}; "
        "expected is money in the unit of the spend, within a factor of 300 of it"
    )
    assert isinstance(read_answer(tmp_path, "first", small.brief(0)[0], LABELS), Answers)


def test_folders_that_are_none_are_refused(task, tmp_path):
    with pytest.raises(BadInput, match="is no folder"):
        validate(task, tmp_path / "nowhere")
    with pytest.raises(BadInput, match=r"task\.json"):
        validate(tmp_path, tmp_path)


# --- laws


@settings(max_examples=60)
@given(st.binary(max_size=300), st.sampled_from([".csv", ".json", ".npz"]))
def test_bytes_never_raise(tmp_path_factory, content, kind):
    folder = tmp_path_factory.mktemp("fuzz")
    assert isinstance(reply(folder, content, kind), Failure)


GOOD = {
    ".csv": FULL.encode(),
    ".npz": npz(contribution=ZERO, allocation_0=np.ones(3), allocation_1=np.ones(3)),
    ".json": json.dumps({"contribution": ZERO.tolist(), "channels": list(LABELS.channels)}).encode(),
}


@settings(max_examples=150)
@given(st.data(), st.sampled_from(sorted(GOOD)))
def test_damage_is_told_by_both_readers_or_by_none(tmp_path_factory, task, data, kind):
    """What validation lets pass is an answer, and what it does not is a failure."""
    content = bytearray(GOOD[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        how = data.draw(st.sampled_from(["change", "drop", "insert", "cut"]))
        if how == "change":
            content[at] = data.draw(st.integers(0, 255))
        elif how == "drop" and len(content) > 1:
            del content[at]
        elif how == "insert":
            content[at:at] = data.draw(st.sampled_from([b"9", b",", b"\n", b'"', b"e", b"-", b"\0", b"[", b"null"]))
        elif at:
            del content[at:]
    folder = tmp_path_factory.mktemp("damaged")
    (folder / f"first{kind}").write_bytes(bytes(content))
    came = read_answer(folder, "first", small.brief(0)[0], LABELS)
    faults = [fault for fault in validate(task, folder).faults if fault.file == f"first{kind}"]
    assert isinstance(came, Answers | Failure)
    assert bool(faults) == isinstance(came, Failure), (came, faults)


@settings(max_examples=30)
@given(st.permutations(range(3)), st.permutations(range(6)), st.integers(0, 10**6))
def test_rows_and_columns_come_in_any_order(tmp_path_factory, rows, columns, seed):
    random = np.random.default_rng(seed)
    point, below, above = random.normal(size=3), random.random(3), random.random(3)
    table = {
        "channel": [f'"{name}"' for name in LABELS.channels], "contribution": point, "low": point - below,
        "high": point + above, "level": random.uniform(0.1, 0.99, 3), "budget": random.random(3),
    }  # fmt: skip

    def text(lines, names):
        cells = [[table[name][row] for name in names] for row in lines]
        return "\n".join(",".join(str(cell) for cell in line) for line in [names, *cells]) + "\n"

    names = list(table)
    folder = tmp_path_factory.mktemp("order")
    one = reply(folder, text(range(3), names))
    two = reply(folder, text(rows, [names[c] for c in columns]))
    np.testing.assert_array_equal(one.contribution, two.contribution)
    np.testing.assert_array_equal(one.allocation, two.allocation)


def test_diagnostics_are_told_by_their_names():
    from simbench.protocol.parsing import DIAGNOSTICS

    assert tuple(f"diagnostics_{name}" for name in Diagnostics._fields) == DIAGNOSTICS
