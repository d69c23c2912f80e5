"""The README's ten lines of Python do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def test_the_ten_lines_run() -> None:
    """They print the fidelity, the rules, and an effect with full agreement."""
    lines = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert lines is not None
    done = subprocess.run([sys.executable, "-c", lines[1]], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout.splitlines()[0]) > 0.9
    assert "'mra_after': 1.0" in done.stdout
