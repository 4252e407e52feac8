"""Neural codecs: sound to codes and back."""
