"""What the documents say exists does exist: files, folders, links, headings, commands."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCED = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
# A path of the checkout in a code span: it starts with one of the checkout's folders.
NAMED_PATH = re.compile(r"`((?:src|scripts|tests|docs|deploy|benchmarks|\.ci)/[\w./*-]*)`")


def by_name(document: Path) -> str:
    return str(document.relative_to(ROOT))


def prose(document: Path) -> str:
    """The text without its code blocks."""
    return FENCED.sub("", document.read_text(encoding="utf-8"))


def anchors(document: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+?) *$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def shell_blocks(document: Path) -> Iterator[str]:
    for language, code in FENCED.findall(document.read_text(encoding="utf-8")):
        if language in ("sh", "bash"):
            yield code


@pytest.mark.parametrize("document", DOCUMENTS, ids=by_name)
def test_each_link_leads_to_a_file_and_a_heading_that_exist(document: Path) -> None:
    broken = []
    for link in LINK.findall(prose(document)):
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("document", DOCUMENTS, ids=by_name)
def test_each_path_named_exists(document: Path) -> None:
    missing = [path for path in NAMED_PATH.findall(prose(document)) if not list(ROOT.glob(path.rstrip("/")))]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS, ids=by_name)
def test_each_shell_block_parses(document: Path) -> None:
    for code in shell_blocks(document):
        parsed = subprocess.run(["bash", "-n"], input=code, text=True, capture_output=True, check=False)
        assert parsed.returncode == 0, f"{parsed.stderr}\n{code}"


def test_the_index_of_docs_leads_to_each_page() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in LINK.findall(prose(index))}
    assert set((ROOT / "docs").rglob("*.md")) - {index} <= linked


def test_architecture_names_each_package() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    packages = [path.parent.name for path in (ROOT / "src" / "argosy").glob("*/__init__.py")]
    assert packages
    assert [package for package in packages if f"`src/argosy/{package}/`" not in text] == []


def test_readme_gives_the_two_commands() -> None:
    code = "\n".join(shell_blocks(ROOT / "README.md"))
    assert "scripts/argosy backup --init -r ~/argosy-repo docs\n" in code
    assert "scripts/test --install\n" in code
