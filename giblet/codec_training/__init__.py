"""Training of neural audio codecs: networks, quantizers, losses, discriminators, the loop."""
