"""Dates of the holidays in moving-holidays.toml, as tables to paste: drawing a world needs no calendar package.

``pip install holidays && python scenarios/data/holiday_dates.py``
"""

from __future__ import annotations

from datetime import date

YEARS = range(2020, 2025)  # pre-history to horizon
LIFTS = {"chinese-new-year": (0.25, 0.4), "easter": (0.15, 0.3), "singles-day": (0.4, 0.6)}


def dates() -> dict[str, list[date]]:
    """Holiday -> its day in every year, pre-history and holdout included."""
    import holidays

    china, spain = (holidays.country_holidays(code, years=YEARS, language="en_US") for code in ("CN", "ES"))

    def day_of(calendar: dict[date, str], name: str, year: int) -> date:
        return min(day for day, names in calendar.items() if day.year == year and name in names.split("; "))

    return {
        "chinese-new-year": [day_of(china, "Chinese New Year (Spring Festival)", year) for year in YEARS],
        "easter": [day_of(spain, "Good Friday", year) for year in YEARS],
        "singles-day": [date(year, 11, 11) for year in YEARS],
    }


def main() -> None:
    """Print one table of events a holiday."""
    for name, days in dates().items():
        low, high = LIFTS[name]
        print(f'[[demand.events]]\nname = "{name}"')
        print(f"dates = [{', '.join(repr(day.isoformat()) for day in days)}]".replace("'", '"'))
        print(f'lift = {{ dist = "uniform", low = {low}, high = {high} }}\n')


if __name__ == "__main__":
    main()
