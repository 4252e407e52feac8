"""Files: read with one clear line where they cannot be, written whole."""
