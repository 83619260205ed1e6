"""Tables of the closed loop: what each policy cost, how sure that is, and what every decision was based on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from simbench.decide.loop import Lives
from simbench.score.statistics import mean_interval, paired

if TYPE_CHECKING:
    import pandas as pd

    from simbench.run.looping import Looped

Array = Any
#: Whom every policy is compared with: the first of these that plays.
AGAINST = ("greedy", "status-quo")
#: Share of worlds that make the bad tail.
TAIL = 0.1
#: Columns of the table of risk by which policies are ranked.
RANKED = ("mean", "worst tenth", "lost", "mean / sd")
FILES = ("policies", "risk", "decisions")


# --- numbers of one scenario, [K, R] each


def regret(lives: Lives) -> Array:
    """Cumulative regret, per cent of the usual spend of all epochs."""
    return 100.0 * lives.regret.sum(axis=0) / lives.usual


def against(lives: Lives, name: str) -> Array:
    """Realised profit more than another's on the same noise, per cent of the usual spend; NaN without it."""
    if name not in lives.policies:
        return np.full(lives.profit.shape, np.nan)
    return 100.0 * (lives.profit - lives.profit[lives.policies.index(name)]) / lives.usual


def moved(lives: Lives) -> Array:
    """Money moved an epoch, per cent: half of what was shifted against the mix of the epoch before."""
    shifts = []
    for one in lives.decided:
        usual = one.problem.status_quo.reshape(one.amounts.shape)
        shifts.append(0.5 * np.abs(one.amounts - one.mix * usual).sum(axis=-1) / usual.sum(axis=-1))
    return 100.0 * np.mean(shifts, axis=0)


def kept(lives: Lives) -> Array:
    """Money of the usual budgets that was never spent, per cent."""
    return 100.0 * (1.0 - sum(one.amounts.sum(axis=-1) for one in lives.decided) / lives.usual)


def gaps(lives: Lives) -> Array:
    """Largest gap between the best found and its proven bound, per cent of an epoch's spend."""
    shape = lives.profit.shape
    each = [(one.bound - one.optimum) / one.problem.status_quo.sum(axis=-1).reshape(shape) for one in lives.decided]
    return 100.0 * np.max(each, axis=0)


def failures(lives: Lives) -> Array:
    """Share of decisions for which a model was asked and did not answer."""
    return np.mean([one.failed for one in lives.decided], axis=0)


#: Column of the table of policies -> numbers of one scenario; each is a mean over worlds with its interval.
COLUMNS = {
    "regret": regret,
    "against oracle": lambda lives: against(lives, "oracle"),
    "money moved": moved,
    "money kept": kept,
    "error before": lambda lives: lives.before.error,
    "error after": lambda lives: lives.after.error,
    "width before": lambda lives: lives.before.width,
    "width after": lambda lives: lives.after.width,
    "gap": gaps,
    "failed": failures,
}


# --- tables


def by_world(lives: Sequence[Lives], number: Any) -> dict[str, Array]:
    """Of each policy, the mean over scenarios of a number, one a replicate: its worlds go together in all of them."""
    replicates = sorted({r for one in lives for r in one.replicates})
    found: dict[str, Array] = {}
    for k, policy in enumerate(lives[0].policies):
        rows = np.full((len(lives), len(replicates)), np.nan)
        for i, one in enumerate(lives):
            rows[i, [replicates.index(r) for r in one.replicates]] = number(one)[k]
        there = np.isfinite(rows).all(axis=0)
        found[policy] = np.where(there, rows.mean(axis=0), np.nan)
    return found


def shown(lives: Lives) -> list[str]:
    """Policies that have rows."""
    return [policy for policy in lives.policies if policy not in lives.hidden]


def scopes(lives: Sequence[Lives]) -> list[tuple[str, list[Lives]]]:
    """All scenarios together, then each alone."""
    alone = [(one.scenario.name, [one]) for one in lives]
    return alone if len(lives) == 1 else [("all", list(lives)), *alone]


def policies(lives: Sequence[Lives]) -> pd.DataFrame:
    """One row a scenario (and all together) and policy, the least regret first.

    Every number of :data:`COLUMNS` with the ends of its 95% interval, and the paired difference of
    regret from the policy that all are compared with.
    """
    import pandas as pd

    rows = []
    for name, some in scopes(lives):
        worlds = {column: by_world(some, number) for column, number in COLUMNS.items()}
        other = next((each for each in AGAINST if each in some[0].policies), some[0].policies[0])
        found = []
        for policy in shown(some[0]):
            row: dict[str, Any] = {"scenario": name, "policy": policy}
            for column, values in worlds.items():
                told = mean_interval(values[policy])
                row |= {column: told.value, f"{column} low": told.low, f"{column} high": told.high}
            difference = paired(worlds["regret"][policy], worlds["regret"][other])
            row |= {
                "against": other, "difference": difference.value, "difference low": difference.low,
                "difference high": difference.high, "worlds": difference.n,
            }  # fmt: skip
            found.append(row)
        rows += sorted(found, key=lambda row: (np.isnan(row["regret"]), row["regret"]))
    return pd.DataFrame(rows)


def risk(lives: Sequence[Lives]) -> pd.DataFrame:
    """What policies earned more than the usual plan in many worlds, and how badly it can go; the least bad tail first.

    Realised profit against the status quo's on the same noise, per cent of the usual spend: mean, sd
    over worlds, mean of the worst tenth (CVaR), share of worlds that lost, and mean / sd; and the rank by
    each of them among the policies of a scenario, the best first.
    """
    import pandas as pd

    rows = []
    for name, some in scopes(lives):
        found = []
        for policy, gain in by_world(some, lambda one: against(one, "status-quo")).items():
            gain = gain[np.isfinite(gain)]
            if not len(gain) or policy == "status-quo" or policy not in shown(some[0]):
                continue
            worst = np.sort(gain)[: max(1, int(np.ceil(TAIL * len(gain))))]
            sd = gain.std(ddof=1) if len(gain) > 1 else np.nan
            found.append({
                "scenario": name, "policy": policy, "mean": gain.mean(), "sd": sd, "worst tenth": worst.mean(),
                "lost": (gain < 0).mean(), "mean / sd": gain.mean() / sd if sd > 0 else np.nan, "worlds": len(gain),
            })  # fmt: skip
        rows += sorted(found, key=lambda row: -row["worst tenth"])
    columns = ("scenario", "policy", "mean", "sd", "worst tenth", "lost", "mean / sd", "worlds")
    table = pd.DataFrame(rows, columns=columns)
    for column in RANKED:
        ranks = table.groupby("scenario")[column].rank(ascending=column == "lost", method="min")
        table[f"rank {column}"] = ranks.astype("Int64")
    return table


def decisions(lives: Sequence[Lives]) -> pd.DataFrame:
    """The trail: one row a decision and channel, with the numbers it was based on. Money, unless a share.

    ``returns`` is money back for money spent, as whoever decided believed (empty: it reads none); ``promise``,
    ``value``, ``optimum`` and ``bound`` are of the whole decision, against the usual plan. ``because`` has
    further numbers that the decision was made on, as JSON, channels in order.
    """
    import pandas as pd

    parts = []
    for one in lives:
        names = list(one.labels.channels)
        for epoch, made in enumerate(one.decided):
            shape = made.amounts.shape
            policy, replicate, unit = (x.ravel() for x in np.indices(shape))

            def each(x: Array, shape: Any = shape) -> Array:  # [K, R] or [K x R, U] as one column
                return np.broadcast_to(np.reshape(x, (*shape[:2], -1)), shape).ravel()

            problem, failed = made.problem, each(made.failed)
            parts.append(pd.DataFrame({
                "scenario": one.scenario.name, "policy": np.array(one.policies)[policy],
                "replicate": np.array(one.replicates)[replicate], "epoch": epoch + 1, "week": made.week,
                "channel": np.array(names)[unit], "usual": each(problem.status_quo), "lower": each(problem.lower),
                "upper": each(problem.upper), "budget_low": each(problem.budget[:, 0]),
                "budget_high": each(problem.budget[:, 1]), "reserve": each(made.reserve),
                "returns": each(made.returns), "amount": each(made.amounts), "promise": each(made.promise),
                "because": each(made.because),
                "value": each(made.value), "optimum": each(made.optimum), "bound": each(made.bound),
                "regret": each(made.optimum - made.value),
                "status": np.where(failed, "model failed: usual plan", "decided"),
            }))  # fmt: skip
    trail = pd.concat(parts, ignore_index=True)
    return trail[trail.policy.isin(shown(lives[0]))].reset_index(drop=True)


def write(looped: Looped) -> None:
    """``policies.csv``, ``risk.csv`` and ``decisions.csv`` in the folder of a loop."""
    looped.folder.mkdir(parents=True, exist_ok=True)
    for name, table in zip(FILES, (policies, risk, decisions), strict=True):
        table(looped.lives).to_csv(looped.folder / f"{name}.csv", index=False)
