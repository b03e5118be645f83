"""Registration: applications, two-person approval, orders to the CA, and the clerks' and security staff's
pages."""

from onecert.ra.config import RaConfig
from onecert.ra.fields import Kind
from onecert.ra.states import State

__all__ = ["Kind", "RaConfig", "State"]
