"""Formats of rule sets, one module each."""
