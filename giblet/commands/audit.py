"""The command that audits results."""

from pathlib import Path

from giblet.commands.option_help import OptionalFile


def audit(results: Path, /, table: OptionalFile = None) -> None:
    """Check results, and show that the checks would catch cheating.

    First the checks of every run of ``reconstruct`` and ``report`` on the results as they are.
    Then the same ones on copies, in memory, with cheating planted: test TRs in training, training
    sounds or a bank that hold the film, a null that is not shuffled, a gap of 0, scores of picked
    segments.
    Prints a table; ends with exit code 1 where a check fails, or a cheat is not caught.

    Example: giblet audit results/demo
    """
    import pandas as pd

    from giblet.errors import GibletError
    from giblet.evaluation.audit import AUDITED, audit
    from giblet.evaluation.evidence import checked_evidence
    from giblet.io.tables import save_table

    evidence = checked_evidence(results)
    if not evidence:
        raise GibletError(
            f"{results}: no scores and sounds to audit: run `snakemake reconstruct_audio` first"
        )
    print(f"{results}: every check passes ({', '.join(evidence)})")
    rows = [{"path": name} | row for name, one in evidence.items() for row in audit(one)]
    audited = pd.DataFrame(rows)[AUDITED]
    if table is not None:
        save_table(audited, table)
    print(audited.drop(columns="message").to_string(index=False))
    missed = audited[audited["caught"] == "no"]
    if len(missed):
        raise GibletError(
            f"{results}: not caught: {', '.join(missed['cheat'])}; these checks do not protect it"
        )
