"""Sound, pictures, words and brains on one clock, meeting in a shared bottleneck."""
