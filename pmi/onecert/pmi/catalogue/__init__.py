"""The catalogue of attributes and roles."""
