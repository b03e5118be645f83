"""Puts the member's parts together, for the service and for the commands alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from onecert.server.members import Context
from onecert.supervision.config import SupervisionConfig
from onecert.supervision.editor import Editor
from onecert.supervision.officers import OfficerKeys, TokenOfficerKeys
from onecert.supervision.publishing import LIST_FILE, published_sequence

__all__ = ["Supervision", "make_keys", "make_supervision"]


@dataclass(frozen=True, kw_only=True)
class Supervision:
    """What pages and commands work with."""

    editor: Editor
    published: Path  # folder of the published files
    config: SupervisionConfig
    status_url: str


def make_keys(config: SupervisionConfig, context: Context) -> TokenOfficerKeys:
    """The officers' tokens and the service's own for its audit trail."""
    return TokenOfficerKeys(config, folder=context.data, store=context.shared / "softhsm")


def make_supervision(config: SupervisionConfig, context: Context, keys: OfficerKeys) -> Supervision:
    """Everything below the web layer."""
    published = context.data / "published"
    editor = Editor(
        database=context.database,
        audit=context.audit,
        clock=context.clock,
        operators=context.operators,
        keys=keys,
        config=config,
        sequence_floor=lambda: published_sequence(published / LIST_FILE),
    )
    return Supervision(editor=editor, published=published, config=config, status_url=context.status_url)
