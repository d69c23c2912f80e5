"""Tests of the local view."""
