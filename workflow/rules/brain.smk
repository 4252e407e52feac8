"""From scans to BOLD on the film's clock, and everything aligned with it."""

if SETTINGS.bold_source == "simulated":

    rule simulate_bold:
        """Simulate brains that watch the film, written as a BIDS derivative data set."""
        input:
            film=FILM,
            annotations=ANNOTATIONS or [],
            score=SCORE or [],
            scores=SCORE_FILES,
        output:
            folder=directory(BOLD),
        log:
            f"{LOGS}/simulate_bold.log",
        benchmark:
            f"{TIMES}/simulate_bold.tsv"
        conda:
            "../envs/giblet.yaml"
        threads: cores("simulate_bold")
        resources:
            mem_mb=memory("simulate_bold"),
            runtime=runtime("simulate_bold"),
        params:
            annotations="--annotations=" if ANNOTATIONS else "",
            score="--score=" if SCORE else "",
            settings=settings(
                *["audio_track", "t_r", "seed", "words", "simulation"],
                *["score_offset"] * bool(SCORE),
            ),
            source=source_fingerprint("simulate_bold"),
        shell:
            '"$GIBLET_PYTHON" -m giblet simulate_bold --film={input.film:q}'
            " {params.annotations}{input.annotations:q} {params.score}{input.score:q}"
            " --folder={output.folder:q} --settings={params.settings:q} 2>&1 | tee -i {log:q}"


rule load_bold:
    """Read, clean and time every run of every subject."""
    input:
        source=BOLD,
        files=RUN_FILES,
        stimuli=f"{RESULTS}/stimuli.tsv" if SETTINGS.has_stimuli else [],
    output:
        bold=f"{RESULTS}/bold.nc",
    log:
        f"{LOGS}/load_bold.log",
    benchmark:
        f"{TIMES}/load_bold.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("load_bold")
    resources:
        mem_mb=memory("load_bold"),
        runtime=runtime("load_bold"),
    params:
        stimuli="--stimuli=" if SETTINGS.has_stimuli else "",
        settings=settings(
            "task",
            "t_r",
            "scan",
            *["seed"] * SETTINGS.scan.null,
            *["events", "stimuli"] * SETTINGS.has_stimuli,
            cleaning=True,
        ),
        source=source_fingerprint("load_bold"),
    shell:
        '"$GIBLET_PYTHON" -m giblet load_bold --source={input.source:q} --bold={output.bold:q}'
        " {params.stimuli}{input.stimuli:q} --settings={params.settings:q} 2>&1 | tee -i {log:q}"


rule convolve_hrf:
    """Convolve the features of one modality with the haemodynamic response."""
    input:
        features=f"{RESULTS}/trs/{{modality}}.nc",
        bold=f"{RESULTS}/bold.nc",
    output:
        regressors=f"{RESULTS}/regressors/{{modality}}.nc",
    log:
        f"{LOGS}/convolve_hrf_{{modality}}.log",
    benchmark:
        f"{TIMES}/convolve_hrf_{{modality}}.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("convolve_hrf")
    resources:
        mem_mb=memory("convolve_hrf"),
        runtime=runtime("convolve_hrf"),
    params:
        settings=lambda w: settings(
            *SOUND.get(w.modality, ()), "t_r", "hrf_model", "fir_lags_seconds"
        ),
        source=source_fingerprint("convolve_hrf"),
    shell:
        '"$GIBLET_PYTHON" -m giblet convolve_hrf --features={input.features:q} --bold={input.bold:q}'
        " --regressors={output.regressors:q} --settings={params.settings:q} 2>&1 | tee -i {log:q}"


rule brain_quality:
    """ISC, noise ceiling and ridge encoding, before any network."""
    input:
        bold=f"{RESULTS}/bold.nc",
        regressors=[
            f"{RESULTS}/regressors/{m}.nc"
            for m in modalities(SETTINGS.path) + SETTINGS.space_sets
        ],
        sound=f"{RESULTS}/trs/mel.nc" if SETTINGS.has_film else [],
    output:
        quality=f"{RESULTS}/brain_quality.nc",
        scores=report(
            f"{RESULTS}/brain_quality.tsv",
            caption="../report/brain_quality.rst",
            category="Brain",
            labels={"what": "quality of the scans", "brains": BRAINS},
        ),
    log:
        f"{LOGS}/brain_quality.log",
    benchmark:
        f"{TIMES}/brain_quality.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("brain_quality")
    resources:
        mem_mb=memory("brain_quality"),
        runtime=runtime("brain_quality"),
    params:
        sound="--sound=" if SETTINGS.has_film else "",
        settings=settings(
            *["t_r", "quality", "max_trs", "max_voxels", "seed", "splits.folds"],
            "ridge_backend",
        ),
        source=source_fingerprint("brain_quality"),
    shell:
        '"$GIBLET_PYTHON" -m giblet brain_quality --bold={input.bold:q} --regressors {input.regressors:q}'
        " {params.sound}{input.sound:q} --quality={output.quality:q} --scores={output.scores:q}"
        " --settings={params.settings:q} 2>&1 | tee -i {log:q}"


rule sync_align:
    """Align film, text and scans to the film's TRs, cropped to their common TRs."""
    input:
        audio=f"{RESULTS}/trs/{{path}}.nc",
        video=f"{RESULTS}/trs/video.nc",
        text=f"{RESULTS}/trs/text.nc" if ANNOTATIONS else [],
        others=[f"{RESULTS}/trs/{m}.nc" for m in OTHERS],
        bold=f"{RESULTS}/bold.nc" if HAS_BOLD else [],
        regressors=lambda w: (
            [f"{RESULTS}/regressors/{m}.nc" for m in modalities(w.path)]
            if HAS_BOLD
            else []
        ),
    output:
        aligned=f"{RESULTS}/aligned/{{path}}.nc",
    log:
        f"{LOGS}/sync_align_{{path}}.log",
    benchmark:
        f"{TIMES}/sync_align_{{path}}.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("sync_align")
    resources:
        mem_mb=memory("sync_align"),
        runtime=runtime("sync_align"),
    params:
        text="--text=" if ANNOTATIONS else "",
        others="--others" if OTHERS else "",
        bold="--bold=" if HAS_BOLD else "",
        regressors="--regressors" if HAS_BOLD else "",
        fold=lambda w: [f"--fold={w.fold}"] if w.get("fold") else [],
        settings=lambda w: settings(
            *["t_r", *PARTS, "max_voxels"],
            "stimuli" if SETTINGS.has_stimuli else "score",
            *["splits.folds"] * bool(w.get("fold")),
        ),
        source=source_fingerprint("sync_align"),
    shell:
        '"$GIBLET_PYTHON" -m giblet sync_align --audio={input.audio:q} --video={input.video:q}'
        " {params.text}{input.text:q} {params.others} {input.others:q} {params.bold}{input.bold:q}"
        " {params.regressors} {input.regressors:q} {params.fold:q} --aligned={output.aligned:q}"
        " --settings={params.settings:q} 2>&1 | tee -i {log:q}"
