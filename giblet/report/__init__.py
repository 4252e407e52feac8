"""One page about everything in a results folder."""
