"""Measurements, never tests: each figure is a ratio of two sides that ran in turn on the same machine."""
