"""Which level of the sound the brain follows."""


rule codec_ladder:
    """Score mel, each codebook, the bottleneck, layers, video and words against the brain."""
    input:
        aligned=lambda _: with_scan("codec_ladder", f"{RESULTS}/aligned/encodec.nc"),
        bold=f"{RESULTS}/bold.nc",
        quality=f"{RESULTS}/brain_quality.nc",
        codes=f"{RESULTS}/trs/encodec.nc",
        mel=f"{RESULTS}/trs/mel.nc",
        codec=CODEC_FILES,
        model=f"{RESULTS}/model/encodec",
        spaces=[
            f"{RESULTS}/trs/{one}.nc"
            for one in modalities("encodec")[1:] + SETTINGS.space_sets
        ],
        regions=known_regions,
    output:
        scores=report(
            f"{RESULTS}/codec_ladder.tsv",
            caption="../report/codec_ladder.rst",
            category="Brain",
            labels={"what": "levels of the sound", "brains": BRAINS},
        ),
    log:
        f"{LOGS}/codec_ladder.log",
    benchmark:
        f"{TIMES}/codec_ladder.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("codec_ladder")
    resources:
        mem_mb=memory("codec_ladder"),
        runtime=runtime("codec_ladder"),
    params:
        regions=lambda _, input: "--regions=" if input.regions else "",
        settings=settings(
            *SOUND["encodec"],
            *SOUND["mel"],
            *["t_r", "hrf_model", "fir_lags_seconds", "decoding", "ridge_backend"],
            "seed",
        ),
        codec=CODEC_SUMS,
        source=source_fingerprint("codec_ladder"),
    shell:
        '"$GIBLET_PYTHON" -m giblet codec_ladder --aligned={input.aligned:q} --bold={input.bold:q}'
        " --quality={input.quality:q} --codes={input.codes:q} --mel={input.mel:q}"
        " --model={input.model:q} --spaces {input.spaces:q} {params.regions}{input.regions:q}"
        " --scores={output.scores:q} --settings={params.settings:q} 2>&1 | tee -i {log:q}"
