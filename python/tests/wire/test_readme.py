"""What the README shows is so."""

from __future__ import annotations

import doctest
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"


def test_examples_of_the_readme() -> None:
    failed, attempted = doctest.testfile(str(README), module_relative=False)
    assert failed == 0
    assert attempted > 0
