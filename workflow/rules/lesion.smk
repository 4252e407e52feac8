"""Virtual lesions: a region of the brain is zeroed."""


rule lesion:
    """Zero each region of the brain, or all others, and score the decoded sound."""
    input:
        film=FILM,
        aligned=f"{RESULTS}/aligned/{SETTINGS.path}.nc",
        model=f"{RESULTS}/model/{SETTINGS.path}",
        regions=lambda _: lesion_regions(),
        score=f"{RESULTS}/features/score.nc" if SCORE else [],
        models=MUSIC_FILES if SCORE else [],
    output:
        audio=directory(f"{RESULTS}/lesion/{SETTINGS.path}"),
        scores=report(
            f"{RESULTS}/lesion/{SETTINGS.path}.tsv",
            caption="../report/lesion.rst",
            category="Brain",
            labels={"what": "lesions", "path": SETTINGS.path, "brains": BRAINS},
        ),
    log:
        f"{LOGS}/lesion_{SETTINGS.path}.log",
    benchmark:
        f"{TIMES}/lesion_{SETTINGS.path}.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("lesion")
    resources:
        mem_mb=memory("lesion"),
        runtime=runtime("lesion"),
    params:
        regions="" if SETTINGS.lesion.regions == "parcels" else "--regions=",
        score="--score=" if SCORE else "",
        settings=settings(
            *SOUND[SETTINGS.path],
            *("audio_track", "t_r", "decoding", "lesion", "ridge_backend", "seed"),
            "scan.alignment",
            *["music"] * bool(SCORE),
        ),
        models=MUSIC_SUMS if SCORE else [],
        source=source_fingerprint("lesion"),
    shell:
        '"$GIBLET_PYTHON" -m giblet lesion --film={input.film:q} --aligned={input.aligned:q}'
        " --model={input.model:q} {params.regions}{input.regions:q}"
        " {params.score}{input.score:q} --audio={output.audio:q} --scores={output.scores:q}"
        " --settings={params.settings:q} 2>&1 | tee -i {log:q}"
