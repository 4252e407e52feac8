"""One page about codes and mel."""


rule report:
    """Compare codes and mel on one self-contained page; without a film report the scans."""
    input:
        aligned=f"{RESULTS}/aligned/encodec.nc" if SETTINGS.has_film else [],
        models=expand(f"{RESULTS}/model/{{path}}", path=COMPARED),
        audio=expand(f"{RESULTS}/audio/{{path}}", path=COMPARED),
        scores=expand(f"{RESULTS}/scores/{{path}}.tsv", path=COMPARED),
        words=f"{RESULTS}/trs/text.nc" if ANNOTATIONS else [],
        bold=lambda _: (
            []
            if SETTINGS.has_film and not HAS_BOLD
            else with_scan("report without a film", f"{RESULTS}/bold.nc")
        ),
        quality=(
            multiext(f"{RESULTS}/brain_quality", ".nc", ".tsv") if HAS_BOLD else []
        ),
        regions=report_regions,
        more=lambda _: more_tables(),
    output:
        page=report(
            f"{RESULTS}/report.html",
            caption="../report/page.rst",
            category="The page",
            labels={"what": "report", "brains": BRAINS},
        ),
        figures=directory(f"{RESULTS}/figures"),
        methods=f"{RESULTS}/methods.md",
        references=f"{RESULTS}/methods.bib",
        scores=f"{RESULTS}/scores_wide.csv" if SETTINGS.has_film else [],
        latex=f"{RESULTS}/scores.tex" if SETTINGS.has_film else [],
    log:
        f"{LOGS}/report.log",
    benchmark:
        f"{TIMES}/report.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("report")
    resources:
        mem_mb=memory("report"),
        runtime=runtime("report"),
    params:
        results=lambda _, output: str(Path(output.page).parent),
        logs=LOGS,
        scores="--scores=" if SETTINGS.has_film else "",
        latex="--latex=" if SETTINGS.has_film else "",
        settings=settings(),
        source=source_fingerprint("report"),
    shell:
        '"$GIBLET_PYTHON" -m giblet report --results={params.results:q} --logs={params.logs:q}'
        " --page={output.page:q} --figures={output.figures:q}"
        " --methods={output.methods:q} --references={output.references:q}"
        " {params.scores}{output.scores:q} {params.latex}{output.latex:q} --jobs={threads}"
        " --settings={params.settings:q} 2>&1 | tee -i {log:q}"
