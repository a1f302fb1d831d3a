"""Attributes that could not be read: each kind is said once, all are counted."""

from __future__ import annotations

import logging

import pytest

from argosy.archiver.attribute_report import COUNTER
from argosy.archiver.ledger import Ledger
from argosy.filesystem.xattr_losses import XattrLoss


def test_each_kind_is_logged_once_and_all_are_counted(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "argosy"):
        ledger.lost_attributes([XattrLoss("user.a", "Permission denied", 7, b"/d/\xff", 3)])
        ledger.lost_attributes(
            [XattrLoss("user.a", "Permission denied", 7, b"/d/g"), XattrLoss("", "Input/output error", 7, b"/d/h")]
        )
    ledger.job.commit()
    logged = [text for _, text in ledger.reports.log_entries()]
    assert ledger.state.counters[COUNTER] == 5
    assert logged == [record.getMessage() for record in caplog.records]
    assert [text.partition(":")[0] for text in logged] == [
        "the attribute 'user.a' of /d/\ufffd cannot be read",
        "the list of extended attributes of /d/h cannot be read",
    ]


def test_a_source_with_ever_new_names_does_not_flood(ledger: Ledger) -> None:
    for number in range(500):
        ledger.lost_attributes([XattrLoss(f"user.{number}", "Permission denied", 7, b"/d/f")])
    ledger.job.commit()
    assert len(ledger.reports.log_entries()) == 100
    assert ledger.state.counters[COUNTER] == 500
