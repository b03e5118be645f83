"""What `onecert doctor` looks at: this machine, each service's folder and database, and the running services.

Nothing is changed, migrated or signed; a service that runs is asked, one that does not is said not to run.
"""

from onecert.server.doctor.finding import Finding
from onecert.server.doctor.look import look

__all__ = ["Finding", "look"]
