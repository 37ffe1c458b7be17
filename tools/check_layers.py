"""Check that imports run downwards only, on folders and on files.

    python tools/check_layers.py [ROOT]

Rules, each with a reason:

* A folder imports only the folders below it, and only the third-party packages listed for it (`LAYERS`).  Imports for
  type checking count: a type from above is knowledge of what is above.  So the general half imports no name of the
  kernel model.
* No import cycle between files, except inside `kernel/`, whose files call each other as the kernel's do.  Imports for
  type checking count here too: files that know each other's types can only be read together.
* Inside `kernel/`, modules import modules, never names: a variant rebinds functions and classes in the namespace of
  their own module, and a copied name would escape it.  Enumerations are exempt (nothing in them is rebound), and so are
  structs (a variant rebinds the factory that makes them) and what is imported for type checking.
* `kernel/` decides nothing on a bug, variant, canary, mutant or era: variants replace functions, they set no flags.

Exit code 1 and one line per breach: where, what, what to do.  Not checked: imports made at run time by name.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

PACKAGE = "mmrace"


class Layer(NamedTuple):
    """What a folder may import beside itself: folders of the package, and packages from elsewhere."""

    below: frozenset[str]
    packages: frozenset[str]


def _layer(below: str = "", packages: str = "") -> Layer:
    return Layer(frozenset(below.split()), frozenset(packages.split()))


_JUDGES = "oracles oracles/general oracles/protocol"
_ONE_RUN = "runtime strategies oracles/general runs"
_SEARCH = "search search/pool search/convert search/minimise search/explore search/prove search/ledger search/campaign"
_ALL = f"runtime strategies kernel actors {_JUDGES} scenarios history runs story {_SEARCH}"
LAYERS: dict[str, Layer] = {
    "runtime": _layer("", "greenlet msgspec"),
    "strategies": _layer("runtime", "msgspec"),
    "kernel": _layer("runtime"),
    "actors": _layer("runtime kernel"),
    "oracles": _layer(),
    "oracles/general": _layer("runtime"),
    "oracles/protocol": _layer("runtime oracles/general"),
    "runs": _layer("runtime strategies oracles/general version"),
    "story": _layer(_ONE_RUN),
    "oracles/telling": _layer("runtime oracles/general oracles/protocol story"),
    "search/pool": _layer(_ONE_RUN, "loguru dask distributed"),
    "search": _layer(f"{_ONE_RUN} search/pool", "loguru"),
    "search/convert": _layer(_ONE_RUN),
    "search/minimise": _layer(_ONE_RUN),
    "search/prove": _layer(f"{_ONE_RUN} search/minimise search/explore"),
    "search/explore": _layer(f"{_ONE_RUN} search search/pool search/minimise", "loguru"),
    "search/ledger": _layer(f"{_ONE_RUN} search search/pool", "loguru msgspec"),
    "search/campaign": _layer(f"{_ONE_RUN} search search/pool search/convert search/minimise search/ledger", "loguru"),
    "history": _layer("runtime kernel actors oracles/general"),
    "scenarios": _layer(f"{_ONE_RUN} kernel actors oracles/protocol history", "msgspec"),
    "claims": _layer(_ALL, "loguru"),
    "measure": _layer(f"{_ALL} claims"),
    "report": _layer(f"runtime oracles/general runs story {_SEARCH} claims measure", "rich matplotlib pyarrow"),
    "report/night": _layer(f"runtime oracles/general runs story {_SEARCH} report", "rich matplotlib jinja2"),
    "cli": _layer(f"{_ALL} claims measure report report/night installed api", "click rich loguru"),
    "plugin": _layer(f"runtime strategies oracles/general runs story {_SEARCH} report api installed", "pytest rich"),
    "installed": _layer(f"{_ALL} claims oracles/telling"),
    "api": _layer(f"runtime strategies oracles/general runs {_SEARCH} installed", "loguru"),
    "examples": _layer("runtime"),
    "__main__": _layer("cli"),
    "version": _layer(),
    "__init__": _layer("api version"),
}
"""Folders, and files beside them, of the package; a folder inside one may be a layer of its own, and a name in a list
stands for one layer.  The general half (`runtime`, `strategies`, `oracles/general`, `runs`, `search`) sees neither
the model nor the judges that know it.  `report` is made from records and results only: no model in it."""

FORBIDDEN_IN_KERNEL = frozenset({"bug", "bugs", "buggy", "canary", "era", "mutant", "variant", "variants"})
KERNEL_SPELLING = frozenset({"bug_on", "warn_on"})


class Import(NamedTuple):
    """One imported thing: `target` is the module, or the module that holds `name`."""

    line: int
    target: str
    name: str | None
    typing_only: bool


@dataclass(frozen=True)
class Source:
    """A file of the package, parsed."""

    path: Path
    module: str
    tree: ast.Module
    is_package: bool

    @property
    def layer(self) -> str:
        """The folder that is a layer, the innermost one if there are several, or the file's own name beside them."""
        return layer_of(self.module)


Sources = dict[str, Source]


def layer_of(module: str) -> str:
    """Return the layer of a module: the longest path below the package that is one, else the first part of it."""
    parts = module.split(".")[1:]
    paths = ["/".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((path for path in paths if path in LAYERS), paths[-1] if paths else "__init__")


def read(root: Path) -> Sources:
    """Parse every file of the package under `root`, by dotted module name."""
    sources: Sources = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = list(path.relative_to(root).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        module = ".".join(parts[:-1] if is_package else parts)
        sources[module] = Source(path, module, ast.parse(path.read_text("utf-8"), str(path)), is_package)
    return sources


def _guarded(tree: ast.Module) -> set[int]:
    """Return the ids of the nodes that only a type checker sees."""
    hidden: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            hidden.update(id(child) for statement in node.body for child in ast.walk(statement))
    return hidden


def imports(source: Source, sources: Sources) -> Iterator[Import]:
    """Yield what a file imports, relative imports resolved, `from package import module` told from a name."""
    hidden = _guarded(source.tree)
    for node in ast.walk(source.tree):
        typing_only = id(node) in hidden
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name, None, typing_only)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = source.module.split(".")
                up = up[: len(up) - node.level + (1 if source.is_package else 0)]
                base = ".".join([*up, base] if base else up)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                if inner in sources:
                    yield Import(node.lineno, inner, None, typing_only)
                else:
                    yield Import(node.lineno, base, alias.name, typing_only)


def check_folders(source: Source, sources: Sources) -> Iterator[str]:
    """Refuse what is above, beside, or from elsewhere and not listed."""
    layer = LAYERS.get(source.layer)
    if layer is None:
        yield (
            f"{source.path}:1: {source.layer} has no place in the layers; "
            "move the file into a folder of the design, or add it to LAYERS"
        )
        return
    for item in imports(source, sources):
        parts = item.target.split(".")
        if parts[0] == PACKAGE:
            if layer_of(item.target) not in layer.below | {source.layer, "__init__", "version"}:
                yield (
                    f"{source.path}:{item.line}: {source.layer} imports {item.target}; imports run downwards only: "
                    f"move what both need below {source.layer}, or pass it in as an argument"
                )
        elif parts[0] not in sys.stdlib_module_names and parts[0] not in layer.packages:
            allowed = ", ".join(sorted(layer.packages)) or "none"
            yield (
                f"{source.path}:{item.line}: {source.layer} imports {parts[0]}; third-party packages allowed there: "
                f"{allowed}; do this in a folder above, or without the package"
            )


def check_cycles(sources: Sources) -> Iterator[str]:
    """Refuse import cycles between files outside `kernel/`; each is reported once, where it closes."""
    graph: dict[str, dict[str, int]] = {}
    for source in sources.values():
        if source.layer != "kernel":
            graph[source.module] = {i.target: i.line for i in imports(source, sources) if i.target in sources}
    state: dict[str, int] = {}

    def visit(module: str, trail: list[str]) -> Iterator[str]:
        state[module] = 1
        for target, line in graph.get(module, {}).items():
            if target == module:
                continue
            if state.get(target) == 1:
                circle = " -> ".join([*trail[trail.index(target) :], target])
                yield (
                    f"{sources[module].path}:{line}: import cycle {circle}; move what they share into a file below both"
                )
            elif target in graph and target not in state:
                yield from visit(target, [*trail, target])
        state[module] = 2

    for module in graph:
        if module not in state:
            yield from visit(module, [module])


def _is_exempt(source: Source, name: str) -> bool:
    for node in source.tree.body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return any(ast.unparse(base).endswith(("Enum", "Flag", "Struct")) for base in node.bases)
    return False


def check_names(source: Source, sources: Sources) -> Iterator[str]:
    """Inside `kernel/`, refuse names imported from other modules of it."""
    for item in imports(source, sources):
        if item.typing_only or item.name is None or not item.target.startswith(f"{PACKAGE}.kernel"):
            continue
        target = sources.get(item.target)
        if target is None or not _is_exempt(target, item.name):
            package, _, module = item.target.rpartition(".")
            yield (
                f"{source.path}:{item.line}: imports the name {item.name} from {item.target}; a variant could not "
                f"rebind it: write `from {package} import {module}` and `{module}.{item.name}`"
            )


def check_decisions(source: Source) -> Iterator[str]:
    """Inside `kernel/`, refuse a branch on the name of a bug, variant, canary, mutant or era."""
    for node in ast.walk(source.tree):
        tests: list[ast.expr] = []
        if isinstance(node, ast.If | ast.IfExp | ast.While | ast.Assert):
            tests.append(node.test)
        elif isinstance(node, ast.Match):
            tests.append(node.subject)
        elif isinstance(node, ast.comprehension):
            tests.extend(node.ifs)
        for test in tests:
            for part in ast.walk(test):
                name = part.id if isinstance(part, ast.Name) else part.attr if isinstance(part, ast.Attribute) else ""
                words = set(re.split(r"_+", name.lower()))
                if name not in KERNEL_SPELLING and words & FORBIDDEN_IN_KERNEL:
                    yield (
                        f"{source.path}:{test.lineno}: kernel/ decides on {name!r}; write a variant that replaces "
                        "the function, in history/"
                    )


def check(root: Path) -> list[str]:
    """Return every breach under `root`, in the order of files and lines."""
    sources = read(root)
    if not sources:
        return [f"{root / PACKAGE}:1: expected a package, found no Python file; run this from the top of the checkout"]
    found = list(check_cycles(sources))
    for source in sources.values():
        found.extend(check_folders(source, sources))
        if source.layer == "kernel":
            found.extend(check_names(source, sources))
            found.extend(check_decisions(source))
    return sorted(found)


def main(arguments: list[str]) -> int:
    """Print the breaches under the given root (default: the checkout that holds this file)."""
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent
    found = check(root)
    for line in found:
        print(line)
    print(f"layers: {len(found)} breach(es)" if found else "layers: clean")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
