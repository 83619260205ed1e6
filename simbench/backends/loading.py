"""Contenders that simbench did not bring: from a file, from another package, from a plain function."""

from __future__ import annotations

import inspect
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from importlib import metadata
from importlib.abc import SourceLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

from simbench import ids
from simbench.backends.base import Backend, python_backend
from simbench.backends.contender import Contender, Option
from simbench.errors import BadInput

#: Entry points of other packages that name contenders.
GROUP = "simbench.backends"
PLAIN = (bool, int, float, str)


class _Bytes(SourceLoader):
    """Runs the bytes that were hashed: no compiled file of an earlier version comes between."""

    def __init__(self, file: Path, content: bytes) -> None:
        self.file, self.content = file, content

    def get_filename(self, fullname: str) -> str:
        return str(self.file)

    def get_data(self, path: Any) -> bytes:
        return self.content


def module_of(file: Path) -> tuple[ModuleType, str]:
    """The module a file is, and the digest of its bytes. The same bytes are run once a process.

    Raises
    ------
    BadInput
        If it cannot be read, or raises while it is loaded.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BadInput(str(file), f"cannot be read ({error.strerror})", "FILE.py:NAME") from None
    code = ids.file_digest(content)
    name = f"simbench_file_{ids.digest([str(file), code])[:16]}"
    if name in sys.modules:
        return sys.modules[name], code
    spec = spec_from_loader(name, _Bytes(file, content))
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and the like look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        raise _unloadable(str(file), error) from None
    return module, code


def _unloadable(where: str, error: BaseException) -> BaseException:
    if not isinstance(error, Exception | SystemExit):
        return error  # Ctrl-C is nobody's fault
    return BadInput(where, f"cannot be loaded ({type(error).__name__}: {error})")


def from_file(file: Path, attribute: str) -> tuple[Backend | Contender, str]:
    """What a file has under a name, as a contender, and the digest of the file's bytes."""
    module, code = module_of(file)
    if not hasattr(module, attribute):
        raise BadInput(str(file), f"has no {attribute!r}", f"it has {', '.join(_offered(module)) or 'no contender'}")
    return contender_of(getattr(module, attribute), f"{file}:{attribute}", attribute), code


def _offered(module: ModuleType) -> list[str]:
    """Public names of a module that may be contenders."""

    def fits(value: Any) -> bool:
        own = isinstance(value, FunctionType) and value.__module__ == module.__name__
        return own or isinstance(value, Backend | Contender)

    return [name for name, value in vars(module).items() if not name.startswith("_") and fits(value)]


def contender_of(value: Any, where: str, name: str = "") -> Backend | Contender:
    """A Backend or Contender as it is; a function ``(key, brief, option=default, ...)`` as a Contender.

    Parameters
    ----------
    value : Backend, Contender or function
        A function's further parameters are options where their default is a number, a word or a truth value.
    where : str
        For error messages.
    name : str, optional
        What a function is called, if not by its own name.

    Raises
    ------
    BadInput
        If it is none of these, or the function cannot be called with a key and a brief.
    """
    if isinstance(value, Backend | Contender):
        return value
    if not callable(value) or isinstance(value, type):
        raise BadInput(where, f"is a {type(value).__name__}", "a function (key, brief), a Contender or a Backend")
    called = name or getattr(value, "__name__", "")
    if not called.isidentifier():
        raise BadInput(where, "is a function without a name", "def name(key, brief): ...")
    try:
        signature = inspect.signature(value)
        signature.bind(None, None)
    except (TypeError, ValueError) as error:
        raise BadInput(
            where, f"cannot be called with a key and a brief ({error})", "def name(key, brief): ..."
        ) from None
    options = tuple(
        Option(parameter.name, parameter.default, "")
        for parameter in list(signature.parameters.values())[2:]
        if isinstance(parameter.default, PLAIN)
    )
    title = (inspect.getdoc(value) or "").partition("\n")[0]

    def make(**config: Any) -> Backend:
        return python_backend(called, partial(value, **config))

    return Contender(called, title, make, options, answers="what its function returns")


# --- other packages


class Plugin(NamedTuple):
    """An entry point, not imported."""

    name: str
    package: str  #: name and version of the distribution
    entry: metadata.EntryPoint
    fault: str = ""  #: why it cannot be had; only what is known without importing it


def plugins() -> dict[str, Plugin]:
    """Contenders of other packages by name. Nothing of theirs is imported."""
    found: dict[str, Plugin] = {}
    for entry in metadata.entry_points(group=GROUP):
        package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "?"
        before = found.get(entry.name)
        if before is None:
            readable = entry.pattern.match(entry.value)
            found[entry.name] = Plugin(
                entry.name, package, entry, "" if readable else f"{entry.value!r} is no MODULE:NAME"
            )
        elif (before.package, before.entry.value) != (package, entry.value):
            found[entry.name] = before._replace(fault=f"{package} brings the same name; uninstall one of them")
    return found


def from_plugin(plugin: Plugin) -> tuple[Backend | Contender, str]:
    """The contender of an entry point, and a digest of its package's version and its module's file.

    Raises
    ------
    BadInput
        With the error, whatever goes wrong in the other package.
    """
    where = f"plug-in {plugin.name!r} of {plugin.package}"
    if plugin.fault:
        raise BadInput(where, "cannot be loaded", plugin.fault)
    try:
        value = plugin.entry.load()
        module = sys.modules[plugin.entry.module]
    except BaseException as error:
        raise _unloadable(where, error) from None
    file = getattr(module, "__file__", None)
    content = ids.file_digest(Path(file).read_bytes()) if file and Path(file).is_file() else ""
    found = contender_of(value, where, plugin.name if isinstance(value, FunctionType) else "")
    return found, ids.digest({"package": plugin.package, "file": content})


# --- functions of this process


def function_code(function: Callable[..., Any]) -> str:
    """Digest of a function's source and of what it names: plain values and functions of its own module.

    Empty where that does not tell all it depends on (it holds an array or a fitted model, or its
    source cannot be had): then nobody may take its answers of yesterday for those of today.
    """
    told: dict[str, Any] = {}
    return ids.digest(told) if _tell(function, told) else ""


def _tell(function: Any, told: dict[str, Any]) -> bool:
    """Add a function or class and what it names to `told`; False where something cannot be told."""
    name = f"{function.__module__}.{function.__qualname__}" if hasattr(function, "__qualname__") else ""
    if not name or (isinstance(function, FunctionType) and name in told):
        return bool(name)
    try:
        told[name] = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        return False
    if not isinstance(function, FunctionType):
        return isinstance(function, type)
    if any(not isinstance(default, (*PLAIN, type(None))) for default in function.__defaults__ or ()):
        return False
    told[f"{name}()"] = repr((function.__defaults__, function.__kwdefaults__))
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    named = {key: cell.cell_contents for key, cell in cells.items()}
    named |= {key: function.__globals__[key] for key in _names(function.__code__) if key in function.__globals__}
    for key, value in named.items():
        if isinstance(value, PLAIN) or value is None:
            told[f"{name}.{key}"] = repr(value)
        elif isinstance(value, FunctionType | type) and value.__module__ == function.__module__:
            if not _tell(value, told):
                return False
        elif not isinstance(value, ModuleType) and getattr(value, "__module__", None) in (None, function.__module__):
            return False  # data of its own: an array, a table, a model
    return True


def _names(code: CodeType) -> set[str]:
    """Names that a function's code and the functions inside it look up."""
    inner = (part for part in code.co_consts if isinstance(part, CodeType))
    return set(code.co_names).union(*(_names(part) for part in inner))
