"""One page about both paths."""


rule report:
    """Compare the path of codes and the mel path on one self-contained page."""
    input:
        aligned=f"{RESULTS}/aligned/encodec.nc",
        models=expand(f"{RESULTS}/model/{{path}}", path=["encodec", "mel"]),
        audio=expand(f"{RESULTS}/audio/{{path}}", path=["encodec", "mel"]),
        scores=expand(f"{RESULTS}/scores/{{path}}.tsv", path=["encodec", "mel"]),
        bold=f"{RESULTS}/bold.nc" if HAS_BOLD else [],
        quality=(
            multiext(f"{RESULTS}/brain_quality", ".nc", ".tsv") if HAS_BOLD else []
        ),
        more=lambda _: [
            table
            for made in ("lesion", "leave_one_out")
            if Path(table := f"{RESULTS}/{made}/{SETTINGS.path}.tsv").exists()
        ],
    output:
        page=report(
            f"{RESULTS}/report.html",
            caption="../report/page.rst",
            category="The page",
            labels={"what": "report", "brains": BRAINS},
        ),
    log:
        f"{LOGS}/report.log",
    benchmark:
        f"{TIMES}/report.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores(1)
    resources:
        mem_mb=growing(2500, 0.1),
        runtime=growing(60),
    params:
        results=lambda _, output: str(Path(output.page).parent),
        logs=LOGS,
        settings=SETTINGS.model_dump_json(),
        source=source_fingerprint("report"),
    shell:
        "python -m giblet report --results {params.results:q} --logs {params.logs:q}"
        " --page {output.page:q} --settings {params.settings:q} 2>&1 | tee {log:q}"
