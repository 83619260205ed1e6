"""Which backends there are, by name: simbench's own, those of packages, files, programs, functions."""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from simbench import ids
from simbench.backends.base import Backend
from simbench.backends.contender import Contender, configured
from simbench.backends.loading import contender_of, from_file, from_plugin, function_code, plugins
from simbench.errors import BadInput

#: Bayesian models, each by each engine; `numpyro-nuts` is the national model by the third.
PAIRS = tuple(
    f"{model}-{way}"
    for model in ("national", "robust", "time-varying", "geo-hierarchical", "pymc-marketing-style", "meridian-style")
    for way in ("hmc", "laplace", "nuts")
    if (model, way) != ("national", "nuts")
)
#: The national model with every kind of carry-over and saturation, stacked.
AVERAGED = ("averaged-hmc", "averaged-laplace")
#: Rules of thumb, and those that read returns: each of these comes by claims and by a model. docs/policies.md
PLAIN_RULES = (
    "status-quo", "equal", "random-feasible", "proportional-to-spend", "brand-60-40", "kol-matrix", "peak-reserve",
    "contingency", "competitor-matching", "revenue-share", "history-mean", "search-after-tv",
)  # fmt: skip
READING_RULES = (
    "proportional-to-credit", "proportional-to-returns", "roi-70-30", "tiers-50-30-20", "test-learn-scale",
    "target-back-solve", "three-plans", "return-falling", "below-target", "cost-pause", "benchmark-alarm",
    "conversions-cut", "return-review", "quarterly-cut",
)  # fmt: skip
RULES = (*PLAIN_RULES, *(f"{name}-by-{arm}" for name in READING_RULES for arm in ("claims", "model")))
#: simbench's own contenders: name -> where its Contender is. Imported on first use.
NATIVE: dict[str, str] = {
    "numpyro-nuts": "simbench.backends.bayes.pairs:NUMPYRO_NUTS",
    **{name: f"simbench.backends.bayes.pairs:{name.replace('-', '_').upper()}" for name in (*PAIRS, *AVERAGED)},
    "national-auto": "simbench.backends.bayes.pairs:NATIONAL_AUTO",
    "robyn-style": "simbench.backends.robyn:ROBYN_STYLE",
    "ols": "simbench.backends.baselines:OLS",
    "prior-only": "simbench.backends.bayes.pairs:PRIOR_ONLY",
    "spend-share": "simbench.backends.baselines:SPEND_SHARE",
    "seasonal-naive": "simbench.backends.naive:SEASONAL_NAIVE",
    **{name: f"simbench.decide.contenders:{name.replace('-', '_').upper()}" for name in RULES},
}

#: Made by the runner from the truth; nobody else may be called so.
RESERVED = "oracle"
#: Files whose code every answer can depend on, below the package's folder.
SHARED = (
    "records.py", "ids.py", "blocks.py", "briefs.py", "estimands.py", "transforms.py", "backends/base.py",
    "backends/replies.py", "backends/contender.py",
)  # fmt: skip
#: Files that what a rule does depends on besides; the model it believes has an identity of its own, in its config.
OF_RULES = tuple(f"decide/{name}.py" for name in ("sight", "beliefs", "policies", "plans", "triggers", "contenders"))

LABEL = r"[A-Za-z0-9._-]+"
FORM = re.compile(rf"(?P<who>.*?)(?:\[(?P<options>[^\[\]]*)\])?(?:@(?P<label>{LABEL}))?", re.DOTALL)
PROGRAM = re.compile(rf"(?P<who>command:.*?)(?:\s+@(?P<label>{LABEL}))?", re.DOTALL)
PLACE = re.compile(r"(?P<file>.+\.py):(?P<attribute>[^\W\d]\w*)", re.DOTALL)


class Found(NamedTuple):
    """A contender and where it comes from."""

    value: Backend | Contender
    source: str  #: in words
    code: str  #: digest of the code behind it
    spec: str  #: the words another process finds it by, without options and label


class Listed(NamedTuple):
    """A name that can be asked for."""

    name: str
    source: str  #: in words
    fault: str = ""  #: why it cannot be had


def split(text: str, what: str = "backend") -> tuple[str, Mapping[str, str], str]:
    """``name[a=1,b=word]@label`` -> name, options and label.

    The name may be a file's path with brackets or signs of its own; a program's label stands apart
    (``command:fit --fast @new``).

    Raises
    ------
    BadInput
        If brackets or label are not of that form.
    """
    match = (PROGRAM if text.startswith("command:") else FORM).fullmatch(text.strip())
    assert match is not None  # `who` takes whatever is left
    parts, options = match.groupdict(), {}
    who, label = parts["who"], parts["label"] or ""
    if not who.startswith("command:") and not PLACE.fullmatch(who):
        if "[" in who:
            raise BadInput(f"{what} {text!r}", "has brackets that do not close", "NAME[option=value,...]@label")
        if "@" in who:
            raise BadInput(f"{what} {text!r}", "has a label that is none", "letters, digits and . _ - after the @")
    for part in filter(None, (part.strip() for part in (parts.get("options") or "").split(","))):
        key, equals, value = part.partition("=")
        if not equals or key.strip() in options:
            raise BadInput(f"{what} {text!r}", f"{part!r} is no option, or is given twice", "NAME[option=value,...]")
        options[key.strip()] = value.strip()
    return who, options, label


def find(who: str) -> Found:
    """The contender of a name without options and label: a plain name or ``FILE.py:NAME``.

    Raises
    ------
    BadInput
        If nobody has that name (the message names the nearest), or it cannot be loaded.
    """
    if who in NATIVE:
        module, _, attribute = NATIVE[who].partition(":")
        code = rules_code() if who in RULES else native_code()
        return Found(getattr(importlib.import_module(module), attribute), "simbench", code, who)
    place = PLACE.fullmatch(who)
    if place is not None:
        file = Path(place["file"]).expanduser().absolute()
        value, code = from_file(file, place["attribute"])
        return Found(value, str(file), _with_own(value, file=code), f"{file}:{place['attribute']}")
    others = plugins()
    if who in others:
        value, code = from_plugin(others[who])
        return Found(value, others[who].package, _with_own(value, plugin=code), who)
    if who.endswith(".py") or "/" in who:
        raise BadInput("backend", f"{who!r} does not say which of the file's functions", "FILE.py:NAME")
    known = [*NATIVE, *others]
    near = get_close_matches(who, [*known, RESERVED], 1)
    right = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(known)}, or FILE.py:NAME"
    raise BadInput("backend", f"{who!r} is not known", right)


def _with_own(value: Backend | Contender, **code: str) -> str:
    """Digest of the code that brought a contender, of its own, and of what simbench lends it."""
    own = value.code if isinstance(value, Backend) else ""
    return ids.digest({**code, "own": own, "simbench": shared_code()})


def combined_code(codes: Sequence[str]) -> str:
    """Digest of several backends' code; empty where one of them cannot tell its own."""
    return "" if "" in codes else ids.digest({"members": list(codes), "simbench": native_code()})


def is_backend(text: str) -> bool:
    """Whether a text names a contender rather than anything else. Nothing is loaded."""
    who = FORM.fullmatch(text)["who"]  # type: ignore[index]  # it matches every text
    return who.startswith("command:") or PLACE.fullmatch(who) is not None or who in {item.name for item in listed()}


def source_of(text: str) -> tuple[Contender | Backend, str]:
    """The contender of a name, not configured, and where it comes from in words."""
    who = split(text)[0]
    if who.startswith("command:"):
        return backend_named(text), "a program"
    found = find(who)
    return found.value, found.source


def backend_named(name: Any) -> Backend:
    """The backend of a name such as ``ols[trend=none]@before``, of a path, a program or a function.

    Parameters
    ----------
    name : str, function, Contender or Backend
        ``NAME``, ``FILE.py:NAME`` (a Backend, a Contender or a function ``(key, brief)`` in a file) or
        ``command:PROGRAM ARGUMENTS``. ``[option=value,...]`` configures it; ``@label`` becomes part of
        the column's name and tells two versions apart. A Backend is handed through; a plain function
        answers in this process.

    Raises
    ------
    BadInput
        If nobody has that name, or the options are wrong.
    """
    if isinstance(name, Path):
        name = str(name)
    if not isinstance(name, str):
        return _allowed(_of_value(name))
    who, options, label = split(name)
    if who == RESERVED:
        raise BadInput("backend", f"{RESERVED!r} is made by a run itself from the truth", "the name of a contender")
    tail = f"@{label}" if label else ""
    if who.startswith("command:"):
        from simbench.backends.command import from_command

        made = from_command(who)
        return _allowed(made._replace(name=made.name + tail, spec=f"{made.spec or who} {tail}".rstrip()))
    found = find(who)
    made = _configured(found.value, options)
    chosen = f"[{','.join(f'{key}={value}' for key, value in options.items())}]" if options else ""
    return _allowed(made._replace(name=made.name + tail, code=found.code, spec=found.spec + chosen + tail))


def _of_value(value: Any) -> Backend:
    found = contender_of(value, f"backend {getattr(value, '__name__', value)!r}")
    made = _configured(found, {})
    return made if isinstance(value, Backend | Contender) else made._replace(code=function_code(value))


def _configured(found: Backend | Contender, options: Mapping[str, Any]) -> Backend:
    if isinstance(found, Contender):
        return configured(found, options)
    if options:
        raise BadInput(found.name, f"has no option {next(iter(options))!r}", "it is configured where it is made")
    return found


def _allowed(backend: Backend) -> Backend:
    if plain_name(backend) == RESERVED:
        raise BadInput("backend", f"{RESERVED!r} is a reserved name", "another name")
    return backend


def backends_named(names: Sequence[Any]) -> list[Backend]:
    """Backends of several names; ``tag:fast`` stands for everyone with that tag.

    Whoever is named twice comes once.

    Raises
    ------
    BadInput
        As `backend_named`; if nobody has a tag; if two different backends have one name.
    """
    made: dict[str, Backend] = {}
    for name in names:
        for backend in tagged(name[4:]) if isinstance(name, str) and name.startswith("tag:") else [backend_named(name)]:
            before = made.setdefault(backend.name, backend)
            if before is not backend and (before.code == "" or identity(before) != identity(backend)):
                raise BadInput("backends", f"{backend.name!r} names two", f"labels tell them apart: {backend.name}@new")
    return list(made.values())


def tagged(tag: str) -> list[Backend]:
    """Everyone with a tag, as configured by default; plug-ins that cannot be loaded are left out with a warning."""
    everyone = []
    for item in listed():
        try:
            everyone += [] if item.fault else [backend_named(item.name)]
        except BadInput as error:
            if item.name in NATIVE:
                raise
            warnings.warn(f"left out of tag:{tag}: {error}", stacklevel=3)
    having = [backend for backend in everyone if tag in backend.tags]
    if not having:
        tags = sorted({each for backend in everyone for each in backend.tags})
        raise BadInput("backend", f"nobody has the tag {tag!r}", f"one of {', '.join(tags)}")
    return having


def listed() -> list[Listed]:
    """Names that can be asked for: simbench's own, then those of other packages. Nothing is imported."""
    others = (
        Listed(name, plugin.package, "simbench has a contender of this name" if name in NATIVE else plugin.fault)
        for name, plugin in plugins().items()
    )
    return [*(Listed(name, "simbench") for name in NATIVE), *others]


def tried(item: Listed) -> Listed:
    """A listed name with its fault, found by loading it."""
    try:
        if not item.fault:
            find(item.name)
    except BadInput as error:
        return item._replace(fault=str(error))
    return item


# --- identity


def plain_name(backend: Backend) -> str:
    """A backend's name without its label."""
    return re.sub(rf"@{LABEL}$", "", backend.name)


def shared_code() -> str:
    """Digest of the code every answer can depend on."""
    return _files_digest(SHARED)


def native_code() -> str:
    """Digest of the code simbench's own answers can depend on: the shared files and all backends."""
    return _files_digest((*SHARED, *_files_of("backends")))


def rules_code() -> str:
    """Digest of the code that rules of thumb can depend on: the shared files, those of rules, and limits."""
    return _files_digest((*SHARED, *OF_RULES, *_files_of("optimum")))


def _files_of(room: str) -> list[str]:
    folder = Path(__file__).parent.parent
    return sorted(str(file.relative_to(folder)) for file in (folder / room).rglob("*.py"))


@lru_cache
def _files_digest(files: tuple[str, ...]) -> str:
    package = Path(__file__).parent.parent
    return ids.digest({file: ids.file_digest((package / file).read_bytes()) for file in files})


def core_identity(backend: Backend) -> dict[str, Any]:
    """What a backend is, wherever it runs: name, version, config, code, block, precision.

    The label is no part of it: two labels of one thing are one thing.
    """
    told = {
        "name": plain_name(backend), "version": backend.version, "config": dict(backend.config),
        "code": backend.code, "block": backend.block, "precision": backend.precision,
    }  # fmt: skip
    try:
        ids.canonical(told)
    except Exception as error:
        raise BadInput(backend.name, f"its config cannot be told ({error})", "numbers, words and lists") from None
    return told


def identity(backend: Backend) -> dict[str, Any]:
    """What an answer depends on: the backend itself, the version of JAX and the kind of device.

    Where `code` is empty nobody can tell whether answers of another day are of the same code.
    """
    import jax

    return {**core_identity(backend), "jax": jax.__version__, "device": jax.devices()[0].device_kind}
