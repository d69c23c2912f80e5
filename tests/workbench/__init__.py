"""Tests of the workbench: its words and figures, and its pages in a real browser."""
