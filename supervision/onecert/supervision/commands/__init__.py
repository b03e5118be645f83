"""`onecert trust-list`: officers, the draft, signatures, publication. One module for each group of commands.

Each command opens the member as the service does and works on the same database, so that a running service
shows the result at once. Publishing shows what it would do until --apply is given.
"""

import click

from onecert.supervision.commands.bundle import bundle
from onecert.supervision.commands.compare import diff, effect, history
from onecert.supervision.commands.draft import draft
from onecert.supervision.commands.emergency import emergency
from onecert.supervision.commands.known import known
from onecert.supervision.commands.officer import officer
from onecert.supervision.commands.publish import publish, show
from onecert.supervision.commands.registry import registry
from onecert.supervision.commands.reporter import reporter
from onecert.supervision.commands.root import root
from onecert.supervision.commands.status import status_commands

__all__ = ["trust_list"]


@click.group("trust-list")
def trust_list() -> None:
    """The signed trust list: officers, draft, publication."""


# One line for each: a group of commands or a command that stands alone.
trust_list.add_command(officer)
trust_list.add_command(draft)
trust_list.add_command(root)
trust_list.add_command(registry)
trust_list.add_command(reporter)
trust_list.add_command(bundle)
for _command in status_commands:
    trust_list.add_command(_command)
trust_list.add_command(publish)
trust_list.add_command(show)
trust_list.add_command(diff)
trust_list.add_command(history)
trust_list.add_command(effect)
trust_list.add_command(known)
trust_list.add_command(emergency)
