"""One command per Snakemake rule: load, call, save. Heavy imports stay inside the command.

Every command takes paths and a ``Config`` that holds the settings it uses; what it writes is
written whole or not at all.
"""
