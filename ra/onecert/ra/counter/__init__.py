"""The program on the counter's PC: it makes keys on holders' tokens and talks to the registration over HTTP.

It needs the token layer and a pass; it never opens a database, and no PIN leaves the PC.
"""
