"""The lab where neural audio codecs are trained."""
