"""Estimates of time, memory and disk, and checks before a run."""
