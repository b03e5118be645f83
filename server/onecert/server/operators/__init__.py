"""Operators of a service: accounts, roles, the people behind them, and how they sign in."""

from onecert.server.operators.config import SignInConfig
from onecert.server.operators.errors import (
    OperatorError,
    RoleRequiredError,
    SamePersonError,
    SignInRequiredError,
)
from onecert.server.operators.roles import Operator, check_different_people, check_role, check_usable
from onecert.server.operators.store import Operators, command_actor

__all__ = [
    "Operator",
    "OperatorError",
    "Operators",
    "RoleRequiredError",
    "SamePersonError",
    "SignInConfig",
    "SignInRequiredError",
    "check_different_people",
    "check_role",
    "check_usable",
    "command_actor",
]
