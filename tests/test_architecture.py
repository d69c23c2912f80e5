"""The house: imports point down, light commands stay light, and nothing that runs code is ever read."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commandline import Shop

ROOT = Path(__file__).parents[1]
MODULES = sorted([*(ROOT / "ruleedit").rglob("*.py"), *(ROOT / "service").rglob("*.py")])
HEAVY = ("lightgbm", "sklearn", "scipy", "pandas", "pyarrow", "aix360", "cvxpy", "highspy", "numba", "rich.progress")
SERVER = ("service.api", "fastapi", "starlette", "sqlalchemy", "uvicorn")


def loaded(program: str) -> set[str]:
    """The modules that a fresh Python has imported after a program."""
    more = "\nimport sys\nprint('\\n'.join(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program + more], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(done.stderr.split())


def command(*arguments: object) -> str:
    """A program that runs a command and then goes on."""
    argv = ["ruleedit", *map(str, arguments)]
    lines = ["import sys, contextlib", f"sys.argv = {argv!r}", "from ruleedit.cli import main"]
    return "\n".join([*lines, "with contextlib.suppress(SystemExit):", "    main()"])


def calls(path: Path) -> Iterator[tuple[str, str, int]]:
    """Every name that a module calls or imports, with its last part and its line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, alias.name.split(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", (node.module or "").split(".")[0], node.lineno
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            yield name, name.split(".")[-1], node.lineno


def test_imports_point_down() -> None:
    """The contracts in pyproject.toml hold."""
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout


def test_the_library_never_names_the_service() -> None:
    """Not at the top of a module and not inside a function."""
    for path in (ROOT / "ruleedit").rglob("*.py"):
        named = {last for _, last, _ in calls(path)}
        assert not named & {"service", "fastapi", "starlette", "sqlalchemy", "uvicorn"}, path


def test_nothing_runs_code_that_was_read() -> None:
    """No eval, exec, compile of source, pickle, joblib, or query of a DataFrame, in the library or the service."""
    modules = {"pickle", "cPickle", "joblib", "cloudpickle", "dill", "shelve", "marshal"}
    for path in MODULES:
        for name, last, line in calls(path):
            assert last not in modules, f"{path}:{line} {name}"
            assert name not in ("eval", "exec", "compile", "__import__"), f"{path}:{line} {name}"
            assert last not in ("read_pickle", "to_pickle", "query"), f"{path}:{line} {name}"


def test_importing_the_library_is_light() -> None:
    """`import ruleedit` and `import ruleedit.cli` import nothing heavy, and no server."""
    for program in ("import ruleedit", "import ruleedit.cli"):
        found = loaded(program)
        assert not [name for name in (*HEAVY, *SERVER, "numpy") if name in found]


def test_public_names_are_no_modules() -> None:
    """Whatever was imported before: a module of that name would take a name's place once it is there."""
    program = "\n".join(
        [
            "import importlib, inspect, pkgutil, ruleedit",
            "for found in pkgutil.iter_modules(ruleedit.__path__):",
            "    importlib.import_module(f'ruleedit.{found.name}')",
            "named = {name: getattr(ruleedit, name) for name in ruleedit.__all__}",
            "assert named and not [name for name, found in named.items() if inspect.ismodule(found)]",
        ]
    )
    loaded(program)


def test_help_is_light() -> None:
    """Help answers before anything heavy is imported, whatever other packages add."""
    found = loaded(command("--help"))
    assert not [name for name in (*HEAVY, *SERVER, "numpy") if name in found]


@pytest.mark.parametrize("name", ["show", "edit"])
def test_commands_on_a_rule_file_are_light(shop: Shop, tmp_path: Path, name: str) -> None:
    """Reading, showing and editing rules needs no table and no model."""
    more = ["default deny", "--reason", "r", "--out", tmp_path / "o.json"] if name == "edit" else []
    found = loaded(command(name, shop.edited, *more))
    assert "ruleedit.formats.canonical" in found
    assert not [heavy for heavy in (*HEAVY, *SERVER, "numpy") if heavy in found]
