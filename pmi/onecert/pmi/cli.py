"""`onecert pmi …`: authorities, catalogue, policies, and the way of a grant."""

from __future__ import annotations

import click

from onecert.pmi.commands import decisions, grants, life, repository
from onecert.pmi.commands.authority import authority
from onecert.pmi.commands.batches import batch
from onecert.pmi.commands.catalogue import catalogue
from onecert.pmi.commands.delegation import delegation
from onecert.pmi.commands.policy import policy

__all__ = ["pmi"]


@click.group()
def pmi() -> None:
    """Attribute authorities, roles as attribute certificates, decisions."""


for _feature in (grants, decisions, life, repository):
    for _command in _feature.COMMANDS:
        pmi.add_command(_command)
for _group in (authority, batch, catalogue, delegation, policy):
    pmi.add_command(_group)
