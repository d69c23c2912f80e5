"""How many planted mistakes the tests catch: a mutation run over the modules that everything rests on.

    python benchmarks/mutants.py [--each 24] [--seed 0] [--only regions,feedback] [--out FILE.jsonl]

In a copy of the checkout one expression after the other is changed (a comparison, `and` for `or`, a `not` taken
away, plus for minus, a number by one, the branches of a conditional, a statement that only calls dropped), and the
module's own tests are run with it. A mistake that no test notices survives: some are equivalent to the code, the
others name a test that is missing. Which expressions are changed is drawn with the seed. `--out` keeps a line for
each, and a run that is taken up again leaves out what it holds.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: The modules, each with the tests that are its own.
MODULES = {
    "regions": (("ruleedit/regions.py",), ("tests/test_regions.py",)),
    "feedback": (("ruleedit/feedback.py",), ("tests/test_feedback.py",)),
    "conflicts": (
        ("ruleedit/conflicts/__init__.py", "ruleedit/conflicts/overlapping.py", "ruleedit/conflicts/settling.py"),
        ("tests/conflicts/test_conflicts.py", "tests/test_edits.py", "tests/test_feedback.py"),
    ),
    "overlay": (("ruleedit/overlay.py",), ("tests/test_overlay.py",)),
    "graft": (
        ("ruleedit/graft/boxes.py", "ruleedit/graft/force.py", "ruleedit/graft/trees.py"),
        ("tests/graft/test_graft.py", "tests/graft/test_trees.py"),
    ),
}
#: A mistake that makes the tests run for longer than this is caught: they would never end.
SECONDS = 300
COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
COMBINED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip


@dataclass(frozen=True)
class Planted:
    """A mistake: the file, the how-manieth expression of it, its line and what was done; whether a test noticed."""

    file: str
    number: int
    line: int
    what: str
    caught: bool = False


class Planter(ast.NodeTransformer):
    """Changes one expression of the bodies of functions, counted in the order of the visit; ``number`` -1: none."""

    def __init__(self, number: int = -1) -> None:
        self.number = number
        self.seen = 0
        self.line = 0
        self.what = ""
        self._depth = 0

    def _is_it(self, node: ast.expr | ast.stmt, what: str) -> bool:
        if not self._depth:
            return False
        self.seen += 1
        if self.seen - 1 != self.number:
            return False
        self.line, self.what = node.lineno, what
        return True

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Bodies alone: neither decorators nor defaults."""
        self._depth += 1
        node.body = [self.visit(statement) for statement in node.body]
        self._depth -= 1
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """The value and not the type."""
        if node.value is not None:
            node.value = self.visit(node.value)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """Turn a comparison around, or move its bound."""
        self.generic_visit(node)
        other = COMPARED.get(type(node.ops[0]))
        if other is not None and self._is_it(node, "comparison"):
            node.ops[0] = other()
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        """`and` for `or`, `or` for `and`."""
        self.generic_visit(node)
        if self._is_it(node, "and for or"):
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        """Take a `not` away."""
        self.generic_visit(node)
        return node.operand if isinstance(node.op, ast.Not) and self._is_it(node, "no not") else node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Minus for plus, `&` for `|`."""
        self.generic_visit(node)
        other = COMBINED.get(type(node.op))
        if other is not None and not isinstance(node.left, ast.Constant) and self._is_it(node, "operator"):
            node.op = other()
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """The other truth value; the next whole number."""
        if isinstance(node.value, bool):
            changed: object = not node.value
        elif isinstance(node.value, int):
            changed = node.value + 1
        else:
            return node
        return ast.copy_location(ast.Constant(changed), node) if self._is_it(node, "constant") else node  # type: ignore[arg-type]

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        """The other branch."""
        self.generic_visit(node)
        if self._is_it(node, "branches"):
            node.body, node.orelse = node.orelse, node.body
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """Leave a call out that is made for what it does."""
        if isinstance(node.value, ast.Call):
            self.generic_visit(node)
            return ast.copy_location(ast.Pass(), node) if self._is_it(node, "no call") else node
        return node


def places(text: str) -> int:
    """In how many places a mistake can be planted."""
    planter = Planter()
    planter.visit(ast.parse(text))
    return planter.seen


def planted(text: str, number: int) -> tuple[str, int, str]:
    """The source with one mistake, the line and what was done there."""
    planter = Planter(number)
    tree = ast.fix_missing_locations(planter.visit(ast.parse(text)))
    return ast.unparse(tree), planter.line, planter.what


def drawn(name: str, each: int, seed: int) -> list[tuple[str, int]]:
    """Files and numbers of the places of a module where mistakes are planted."""
    every = [(file, number) for file in MODULES[name][0] for number in range(places((ROOT / file).read_text()))]
    return sorted(random.Random(f"{seed} {name}").sample(every, min(each, len(every))))


def run(name: str, copy: Path, each: int, seed: int, known: set[tuple[str, int]]) -> Iterator[Planted]:
    """Plant one mistake after the other in the copy, and run the module's tests."""
    for file, number in drawn(name, each, seed):
        if (file, number) in known:
            continue
        text = (ROOT / file).read_text()
        changed, line, what = planted(text, number)
        (copy / file).write_text(changed)
        try:
            yield Planted(file, number, line, what, not passes(copy, MODULES[name][1]))
        finally:
            (copy / file).write_text(text)


def passes(copy: Path, tests: tuple[str, ...]) -> bool:
    """Whether the tests pass in the copy."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]
    settings = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        return subprocess.run(command, cwd=copy, env=settings, capture_output=True, timeout=SECONDS).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def main() -> None:
    """Plant, run, print what survived and the share that was caught."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--each", type=int, default=24, help="mistakes for each module")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--only", default=",".join(MODULES))
    asked.add_argument("--out", type=Path, default=None, help="keep a line for each, and go on from there")
    given = asked.parse_args()
    found = [] if given.out is None or not given.out.exists() else given.out.read_text().splitlines()
    results = [Planted(**json.loads(line)) for line in found]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", "build", ".*_cache"))
        for name in given.only.split(","):
            if not passes(copy, MODULES[name][1]):
                sys.exit(f"the tests of {name} fail as it is")
            for one in run(name, copy, given.each, given.seed, {(one.file, one.number) for one in results}):
                results.append(one)
                if given.out is not None:
                    with given.out.open("a") as file:
                        file.write(json.dumps(asdict(one)) + "\n")
                if not one.caught:
                    print(f"survived {one.file}:{one.line} ({one.what})", flush=True)
    for name in given.only.split(","):
        its = [one for one in results if one.file in MODULES[name][0]]
        print(f"| {name} | {len(its)} | {sum(one.caught for one in its)} |")
    print(f"{sum(one.caught for one in results) / max(1, len(results)):.1%} of {len(results)} caught")


if __name__ == "__main__":
    main()
