"""Cross-subject decoding."""


rule leave_one_out:
    """Train without each subject in turn, and fit only a linear readout for that subject."""
    input:
        aligned=lambda _: with_scan(
            "leave_one_out", f"{RESULTS}/aligned/{SETTINGS.path}.nc"
        ),
        model=f"{RESULTS}/model/{SETTINGS.path}",
        codec=CODEC_FILES if SETTINGS.use_encodec else [],
        start=START_FILES,
        regions=lambda _: decoding_regions(),
    output:
        scores=report(
            f"{RESULTS}/leave_one_out/{SETTINGS.path}.tsv",
            caption="../report/leave_one_out.rst",
            category="Brain",
            labels={"what": "left out", "path": SETTINGS.path, "brains": BRAINS},
        ),
    log:
        f"{LOGS}/leave_one_out_{SETTINGS.path}.log",
    benchmark:
        f"{TIMES}/leave_one_out_{SETTINGS.path}.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("leave_one_out")
    resources:
        mem_mb=memory("leave_one_out"),
        runtime=runtime("leave_one_out"),
    params:
        logs=f"{RESULTS}/training/leave_one_out/{SETTINGS.path}",
        threads=COSTS["leave_one_out"].threads,
        regions=lambda _, input: "--regions=" if input.regions else "",
        settings=settings(
            *SOUND[SETTINGS.path],
            *["model", "training", "decoding", "hrf_model", "scan.alignment", "seed"],
        ),
        codec=CODEC_SUMS if SETTINGS.use_encodec else [],
        start=START_SUMS,
        source=source_fingerprint("leave_one_out"),
    shell:
        '"$GIBLET_PYTHON" -m giblet leave_one_out --aligned={input.aligned:q} --model={input.model:q}'
        " {params.regions}{input.regions:q} --logs={params.logs:q} --scores={output.scores:q}"
        " --settings={params.settings:q} --threads={params.threads} 2>&1 | tee -i {log:q}"


rule calibration:
    """Score a new person after some minutes of data, with models of the others."""
    input:
        aligned=lambda _: with_scan(
            "calibration", f"{RESULTS}/aligned/{SETTINGS.path}.nc"
        ),
        model=f"{RESULTS}/model/{SETTINGS.path}",
        regions=lambda _: decoding_regions(),
    output:
        scores=report(
            f"{RESULTS}/calibration.tsv",
            caption="../report/calibration.rst",
            category="Brain",
            labels={"what": "a new person", "path": SETTINGS.path, "brains": BRAINS},
        ),
    log:
        f"{LOGS}/calibration.log",
    benchmark:
        f"{TIMES}/calibration.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("calibration")
    resources:
        mem_mb=memory("calibration"),
        runtime=runtime("calibration"),
    params:
        regions=lambda _, input: "--regions=" if input.regions else "",
        settings=settings(
            "decoding", "scan.alignment", "calibration", "ridge_backend", "seed"
        ),
        source=source_fingerprint("calibration"),
    shell:
        '"$GIBLET_PYTHON" -m giblet calibration --aligned={input.aligned:q} --model={input.model:q}'
        " {params.regions}{input.regions:q} --scores={output.scores:q}"
        " --settings={params.settings:q} 2>&1 | tee -i {log:q}"
