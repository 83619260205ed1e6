"""What every backend must do, checked: the laws behind ``simbench check``.

Each check asks the backend about changed briefs whose answers follow from the ones it has already
given. Three degrees: *the same* is bit for bit; *alike* is equal means up to 1e-6 of a field's
largest value (1e-3 in float32) or `ERRORS` Monte Carlo standard errors of the draws; where neither
can be said the check does not apply.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import jax
import numpy as np

from simbench.backends.base import Backend, by_shape
from simbench.backends.changed import (
    cut_short,
    impossible,
    in_contacts,
    in_kpi,
    in_money,
    reversed_channels,
    with_origin,
)
from simbench.backends.replies import checked
from simbench.errors import BadInput
from simbench.records import Answers, Brief, Failure

Array = Any
PASSED, FAILED, NOT_APPLICABLE = "passed", "failed", "not applicable"
#: Money and KPI are rescaled by this much: a power of two, so that floats stay exact.
FACTOR = 1024.0
#: Monte Carlo standard errors that means may be apart.
ERRORS = 5.0
TOLERANCE = {"float64": 1e-6}

#: How answers follow money, and how they follow KPI units; what is not named does not change.
BY_MONEY = {"marginal": 1 / FACTOR, **dict.fromkeys(("plan_value", "response_paid", "allocation", "promise"), FACTOR)}
BY_KPI = dict.fromkeys(
    ("contribution", "marginal", "curve", "baseline", "contribution_geo", "forecast", "response"), FACTOR
)
#: Axis of the channels, in the answers that have one.
CHANNEL_AXIS = {"contribution": -1, "marginal": -1, "curve": 1, "impulse": 1, "contribution_geo": -1}


class Check(NamedTuple):
    """One law and whether it holds."""

    name: str
    status: str  #: passed, failed, not applicable
    detail: str = ""


class Asked(NamedTuple):
    """A backend, briefs of one shape, and what it said about them."""

    backend: Backend
    briefs: list[Brief]
    keys: list[Array]
    replies: list[Answers]
    seconds: float  #: of the first call


class _Fault(Exception):
    """A law does not hold."""


class _Skip(Exception):
    """A law says nothing about this backend."""


def check(backend: Backend, briefs: Sequence[Brief]) -> list[Check]:
    """Whether a backend keeps the laws every backend must keep.

    Parameters
    ----------
    backend : Backend
    briefs : sequence of Brief
        At least two of one shape, of worlds that can be answered; of every further shape (a geo
        panel) only that it is answered or refused properly.

    Returns
    -------
    list of Check
        One a law, in a fixed order.

    Raises
    ------
    BadInput
        If the briefs do not suffice.
    """
    shapes = [[briefs[i] for i in rows] for rows in by_shape(briefs).values()]
    groups = [group for group in shapes if _supported(backend, group[0])]
    refused = [group for group in shapes if not _supported(backend, group[0])]
    if max(map(len, shapes), default=0) < 2:
        raise BadInput("check", f"{len(briefs)} briefs", "at least two of one shape")
    done = [_run("supports", lambda: supports(backend, briefs))]
    if not groups:
        return [*done, Check("answers", FAILED, f"refuses every brief: {backend.supports(briefs[0])}")]
    main = max(groups, key=len)
    keys = [np.array([i + 1, 7], dtype=np.uint32) for i in range(len(main))]
    before, started = jax.tree.map(np.copy, main), perf_counter()
    try:
        replies = ask(backend, main, keys)
        asked = Asked(backend, main, keys, answered(replies), perf_counter() - started)
    except Exception as error:
        done.append(Check("answers", FAILED, _said(error)))
        return [*done, *(Check(name, NOT_APPLICABLE, "no answers to compare") for name in LAWS)]
    done.append(Check("answers", PASSED, contents(asked.replies[0])))
    done.append(_run("brief untouched", lambda: untouched(before, main)))
    done += [_run(name, lambda law=law: law(asked)) for name, law in LAWS.items()]  # type: ignore[misc]
    for group in (*groups, *refused):
        if group is not main:
            name = f"{np.shape(group[0].panel.lever)[1]} geos, {np.shape(group[0].panel.lever)[0]} weeks"
            done.append(_run(name, lambda group=group: another_shape(backend, group)))  # type: ignore[misc]
    return done


def _supported(backend: Backend, brief: Brief) -> bool:
    try:
        return backend.supports(brief) is None
    except Exception:
        return True  # the check of that name tells it


def _run(name: str, law: Callable[[], str]) -> Check:
    try:
        return Check(name, PASSED, law())
    except _Skip as reason:
        return Check(name, NOT_APPLICABLE, str(reason))
    except Exception as error:
        return Check(name, FAILED, _said(error))


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, _Fault) else f"raised {type(error).__name__}: {error}"


def ask(backend: Backend, briefs: Sequence[Brief], keys: Sequence[Array]) -> list[Answers | Failure]:
    """Replies, one a brief, each checked against its brief."""
    replies = backend.answer(list(briefs), [key.copy() for key in keys])
    if len(replies) != len(briefs):
        raise _Fault(f"{len(replies)} replies to {len(briefs)} briefs")
    return [checked(brief, reply) for brief, reply in zip(briefs, replies, strict=True)]


def asked_alone(asked: Asked, brief: Brief) -> Answers:
    """The answer to a changed version of the first brief, under the first key."""
    return answered(ask(asked.backend, [brief], asked.keys[:1]))[0]


def answered(replies: Sequence[Answers | Failure]) -> list[Answers]:
    """The replies, if all are answers with the same fields and draws."""
    for reply in replies:
        if isinstance(reply, Failure):
            raise _Fault(f"{reply.reason}: {reply.detail}")
    told = [contents(reply) for reply in replies]  # type: ignore[arg-type]
    if len(set(told)) > 1:
        raise _Fault(f"worlds of one shape are answered differently: {' / '.join(dict.fromkeys(told))}")
    return list(replies)  # type: ignore[arg-type]


def fields(answers: Answers) -> dict[str, list[Array]]:
    """What is answered: arrays by field, diagnostics and levels apart."""
    apart = ("levels", "diagnostics")
    return {name: jax.tree.leaves(x) for name, x in answers._asdict().items() if x is not None and name not in apart}


def contents(answers: Answers) -> str:
    """Which fields are answered, and in how many draws."""
    told = fields(answers)
    draws = next((len(x[0]) for name, x in told.items() if name != "allocation" and x), 1)
    kind = f"{draws} quantiles" if answers.levels is not None else f"{draws} draw{'s' * (draws > 1)}"
    return f"{', '.join(told)} ({kind})"


# --- comparing


def same(before: Any, after: Any) -> None:
    """Bit for bit."""
    for name, mine in before._asdict().items():
        for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(getattr(after, name)), strict=True):
            if not np.array_equal(a, b, equal_nan=True):
                raise _Fault(f"{name} is not the same")


def alike(asked: Asked, after: Answers, factors: Mapping[str, float] | None = None) -> str:
    """Equal means, up to rounding or Monte Carlo error; says what the largest difference is."""
    before, tolerance = asked.replies[0], TOLERANCE.get(asked.backend.precision, 1e-3)
    if list(fields(before)) != list(fields(after)):
        raise _Fault(f"answers {contents(after)}, before {contents(before)}")
    sample = size_of_sample(asked.briefs[0], before, after)
    apart: dict[str, float] = {}  # in shares of the largest value
    for name, parts in fields(before).items():
        factor = (factors or {}).get(name, 1.0)
        for mine, theirs in zip(parts, fields(after)[name], strict=True):
            mine, error = mine * factor, 0.0
            size = np.nanmax(np.abs(mine), initial=0.0) or 1.0
            if name == "allocation":
                # what is decided on draws moves with them, by an amount nobody can tell
                error = np.inf if max(apart.values(), default=0.0) > tolerance else 0.0
            else:
                (mine, spread, lost), (theirs, other, gone) = _usual(mine), _usual(theirs)
                chance = np.sqrt((lost * (1 - lost) + gone * (1 - gone)) / sample)
                if (abs(lost - gone) > tolerance + ERRORS * chance).any():
                    raise _Fault(f"{name} is undefined in {abs(lost - gone).max():.0%} more of the draws, or fewer")
                error = np.sqrt((spread + other) / sample)
            undefined = np.isnan(mine) | np.isnan(theirs)
            difference = np.where(undefined, 0.0, np.abs(mine - theirs))
            if not (undefined | (difference <= tolerance * size + ERRORS * error)).all():
                if not apart and name == "allocation" and by_chance(asked):
                    raise _Skip("decides on draws that it does not tell")
                raise _Fault(f"{name} is off by {np.nanmax(difference) / size:.2g} of its largest value")
            apart[name] = max(apart.get(name, 0.0), difference.max(initial=0.0) / size)
    worst = max(apart, key=lambda name: apart[name])
    return f"largest difference {apart[worst]:.1g} of {worst}" if apart[worst] else "no difference"


def by_chance(asked: Asked) -> bool:
    """Whether the first brief is allocated otherwise under another key."""
    (other,) = answered(ask(asked.backend, asked.briefs[:1], asked.keys[1:2]))
    both = zip(asked.replies[0].allocation or (), other.allocation or (), strict=False)
    return not all(np.array_equal(one, two, equal_nan=True) for one, two in both)


def _usual(draws: Array) -> tuple[Array, Array, Array]:
    """Mean and variance over the draws in which a number is defined, and the share of those in which it is not."""
    defined = ~np.isnan(draws)
    count = defined.sum(axis=0)
    mean = np.where(defined, draws, 0.0).sum(axis=0) / np.where(count > 0, count, np.nan)
    variance = np.where(defined, (draws - mean) ** 2, 0.0).sum(axis=0) / np.maximum(count, 1)
    return mean, variance, 1.0 - count / len(draws)


def size_of_sample(brief: Brief, *several: Answers) -> float:
    """How many independent draws the answers are worth at least."""
    counts = [float(brief.questions.sizes.draws)]
    for answers in several:
        if answers.levels is None:
            drawn = (len(x[0]) for name, x in fields(answers).items() if x and name != "allocation")
            counts.append(float(max(drawn, default=1)))
        told = np.nan if answers.diagnostics is None else float(answers.diagnostics.ess_min)
        counts += [max(told, 1.0)] if np.isfinite(told) else []
    return min(counts)


# --- laws: each gives a detail, or raises _Fault or _Skip


def supports(backend: Backend, briefs: Sequence[Brief]) -> str:
    """`supports` gives None or a reason, by shapes and kinds and not by values."""
    reasons = [backend.supports(brief) for brief in briefs]
    if any(reason is not None and (not isinstance(reason, str) or not reason) for reason in reasons):
        raise _Fault("gives neither None nor a reason in words")
    if [backend.supports(impossible(brief)) for brief in briefs] != reasons:
        raise _Fault("depends on values, not only on shapes and kinds")
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason)) or "every brief"


def untouched(before: Sequence[Brief], after: Sequence[Brief]) -> str:
    """Briefs are only read."""
    for mine, theirs in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        if not np.array_equal(mine, theirs, equal_nan=True):
            raise _Fault("a brief was changed while it was answered")
    return ""


def again(asked: Asked) -> str:
    """The same briefs and keys, as other arrays, give the same answers."""
    started = perf_counter()
    replies = ask(asked.backend, jax.tree.map(np.copy, asked.briefs), asked.keys)
    each = (perf_counter() - started) / len(replies)
    for before, after in zip(asked.replies, replies, strict=True):
        if isinstance(after, Failure):
            raise _Fault(f"{after.reason}: {after.detail}")
        same(before, after)
    return f"{asked.seconds:.1f} s the first time, then {each:.2g} s a world"


def company(asked: Asked) -> str:
    """A world is answered alike alone and among others, in any order."""
    last = answered(ask(asked.backend, asked.briefs[-1:], asked.keys[-1:]))
    same(asked.replies[-1], last[0])
    turned = ask(asked.backend, asked.briefs[::-1], asked.keys[::-1])
    for before, after in zip(asked.replies, answered(turned)[::-1], strict=True):
        same(before, after)
    return ""


def after_the_origin(asked: Asked) -> str:
    """What stands in a panel at or after its origin changes nothing."""
    variants = [with_origin(asked.briefs[0], filling) for filling in (0.0, 1e7, np.nan)]
    replies = ask(asked.backend, variants, asked.keys[:1] * 3)
    first, *others = answered(replies)
    for other in others:
        same(_seen(first, variants[0]), _seen(other, variants[0]))
    return ""


def not_recorded(asked: Asked) -> str:
    """What stands for the KPI of a week that nobody recorded changes nothing."""
    first = asked.briefs[0]
    gaps = [int(first.panel.origin) // 3, int(first.panel.origin) - 2]

    def filled(value: float) -> Brief:
        kpi, mask = np.array(first.panel.kpi, dtype=float), np.array(first.panel.mask, dtype=float)
        kpi[gaps], mask[gaps] = value, 0.0
        return first._replace(panel=first.panel._replace(kpi=kpi, mask=mask))

    variants = [filled(value) for value in (0.0, 1e7, np.nan)]
    replies = ask(asked.backend, variants, asked.keys[:1] * 3)
    if any(isinstance(reply, Failure) and reply.reason == "unsupported" for reply in replies):
        raise _Skip("refuses panels with weeks that nobody recorded")
    one, *others = answered(replies)
    for other in others:
        same(one, other)
    return ""


def shorter_panel(asked: Asked) -> str:
    """Weeks that are masked might as well not be there."""
    masked = with_origin(asked.briefs[0], np.nan)
    reply = _seen(asked_alone(asked, masked), masked)
    return alike(asked._replace(replies=[reply]), asked_alone(asked, cut_short(masked)))


def _seen(answers: Answers, brief: Brief) -> Answers:
    if answers.baseline is None:
        return answers
    return answers._replace(baseline=answers.baseline[:, : int(brief.panel.origin)])


def other_money(asked: Asked) -> str:
    """Money in other units scales what is money and nothing else."""
    return alike(asked, asked_alone(asked, in_money(asked.briefs[0], FACTOR)), BY_MONEY)


def other_kpi(asked: Asked) -> str:
    """KPI in other units scales what is KPI and nothing else."""
    return alike(asked, asked_alone(asked, in_kpi(asked.briefs[0], FACTOR)), BY_KPI)


def other_contacts(asked: Asked) -> str:
    """Contacts counted in other units change nothing."""
    if asked.briefs[0].panel.exposure is None:
        raise _Skip("no contacts in these briefs")
    return alike(asked, asked_alone(asked, in_contacts(asked.briefs[0], FACTOR)))


def channel_order(asked: Asked) -> str:
    """Channels in reverse order are answered in reverse order."""
    if np.shape(asked.briefs[0].panel.lever)[2] < 2:
        raise _Skip("one channel")
    told = asked_alone(asked, reversed_channels(asked.briefs[0]))
    turned = {name: np.flip(x[0], CHANNEL_AXIS[name]) for name, x in fields(told).items() if name in CHANNEL_AXIS}
    return alike(asked, told._replace(**turned))


def impossible_world(asked: Asked) -> str:
    """A world without usable numbers is a failure or a proper answer; its neighbours stand."""
    briefs = [impossible(asked.briefs[0]), *asked.briefs[1:]]
    replies = ask(asked.backend, briefs, asked.keys)
    for before, after in zip(asked.replies[1:], replies[1:], strict=True):
        if isinstance(after, Failure):
            raise _Fault(f"a neighbour failed too ({after.reason}: {after.detail})")
        same(before, after)
    first = replies[0]
    return f"{first.reason}: {first.detail}" if isinstance(first, Failure) else "answered all the same"


def another_shape(backend: Backend, briefs: Sequence[Brief]) -> str:
    """Briefs of a further shape are answered in full, or refused."""
    reason = backend.supports(briefs[0])
    if reason is not None:
        raise _Skip(reason)
    keys = [np.array([i + 1, 7], dtype=np.uint32) for i in range(len(briefs))]
    return contents(answered(ask(backend, briefs, keys))[0])


LAWS: dict[str, Callable[[Asked], str]] = {
    "same again": again,
    "company": company,
    "after the origin": after_the_origin,
    "not recorded": not_recorded,
    "shorter panel": shorter_panel,
    "other money": other_money,
    "other KPI units": other_kpi,
    "other contacts": other_contacts,
    "channel order": channel_order,
    "impossible world": impossible_world,
}
