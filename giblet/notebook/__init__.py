"""The results of a run in a notebook: tables, maps, sounds and figures."""
