"""Video frames and transcripts of a film as features per TR."""
