"""Pictures, speech, music and effects of the bundled film."""
