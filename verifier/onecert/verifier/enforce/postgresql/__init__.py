"""PostgreSQL: memberships of roles kept equal to what attribute certificates say, and roles of a session.

``plan`` is pure: what is there, what should be, the steps between. ``server`` reads and applies in one
transaction. ``session`` takes a proved role for one transaction of a pooled connection. Only roles that are
marked (members of ``onecert_managed``) are ever touched. Needs ``pip install onecert-verifier[postgresql]``.
"""

from onecert.verifier.enforce.postgresql.config import DatabaseConfig, RoleMap
from onecert.verifier.enforce.postgresql.plan import MARK, DatabaseRole, Plan, Step, make_plan
from onecert.verifier.enforce.postgresql.session import session_role

__all__ = ["MARK", "DatabaseConfig", "DatabaseRole", "Plan", "RoleMap", "Step", "make_plan", "session_role"]
