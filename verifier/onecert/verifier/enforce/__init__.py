"""Where proved roles are put into force: web applications, gateways, databases and accounts of machines.

``web`` guards single actions of an application; ``gateway`` hands proved roles to applications behind it in a
signed header; ``postgresql`` keeps the roles of a database equal to what attribute certificates say;
``accounts`` answers sshd, sudo and PAM. The command is ``onecert-enforce``. Whatever fails, nobody is let in.
"""
