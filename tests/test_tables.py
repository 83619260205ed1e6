from __future__ import annotations

import tempfile
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simbench.errors import BadInput
from simbench.tables import read_weekly, to_weeks


def weeks(count: int, start: str = "2021-01-04", step: int = 7) -> list[str]:
    return [str(date.fromisoformat(start) + timedelta(days=step * i)) for i in range(count)]


def write(folder: Path, text: str, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_what_was_written(tmp_path: Path) -> None:
    frame = pd.DataFrame({"date": weeks(5), "tv": [1.5, 0, 2, 3, 1e6], "note": list("abcde")})
    frame.to_csv(tmp_path / "data.csv", index=False)
    read = read_weekly(tmp_path / "data.csv")
    assert list(read.columns) == ["date", "tv", "note"]
    assert read["date"].tolist() == [pd.Timestamp(day) for day in weeks(5)]
    np.testing.assert_array_equal(read["tv"], frame["tv"])
    assert read["tv"].dtype == np.float64
    assert read["note"].tolist() == list("abcde")


def test_columns_come_in_the_order_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, "tv,week,search\n" + "".join(f"1,{day},2\n" for day in weeks(3)))
    assert list(read_weekly(str(path), columns=["search", "tv"]).columns) == ["week", "search", "tv"]


@pytest.mark.parametrize("name", ["DATE", "date_week", "time", "Week", "ds", "Week Start"])
def test_date_column_is_found(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, f"tv,{name}\n" + "".join(f"1,{day}\n" for day in weeks(3)))
    assert read_weekly(path).columns[0] == name


def test_a_date_goes_before_the_number_of_a_week(tmp_path: Path) -> None:
    path = write(tmp_path, "week,date\n" + "".join(f"{i},{day}\n" for i, day in enumerate(weeks(3))))
    assert list(read_weekly(path).columns) == ["date", "week"]


def test_midnight_marks_quotes_and_a_byte_order_mark_are_fine(tmp_path: Path) -> None:
    rows = "".join(f'"{day}T00:00:00"," 1e3 "\r\n' for day in weeks(3))
    path = write(tmp_path, f"\ufeffdate,tv\r\n{rows}\r\n")
    assert read_weekly(path, columns=["tv"])["tv"].tolist() == [1000.0] * 3


D = weeks(6)
BAD = {
    "no such column": ("date,tv\n" + f"{D[0]},1\n", {"columns": ["tvv"]}, ["'tvv'", "did you mean 'tv'"]),
    "no such date": (f"date,tv\n{D[0]},1\n", {"date": "dat"}, ["'dat'", "did you mean 'date'"]),
    "no date column": (f"when,tv\n{D[0]},1\n", {}, ["no date column", "date=...", "when, tv"]),
    "unknown nonnegative": (f"date,tv\n{D[0]},1\n", {"nonnegative": ["tb"]}, ["did you mean 'tv'"]),
    "text": (f"date,tv\n{D[0]},1\n{D[1]},lots\n", {}, ["column 'tv', row 2 (2021-01-11)", "'lots'"]),
    "text column asked for": (f"date,tv\n{D[0]},na\n", {"columns": ["tv"]}, ["row 1", "'na'"]),
    "text where spend": (f"date,tv\n{D[0]},na\n", {"nonnegative": ["tv"]}, ["row 1", "'na'"]),
    "NaN": (f"date,tv\n{D[0]},1\n{D[1]},NaN\n", {}, ["row 2", "'NaN' is not a finite number"]),
    "infinity": (f"date,tv\n{D[0]},1\n{D[1]},inf\n", {}, ["row 2", "'inf' is not a finite number"]),
    "overflow": (f"date,tv\n{D[0]},1\n{D[1]},1e999\n", {}, ["row 2", "'1e999' is not a finite number"]),
    "empty": (f"date,tv\n{D[0]},1\n{D[1]},\n", {}, ["row 2", "an empty cell"]),
    "grouped digits": (f'date,tv\n{D[0]},1\n{D[1]},"1,000"\n', {}, ["row 2", "'1,000'"]),
    "underscore": (f"date,tv\n{D[0]},1\n{D[1]},1_000\n", {}, ["row 2", "'1_000'"]),
    "negative spend": (
        f"date,tv\n{D[0]},1\n{D[1]},-3\n", {"nonnegative": ["tv"]}, ["row 2", "-3 is negative"]
    ),
    "twice": (f"date,tv\n{D[0]},1\n{D[1]},1\n{D[0]},1\n", {}, ["2021-01-04 occurs twice, in rows 1 and 3"]),
    "unsorted": (f"date,tv\n{D[1]},1\n{D[0]},1\n", {}, ["row 2", "2021-01-04 comes after 2021-01-11"]),
    "gap": (f"date,tv\n{D[0]},1\n{D[1]},1\n{D[4]},1\n", {}, ["missing weeks: 2021-01-18, 2021-01-25;"]),
    "long gap": (f"date,tv\n{D[0]},1\n2022-01-03,1\n", {}, ["2021-02-08, ...;"]),
    "daily": (
        "DATE,tv\n" + "".join(f"{day},1\n" for day in weeks(9, "2021-01-01", 1)), {},
        ['sb.to_weeks(frame, date="DATE", first_day="2021-01-04")'],
    ),
    "monthly": ("date,tv\n2021-01-01,1\n2021-02-01,1\n", {}, ["row 2", "31 days after 2021-01-01"]),
    "other date": ("date,tv\n04/01/2021,1\n", {}, ["row 1", "'04/01/2021' is no date", "2021-01-04"]),
    "no such day": ("date,tv\n2021-02-30,1\n", {}, ["'2021-02-30' is no date"]),
    "a time of day": ("date,tv\n2021-02-20 13:00,1\n", {}, ["'2021-02-20 13:00' is no date"]),
    "no rows": ("date,tv\n", {}, ["has no rows"]),
    "nothing": ("", {}, ["has no rows"]),
    "ragged": (f"date,tv\n{D[0]},1\n{D[1]},1,2\n", {}, ["row 2", "3 cells", "2, as in the header"]),
    "column twice": (f"date,tv,tv\n{D[0]},1,2\n", {}, ["column 'tv' occurs 2 times"]),
    "semicolons": (f"date;tv\n{D[0]};1\n", {}, ["single column", "commas"]),
    "open quote": (f'date,tv\n{D[0]},"1\n', {}, ["is no CSV file"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_faults_are_named(tmp_path: Path, case: str) -> None:
    text, options, fragments = BAD[case]
    path = write(tmp_path, text)
    with pytest.raises(BadInput) as caught:
        read_weekly(path, **options)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_missing_and_binary_files(tmp_path: Path) -> None:
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00date")
    for name, fragment in {
        "none.csv": "cannot be read",
        "binary.csv": "is no CSV file",
        "": "cannot be",
    }.items():
        with pytest.raises(BadInput, match=fragment):
            read_weekly(tmp_path / name)


def daily(count: int, start: str = "2021-01-04") -> pd.DataFrame:
    return pd.DataFrame({"day": weeks(count, start, 1), "tv": np.arange(count) + 1.0, "kpi": 2})


def test_days_are_summed_to_weeks() -> None:
    result = to_weeks(daily(14), date="day")
    assert result["day"].tolist() == [pd.Timestamp("2021-01-04"), pd.Timestamp("2021-01-11")]
    assert result["tv"].tolist() == [sum(range(1, 8)), sum(range(8, 15))]
    assert result["kpi"].tolist() == [14.0, 14.0]
    assert result.attrs["dropped"] == ()


def test_order_of_days_and_spelling_of_dates_do_not_matter() -> None:
    frame = daily(21)
    shuffled = frame.sample(frac=1.0, random_state=3).assign(day=lambda f: pd.to_datetime(f["day"]))
    pd.testing.assert_frame_equal(to_weeks(frame, "day"), to_weeks(shuffled, "day"))


def test_incomplete_weeks_are_named_and_never_padded() -> None:
    frame = daily(20, "2021-01-01")
    with pytest.raises(BadInput, match="2021-01-01 to 2021-01-03 and 2021-01-18 to 2021-01-20"):
        to_weeks(frame, date="day", first_day="2021-01-04")
    result = to_weeks(frame, date="day", first_day="2021-01-04", drop_partial=True)
    assert result.attrs["dropped"] == (("2021-01-01", "2021-01-03"), ("2021-01-18", "2021-01-20"))
    assert result["tv"].tolist() == [sum(range(4, 11)), sum(range(11, 18))]


def test_any_day_of_the_right_weekday_sets_the_weeks() -> None:
    frame = daily(35)
    late = to_weeks(frame, date="day", first_day="2021-01-25")
    pd.testing.assert_frame_equal(late, to_weeks(frame, date="day"))


@pytest.mark.parametrize(
    ("frame", "options", "fragments"),
    [
        (daily(14).drop(index=[3, 4]), {}, ["missing days: 2021-01-07, 2021-01-08"]),
        (pd.concat([daily(14), daily(1)]), {}, ["2021-01-04 occurs twice, in rows 1 and 15"]),
        (daily(14).assign(tv="x"), {}, ["column 'tv', row 1 (2021-01-04)", "'x'"]),
        (daily(14).assign(tv=[*range(13), np.nan]), {}, ["row 14 (2021-01-17)", "'nan'"]),
        (daily(14), {"date": "dya"}, ["did you mean 'day'"]),
        (daily(14), {"first_day": "Monday"}, ["first_day", "'Monday' is no date"]),
        (daily(5), {"drop_partial": True}, ["no complete week"]),
        (daily(0), {}, ["no rows"]),
        (daily(14).assign(day="soon"), {}, ["row 1", "'soon' is no date"]),
        (pd.concat([daily(14), daily(14)["tv"]], axis=1), {}, ["column 'tv' occurs 2 times"]),
    ],
)
def test_faults_of_daily_data_are_named(frame: pd.DataFrame, options: dict, fragments: list[str]) -> None:
    with pytest.raises(BadInput) as caught:
        to_weeks(frame, **{"date": "day", **options})
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_what_the_error_tells_to_call_gives_a_weekly_file(tmp_path: Path) -> None:
    frame = daily(23, "2021-01-02")
    frame.to_csv(tmp_path / "daily.csv", index=False)
    with pytest.raises(BadInput, match='date="day", first_day="2021-01-04"'):
        read_weekly(tmp_path / "daily.csv")
    to_weeks(frame, date="day", first_day="2021-01-04", drop_partial=True).to_csv(tmp_path / "weekly.csv", index=False)
    assert len(read_weekly(tmp_path / "weekly.csv", date="day")) == 3


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200).map(lambda text: ("date,tv\n2021-01-04," + text).encode(errors="replace")),
        st.lists(st.tuples(st.dates(), st.floats() | st.text(max_size=5)), max_size=5).map(
            lambda rows: ("date,tv\n" + "\n".join(f"{day},{value}" for day, value in rows)).encode(errors="replace")
        ),
    )
)
def test_nothing_but_bad_input_is_raised(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        path.write_bytes(content)
        try:
            frame = read_weekly(path, columns=["tv"], nonnegative=["tv"])
        except BadInput:
            return
        assert np.isfinite(frame["tv"]).all() and (frame["tv"] >= 0).all()
        assert (frame["date"].diff().dropna() == pd.Timedelta(days=7)).all()
