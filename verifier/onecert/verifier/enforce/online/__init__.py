"""Privileges of a city over the network: one address and one key, and a department decides by itself.

``open_privileges`` is the way in. Rules, attribute certificates and revocation lists are fetched when they
are due and verified before they count; while nothing can be fetched, what is at hand serves until it ends.
"""

from onecert.verifier.enforce.online.city import CityPrivileges, open_privileges

__all__ = ["CityPrivileges", "open_privileges"]
