"""Weights of a sum of losses: by their gradients, or learned as noise."""
