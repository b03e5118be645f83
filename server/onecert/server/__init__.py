"""What every OneCert service stands on: settings, database, audit trail, jobs, operators, the HTTP frame.

Import from the modules; README.md lists them. Nothing is loaded here, so that a command starts quickly.
"""
