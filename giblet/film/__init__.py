"""Pictures and words of a film, as features per TR."""
