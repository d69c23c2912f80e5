"""Tests of what the benchmarks count by; nothing here measures a time."""
