"""What flags take, and what they refuse."""

from __future__ import annotations

import time

import click
import pytest

from argosy.cli import values


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90.0), ("5m", 300.0), ("1h30m", 5400.0), ("8h", 28800.0), ("2d", 172800.0), ("1.5h", 5400.0), ("0", 0.0)],
)
def test_a_duration_is_numbers_with_units(text: str, seconds: float) -> None:
    assert values.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "5x", "-5m", "5m x", "1h 30m"])
def test_a_duration_without_a_unit_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(click.BadParameter, match="5m"):
        values.duration(text)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("100", 102400),
        ("10M", 10 << 20),
        ("10MiB", 10 << 20),
        ("1g", 1 << 30),
        ("512b", 512),
        ("0", 0),
        ("1.5M", 3 << 19),
    ],
)
def test_a_rate_is_in_kib_as_in_restic_or_has_a_suffix(text: str, size_bytes: int) -> None:
    assert values.rate(text) == size_bytes


@pytest.mark.parametrize("text", ["", "-5", "10X", "M", "1e6", "10 M"])
def test_a_rate_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        values.rate(text)


@pytest.mark.parametrize(
    ("text", "size_bytes"), [("16", 16 << 20), ("4", 4 << 20), ("128", 128 << 20), ("64M", 64 << 20)]
)
def test_a_pack_size_is_in_mib(text: str, size_bytes: int) -> None:
    assert values.pack_size(text) == size_bytes


@pytest.mark.parametrize("text", ["3", "129", "16k"])
def test_a_pack_size_outside_restics_limits_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="4 MiB and 128 MiB"):
        values.pack_size(text)


@pytest.mark.parametrize("text", ["2012-11-01 22:08:41", "2012-11-01T22:08:41"])
def test_a_moment_is_local_time(text: str) -> None:
    local = time.localtime(values.moment(text) / 1e9)
    assert time.strftime("%Y-%m-%d %H:%M:%S", local) == "2012-11-01 22:08:41"


@pytest.mark.parametrize("text", ["", "yesterday", "2012-13-01 00:00:00", "22:08:41"])
def test_a_moment_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="2012-11-01"):
        values.moment(text)


def test_auto_is_no_number() -> None:
    assert values.parallel_or_auto("auto") is None
    assert values.parallel_or_auto("16") == 16


@pytest.mark.parametrize("text", ["0", "-1", "x", "1.5", "٣"])
def test_a_count_starts_at_one(text: str) -> None:
    with pytest.raises(click.BadParameter, match="from 1 on"):
        values.parallel_or_auto(text)


def test_a_share_is_part_of_the_whole() -> None:
    assert [values.share(text) for text in ("1", "0.25")] == [1.0, 0.25]
    for text in ("0", "1.5", "-1", "nan", "half"):
        with pytest.raises(click.BadParameter, match="no share"):
            values.share(text)


def test_a_slip_of_the_finger_starts_no_million_processes() -> None:
    assert values.parallel("1024") == 1024
    with pytest.raises(click.BadParameter, match="more than 1024"):
        values.parallel_or_auto("99999999")


def test_tags_are_split_at_commas_trimmed_and_kept_once() -> None:
    assert values.split_tags(("a,b", "c, d", "a", "", ",")) == ("a", "b", "c", "d")
