"""`onecert pmi …`: authorities, catalogue, policies, and the way of a grant."""

from __future__ import annotations

import click

from onecert.pmi.commands import grants, life, repository
from onecert.pmi.commands.authority import authority
from onecert.pmi.commands.catalogue import catalogue
from onecert.pmi.commands.policy import policy

__all__ = ["pmi"]


@click.group()
def pmi() -> None:
    """Attribute authorities, roles as attribute certificates, decisions."""


for _command in (authority, catalogue, policy, *grants.COMMANDS, *life.COMMANDS, *repository.COMMANDS):
    pmi.add_command(_command)
