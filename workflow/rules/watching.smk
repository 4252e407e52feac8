"""Records of every run, finished or not, and the errors of a failed one as its last lines."""

import atexit
import shlex
import time

from giblet.commands.doctor.time_left import TimeLeft
from snakemake.logging import logger
from snakemake.settings.enums import Quietness

BEGIN = time.time()
COMMAND = shlex.join(["snakemake", *sys.argv[1:]])

# rules keep standard error in a log: each event with time and level
os.environ.update(GIBLET_LOG="1")

if workflow.is_main_process:
    # not in the jobs of a cluster
    logger.addHandler(TimeLeft(SETTINGS, logger, {"quietness": Quietness.PROGRESS}))


onsuccess:
    from giblet.report.run_record import write_record

    write_record(Path(RESULTS), Path(LOGS), SETTINGS, "done", COMMAND)
    if (
        page := Path(RESULTS) / "report.html"
    ).exists() and page.stat().st_mtime > BEGIN:
        logger.info(f"The page: {page}")


onerror:
    from giblet.report.run_record import mistakes_since, write_record

    write_record(Path(RESULTS), Path(LOGS), SETTINGS, "failed", COMMAND)
    # Snakemake has more to say after this
    for message in reversed(mistakes_since(BEGIN, Path("logs"))):
        atexit.register(print, message, file=sys.stderr)
