"""Results for other tools."""


rule export:
    """Write codes, regressors, predicted BOLD and maps as a BIDS derivative data set."""
    input:
        bold=lambda _: with_scan("export", f"{RESULTS}/bold.nc"),
        source=BOLD,
        quality=f"{RESULTS}/brain_quality.nc",
        film=f"{RESULTS}/trs/{SETTINGS.path}.nc" if SETTINGS.has_film else [],
        regressors=[f"{RESULTS}/regressors/{m}.nc" for m in modalities(SETTINGS.path)],
        aligned=f"{RESULTS}/aligned/{SETTINGS.path}.nc" if SETTINGS.has_film else [],
        model=f"{RESULTS}/model/{SETTINGS.path}" if SETTINGS.has_film else [],
        score=f"{RESULTS}/features/score.nc" if SCORE else [],
    output:
        folder=directory(f"{RESULTS}/bids"),
    log:
        f"{LOGS}/export.log",
    benchmark:
        f"{TIMES}/export.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("export")
    resources:
        mem_mb=memory("export"),
        runtime=runtime("export"),
    params:
        film="--film=" if SETTINGS.has_film else "",
        aligned="--aligned=" if SETTINGS.has_film else "",
        model="--model=" if SETTINGS.has_film else "",
        score="--score=" if SCORE else "",
        settings=settings("dataset", "task"),
        source=source_fingerprint("export"),
    shell:
        '"$GIBLET_PYTHON" -m giblet export --bold={input.bold:q} --source={input.source:q}'
        " --quality={input.quality:q} {params.film}{input.film:q}"
        " --regressors {input.regressors:q} {params.aligned}{input.aligned:q}"
        " {params.model}{input.model:q} {params.score}{input.score:q} --folder={output.folder:q}"
        " --settings={params.settings:q} 2>&1 | tee -i {log:q}"
