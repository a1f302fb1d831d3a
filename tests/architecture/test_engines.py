"""End-to-end tests run on both engines, or say why not: a new one that does neither ends the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.engines import FIXTURE, MODULES, Why, without_an_answer

FOLDER = Path(__file__).resolve().parents[1] / "e2e"
REASON = pytest.mark.one_engine(Why.KILLED).mark


def test_each_module_of_the_table_is_there() -> None:
    assert {f"{module}.py" for module in MODULES} <= {path.name for path in FOLDER.glob("test_*.py")}


def test_each_reason_is_used() -> None:
    texts = [path.read_text(encoding="utf-8") for path in FOLDER.glob("test_*.py")]
    marked = {why for why in Why if any(f"one_engine(Why.{why.name})" in text for text in texts)}
    assert marked | set(MODULES.values()) == set(Why)


@pytest.mark.parametrize(
    ("module", "fixtures", "marks", "wrong"),
    [
        ("test_new", [FIXTURE, "tmp_path"], [], ""),
        ("test_new", ["tmp_path"], [REASON], ""),
        ("test_new", [FIXTURE], [REASON], ""),
        ("test_cat", ["tmp_path"], [], ""),
        ("test_new", ["tmp_path"], [], "use the fixture"),
        ("test_new", [], [pytest.mark.one_engine("because").mark], "takes one of the reasons"),
        ("test_new", [], [pytest.mark.one_engine.mark], "takes one of the reasons"),
        ("test_cat", [], [REASON], "already"),
        ("test_cat", [FIXTURE], [], "already"),
    ],
)
def test_a_test_on_one_engine_says_why(module: str, fixtures: list[str], marks: list[pytest.Mark], wrong: str) -> None:
    said = without_an_answer([(f"tests/e2e/{module}.py::test_it", fixtures, marks)])
    assert bool(said) == bool(wrong)
    assert wrong in "".join(said)
