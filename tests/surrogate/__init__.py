"""Tests of `ruleedit.surrogate`, one file per source file."""
