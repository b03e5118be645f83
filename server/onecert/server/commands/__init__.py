"""The commands of the server itself; each module is one command of `onecert`."""
