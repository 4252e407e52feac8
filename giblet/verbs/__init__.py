"""One verb per Snakemake rule: load, call, save. Heavy imports stay inside the verb.

Every verb takes paths and a ``Config`` that holds the settings it uses; a path named in the rule's
``output`` is written whole or not at all.
"""
