"""What is written down of every run, finished or not."""

# rules keep standard error in a log: each event with time and level
os.environ.update(GIBLET_LOG="1")


onsuccess:
    from giblet.report.record import write_record

    write_record(Path(RESULTS), Path(LOGS), SETTINGS, "done")


onerror:
    from giblet.report.record import write_record

    write_record(Path(RESULTS), Path(LOGS), SETTINGS, "failed")
