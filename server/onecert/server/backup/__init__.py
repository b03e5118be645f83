"""Backups: one signed file with everything that a set of services needs to live again, and its way back.

`making.py` writes the file, `checking.py` tells offline whether it is whole, `restoring.py` brings it into a
new data folder, `drilling.py` does so for a moment and looks whether what came back keeps its word. What is
copied from a folder is in `contents.py`, databases are in `tables.py`, the form of the file is in
`archive.py`, secrets are in `sealing.py`.
"""
