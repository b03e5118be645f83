"""The status service: files and answers over plain HTTP, with or without the CA."""
