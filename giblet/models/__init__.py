"""Encoders, decoders and the bottleneck they share."""
