"""The commands of the CA, one module for each group; `cli.py` puts them together."""
