"""Parts that every training loop here shares."""
