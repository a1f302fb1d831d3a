"""docs/api.md is true: its blocks run, one after the other, in a directory with two documents."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import argosy
from argosy import api
from tests.support.trees import make_tree

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)


def test_every_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(api, "default_state_directory", lambda **_: tmp_path / "state")
    monkeypatch.setattr(api, "default_cache_directory", lambda **_: tmp_path / "cache")
    make_tree(tmp_path / "documents", {"plan.txt": b"the plan", "letters": {"first.txt": b"Dear,"}})
    names: dict[str, Any] = {}
    assert len(BLOCKS) >= 7
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"docs/api.md, block {number}", "exec"), names)


def test_every_public_name_is_there_and_documented() -> None:
    said = DOCUMENT + (Path(api.__file__).read_text(encoding="utf-8"))
    for name in argosy.__all__:
        assert getattr(argosy, name).__name__ == name
        assert name in said
    assert not hasattr(argosy, "nothing of the kind")
