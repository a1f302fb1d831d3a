"""What a share needs: arithmetic that can be followed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.capacity import Figure, Figures, main, needs

GIVEN = Figures(
    files=Figure(1e6, "", ""),
    bytes=Figure(1e12, "", ""),
    changed_share=Figure(0.1, "", ""),
    window_hours=Figure(1, "", ""),
    blob_bytes=Figure(1e6, "", ""),
    pack_bytes=Figure(1e6, "", ""),
    put_price=Figure(5, "", ""),
    tree_entry_bytes=Figure(0, "", ""),
    lookup_blob_bytes=Figure(64, "", ""),
)


def answers(figures: Figures) -> dict[str, tuple[str, str]]:
    return {need.what: (need.first, need.night) for need in needs(figures)}


def test_a_million_blobs_in_a_million_packs() -> None:
    """And twenty indexes, of 50,000 blobs each."""
    found = answers(GIVEN)
    assert found["files and bytes to store"] == ("1e+06, 1 TB", "100,000, 100 GB")
    assert found["blobs"] == ("1e+06", "100,000")
    assert found["dedup lookup on each machine"] == ("64 MB", "6.4 MB")
    assert found["PUT requests"] == ("1e+06", "100,002")
    assert found["their price"] == ("5,000 dollars", "500 dollars")
    assert found["network for the window"][0] == "2 Gbit/s"


def test_small_files_are_a_blob_each_and_fill_batches_by_their_number() -> None:
    found = answers(replace(GIVEN, bytes=Figure(1e9, "", "")))
    assert found["blobs"][0] == "1e+06"
    assert found["batches"][0] == f"{1e6 / 1024:,.0f}"


def test_each_flag_changes_a_figure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["capacity", "--files", "1e6", "--bytes", "1e12", "--blob-bytes", "1e6"])
    assert main() == 0
    printed = capsys.readouterr().out
    assert "| `--blob-bytes` | 1e+06 | bytes of a blob on average | given |" in printed
    assert "| blobs | 1e+06 | 10,000 |" in printed
