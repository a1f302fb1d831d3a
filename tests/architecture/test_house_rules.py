"""The rules of the house that no linter holds: doors, names, sizes, who may read the environment."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "argosy"
MODULES = sorted(SOURCE.rglob("*.py"))
# Where a library may be imported: a module or a folder. Its errors are translated there.
DOORS = {
    "apsw": "sqlite.py",
    "obstore": "storage/object_store.py",
    "backports.zstd": "restic_format/compression.py",
    "compression.zstd": "restic_format/compression.py",
    "pyfastcdc": "restic_format/chunker.py",
    "click": "cli/",
    "rich": "cli/",
    "cryptography.x509": "certificates/x509.py",
    "nats": "engine/nats/",
    "starlette": "web/",
    "uvicorn": "web/",
    "jinja2": "web/",
    "prometheus_client": "web/",
    "mfusepy": "operations/mount/fuse.py",
}
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "common", "core", "manager", "misc"}


def by_name(module: Path) -> str:
    return str(module.relative_to(SOURCE))


def imported(tree: ast.AST) -> Iterator[str]:
    """The dotted name of everything that is imported anywhere in the module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reads_the_environment(tree: ast.AST) -> bool:
    return any(
        isinstance(node, ast.Attribute)
        and node.attr in ("environ", "environb", "getenv")
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        for node in ast.walk(tree)
    ) or any(name in ("os.environ", "os.environb", "os.getenv") for name in imported(tree))


@pytest.mark.parametrize("module", MODULES, ids=by_name)
def test_a_library_is_imported_at_its_door_only(module: Path) -> None:
    tree = ast.parse(module.read_bytes())
    place = by_name(module)
    wrong = [
        name
        for name in imported(tree)
        for library, door in DOORS.items()
        if f"{name}.".startswith(f"{library}.") and not place.startswith(door)
    ]
    assert not wrong


@pytest.mark.parametrize("module", MODULES, ids=by_name)
def test_only_the_command_line_reads_the_environment(module: Path) -> None:
    """Below it everything takes option values, so that a caller from Python decides."""
    assert by_name(module).startswith("cli/") or not reads_the_environment(ast.parse(module.read_bytes()))


@pytest.mark.parametrize("module", MODULES, ids=by_name)
def test_a_module_is_documented_small_and_named_for_what_it_holds(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 500
    assert not {module.stem, module.parent.name} & NAMES_THAT_SAY_NOTHING
