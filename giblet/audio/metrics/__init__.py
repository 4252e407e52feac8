"""Scores of reconstructed sound."""
