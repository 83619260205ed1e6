"""Draw worlds and tell their truth.

``draw(scenario, replicates)`` gives briefs and truths, at any origin; ``fresh_futures`` tells what
the holdout might have been. Every number is float64, computed in fixed-size blocks by programs
compiled once a form. Conventions: docs/design.md, section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from simbench import brief_changes, briefs, ids
from simbench.blocks import in_blocks, make_room
from simbench.brief_changes import Transform
from simbench.errors import BadInput
from simbench.records import Brief, Labels, Truth
from simbench.world.base import Noise, Observation, State, rollout
from simbench.world.forms import Form, form_of, fresh_innovations, given_of, innovations_of, numbers_of
from simbench.world.history import coalitions as coalitions
from simbench.world.history import history_program
from simbench.world.kpi import LARGEST_COUNT
from simbench.world.measure import Known, measured
from simbench.world.panel import Memory, at, kept, memory_at, undisturbed, world_of
from simbench.world.scenario import Scenario, family, points, read_scenario
from simbench.world.scenario_checks import COUNTS
from simbench.world.seen import brief_of, problem_words, weeks_before
from simbench.world.seen import labels_of as labels_of
from simbench.world.seen import spec_of as spec_of
from simbench.world.worth import Book, book_of, fresh_program, optima_of, twin_of

Array = Any


class Drawn(NamedTuple):
    """Replicates of one scenario. Arrays are batched (leading axis R); `one` takes one out."""

    scenario: Scenario
    labels: Labels
    replicates: tuple[int, ...]
    brief: Brief
    truth: Truth | None
    secret: Secret
    origin: int = 0  #: 0 or -k: asked k weeks before the panel's end

    @property
    def briefs(self) -> list[Brief]:
        """One brief a replicate."""
        return [briefs.one(self.brief, i) for i in range(len(self.replicates))]

    @property
    def truths(self) -> list[Truth]:
        """One truth a replicate."""
        if self.truth is None:
            raise BadInput("Drawn.truths", "drawn without truth", "draw(..., truth=True)")
        return [briefs.one(self.truth, i) for i in range(len(self.replicates))]


class Secret(NamedTuple):
    """What only the world knows (batched): never part of a brief."""

    form: Form
    noise: Noise
    keys: tuple[bytes, ...]  #: one random stream a replicate, for searches
    start: State  #: at week 0
    now: State  #: at the origin
    path: Observation  #: [R, P+T+H, ...]
    controls: Array  #: [R, P+N, K] as told, of all weeks

    @property
    def weeks(self) -> int:
        """Weeks of data: the origin, counted from week 0."""
        return int(self.now["week"][0]) - self.form.pre


# --- drawing


@lru_cache(maxsize=64)
def draw_program(form: Form) -> Callable[[Noise, Array], tuple[State, Memory, Observation, Array]]:
    """Compiled: (a block of noise, weeks of data) -> state at week 0, memory at the origin, path, controls."""
    make_room()  # once a form: a process that draws many would run out of it
    world, seen_weeks = world_of(form), form.pre + form.weeks + form.holdout

    def run(noise: Noise, origin: Array) -> tuple[State, Memory, Observation, Array]:
        state = world.init(noise)
        if form.feedback:
            path = world.stretch(state, rollout(world, state, world.plan, seen_weeks)[1].lever)[1]
        else:
            path = undisturbed(form, state, seen_weeks)
        start, now = (memory_at(form, state, path, week) for week in (form.pre, form.pre + origin))
        return at(kept(state), start), now, path, state["told"]["controls"]

    per_world: Any = Noise(0, 0, None)  # type: ignore[arg-type]  # axes, not arrays
    return jax.jit(jax.vmap(run, in_axes=(per_world, None)))


def noise_of(scenario: Scenario, form: Form, replicates: Sequence[int], master: bytes) -> Noise:
    """Numbers and innovations of some replicates, batched."""
    numbers = numbers_of(scenario, replicates, master)
    innovations = innovations_of(form, family(scenario), replicates, master, numbers.get("noise.df"))
    return Noise(numbers, innovations, given_of(scenario, form))


def draw(
    source: str | Path | Scenario,
    replicates: int | Sequence[int] = 1,
    *,
    truth: bool = True,
    master: bytes = ids.OPEN_MASTER,
    origin: int = 0,
) -> Drawn:
    """Draw replicates of a scenario: briefs for contenders, truths for the scorer.

    Parameters
    ----------
    source : str, path or Scenario
        A shipped name (``"clean"``, ``"collinear[0.9]"``), a file, or a scenario already read.
    replicates : int or sequence of int
        How many (numbers 0..n-1), or which.
    truth : bool
        False leaves the truth out (drawing alone is many times quicker).
    master : bytes
        Master key of the random streams.
    origin : int
        0, or -k: the same worlds asked k weeks earlier. Panels keep their rows, those from the
        origin on are zero with mask 0; everything asked and true moves to the new origin.

    Returns
    -------
    Drawn

    Raises
    ------
    BadInput
        If the scenario is wrong, is a sweep (name one of its points), draws a world that
        cannot be (the message names the replicate), or the origin leaves too little data.

    Examples
    --------
    >>> import simbench as sb
    >>> drawn = sb.draw("clean", replicates=2)
    >>> drawn.truths[0].answers.contribution.shape[-1] == len(drawn.labels.channels)
    True
    """
    scenario = source if isinstance(source, Scenario) else read_scenario(source)
    if scenario.sweep is not None:
        raise BadInput(
            scenario.name, "is a sweep of several worlds", f"name one of its points, e.g. {points(scenario)[0].name}"
        )
    numbers = tuple(range(replicates)) if isinstance(replicates, int) else tuple(replicates)
    if not numbers or min(numbers) < 0:
        raise BadInput("replicates", f"{replicates!r}", "a number of replicates >= 1, or their numbers >= 0")
    form = form_of(scenario)
    weeks = weeks_before(origin, form.weeks)
    noise = noise_of(scenario, form, numbers, master)
    batched = (Noise(noise.numbers, noise.innovations, {}),)
    program = draw_program(form)
    start, memory, path, controls = in_blocks(
        lambda n: program(Noise(n.numbers, n.innovations, noise.given), weeks), batched
    )
    refuse_impossible(scenario, numbers, path)
    now = at(start, memory)
    keys = tuple(ids.streams(master, family(scenario), numbers, "search"))
    secret = Secret(form, noise, keys, start, now, path, controls)
    clean = brief_of(scenario, form, noise, now, path, controls)
    told = truth_of(scenario, secret, clean) if truth else None  # dirt is no part of it
    brief = measured(scenario, numbers, master, Known(form, now, path), clean)
    return Drawn(scenario, labels_of(scenario, form, origin), numbers, brief, told, secret, origin)


def draw_transformed(
    source: str | Path | Scenario,
    replicates: int | Sequence[int] = 1,
    transform: str = "",
    *,
    truth: bool = True,
    master: bytes = ids.OPEN_MASTER,
) -> Drawn:
    """Draw worlds as :func:`draw` does, and ask about them under a named transform.

    Parameters
    ----------
    transform : str
        ``"origin:-13"``, ``"perturbed:0.05"``, ``"placebo:tv:26"`` (:data:`simbench.brief_changes.TRANSFORMS`);
        ``""`` is as drawn. An origin moves questions and truth; the others change what the panel
        shows, and the truth stays that of the world.

    Raises
    ------
    BadInput
        As :func:`draw`; and for a transform that is not known or not possible in this scenario.
    """
    scenario = source if isinstance(source, Scenario) else read_scenario(source)
    asked = transform_of(scenario, transform)
    drawn = draw(scenario, replicates, truth=truth, master=master, origin=asked.origin)
    change = brief_changes.TRANSFORMS[asked.name].change if asked.name else None
    if change is None:
        return drawn

    def changed(i: int) -> Brief:
        key = ids.stream_bytes(master, family(scenario), drawn.replicates[i], f"transform:{asked.name}")
        return change(briefs.one(drawn.brief, i), drawn.labels.channels, ids.generator(key), *asked.values)

    return drawn._replace(brief=briefs.stack([changed(i) for i in range(len(drawn.replicates))]))


def transform_of(scenario: Scenario, text: str) -> Transform:
    """A transform by its text, if this scenario has the channel and the weeks it needs.

    Raises
    ------
    BadInput
        For what :func:`simbench.brief_changes.parse_transform` refuses, and what the scenario does not have.
    """
    asked, channels = brief_changes.parse_transform(text), [channel.name for channel in scenario.channels]
    weeks = weeks_before(asked.origin, scenario.time.weeks)
    if asked.name == "placebo":
        name, shift = asked.values
        if name not in channels:
            raise BadInput("transform", f"{asked.text!r}: no channel {name!r}", briefs.meant(name, channels))
        if shift >= weeks:
            raise BadInput("transform", f"{asked.text!r} moves the whole panel", f"at most {weeks - 1} weeks")
    return asked


def refuse_impossible(scenario: Scenario, replicates: Sequence[int], path: Observation) -> None:
    """A world whose spend or KPI is not finite, whose spend is negative or whose count is huge, is refused."""
    for name, values in (("spend", path.paid), ("KPI", path.kpi)):
        bad = ~np.isfinite(values).reshape(len(replicates), -1).all(axis=1)
        if bad.any():
            raise BadInput(
                scenario.name,
                f"replicate {replicates[int(bad.argmax())]} draws a {name} that is not finite",
                "tame its numbers",
            )
    if (path.paid < 0).any():
        raise BadInput(scenario.name, "draws negative spend", "weekly >= 0 and a smaller cv")
    if scenario.noise.kind in COUNTS and path.kpi.max() >= LARGEST_COUNT:
        most = f"{LARGEST_COUNT:,} and more are no small count: a noise with a size, or a lower level"
        raise BadInput(scenario.name, f"draws a KPI of {LARGEST_COUNT:,} or more", most)


# --- truth


def book_in(secret: Secret, brief: Brief) -> Book:
    """The drawn worlds at their origins, ready to value plans (:func:`simbench.world.worth.value`)."""
    worth = brief.questions.margin * brief.context.unit_value
    return book_of(secret.form, secret.now, secret.noise, worth, secret.keys)


def truth_of(scenario: Scenario, secret: Secret, brief: Brief) -> Truth:
    """Every item of docs/design.md section 4 for a drawn batch."""
    form, problems = secret.form, brief.questions.problems
    program = history_program(form)
    twins = [twin_of(problems, i) for i in range(len(problems))]  # they ask for the same curves: once
    asked = brief.questions._replace(problems=tuple(p for p, twin in zip(problems, twins, strict=True) if twin is None))
    answers, responding, path_held, paid, shapley, all_off, late = in_blocks(
        lambda *block: program(*block, secret.weeks), (secret.start, brief.panel.lever, asked, brief.context)
    )
    if answers.response:
        curves = iter(answers.response)
        response: list[Array] = []
        for twin in twins:
            response.append(next(curves) if twin is None else response[twin])
        answers = answers._replace(response=tuple(response))
    book = book_in(secret, brief)
    answers, errors, optima = optima_of(book, brief, answers, problem_words(scenario, form))
    origin = form.pre + secret.weeks
    return Truth(
        answers=answers,
        responding=responding,
        path_held=path_held,
        paid=paid,
        shapley=shapley,
        all_off=all_off,
        cut_off=late,
        mc_se=errors,
        kpi_future=secret.path.kpi[:, origin : origin + form.holdout],
        optima=optima,
    )


def fresh_futures(drawn: Drawn, draws: int = 256) -> Array:
    """KPI paths [R, D, H, G] of the holdout, drawn anew from each world's state at its origin.

    Whatever nobody can foresee is drawn again from the origin on: the random-walk trend, the demand
    shock, competitors and controls that nobody sees, and the KPI noise, each going on from where it
    stood. What the brief gives stays as given: controls, calendar, and *realised* spend, also of
    bought channels (given what was spent, what media bring is known). This is the best forecast
    there is: its scores are the noise floor.

    Parameters
    ----------
    drawn : Drawn
    draws : int
        D, paths a world; the first ones are the same for any number.
    """
    form, noise, origin = drawn.secret.form, drawn.secret.noise, drawn.secret.form.pre + drawn.secret.weeks
    fresh = fresh_innovations(
        form, family(drawn.scenario), drawn.replicates, drawn.secret.keys, draws, noise.numbers.get("noise.df")
    )
    brought = drawn.secret.path.contribution[:, origin : origin + form.holdout]
    program = fresh_program(form)
    return in_blocks(
        lambda now, numbers, innovations, *rest: program(now, Noise(numbers, innovations, noise.given), *rest),
        (drawn.secret.now, noise.numbers, noise.innovations, fresh, brought),
    )
