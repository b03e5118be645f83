"""Registration: applications, two-person approval, orders to the CA, and the clerks' and security staff's
pages."""

from onecert.ra.config import RaConfig
from onecert.ra.content.fields import Kind
from onecert.ra.life.machine import State

__all__ = ["Kind", "RaConfig", "State"]
