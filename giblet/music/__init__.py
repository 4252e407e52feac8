"""Symbolic music: scores as notes and tokens, models that learn them, and their latents."""
