"""Authorities as the service knows them, their lines, their delegates and their end."""
