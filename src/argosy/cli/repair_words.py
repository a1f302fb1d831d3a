"""What a repair says: damage, and what is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from argosy.cli.output import Output
from argosy.cli.snapshot_words import short_id
from argosy.cli.wording import json_text, printable

if TYPE_CHECKING:
    from argosy.errors import ArgosyError
    from argosy.operations.repair.options import Loss, RepairObserver


def repair_observer(output: Output, stop_requested: Callable[[], bool]) -> RepairObserver:
    """Prints what a repair tells. Damage goes to standard error; a loss is a part of the result."""
    from argosy.operations.repair.options import RepairObserver

    def problem(error: ArgosyError) -> None:
        output.error(f"{error.message}. {error.hint}" if error.hint else error.message)

    def lost(loss: Loss) -> None:
        if output.json:
            output.document(loss_document(loss))
        else:
            output.line(_loss_line(loss))

    return RepairObserver(output.message, problem, lost, stop_requested)


def loss_document(loss: Loss) -> dict[str, object]:
    """A thing that is lost or was changed; what it does not have is left out."""
    document: dict[str, object] = {"message_type": "lost", "reason": loss.reason}
    if loss.pack:
        document["pack_id"] = loss.pack.hex()
    if loss.snapshot:
        document["snapshot_id"] = loss.snapshot.hex()
    if loss.path:
        document["path"] = json_text(loss.path)
    return document


def _loss_line(loss: Loss) -> str:
    if loss.pack:
        return f"pack {loss.pack.hex()}: {loss.reason}"
    place = f"{printable(loss.path)}: " if loss.path else ""
    return f"  snapshot {short_id(loss.snapshot)}: {place}{loss.reason}"
