"""The verifier over HTTP, for a department's programs that are not in Python.

    application = create_service(verifier)            # any WSGI server; or: onecert-verify serve

``calls.py`` is what can be asked, ``application.py`` the HTTP around it, ``openapi.py`` its description,
``health.py`` what an operator watches.
"""

from onecert.verifier.service.application import create_service

__all__ = ["create_service"]
