"""The checker: everything issued and published, read again and compared with the record."""
