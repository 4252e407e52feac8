"""Which level of the sound the brain follows."""

LEVEL_SETS = [one for one in modalities("encodec") if one != "encodec"]
LEVEL_SETS += SETTINGS.space_sets


rule codec_ladder:
    """Score mel, each codebook, the bottleneck, layers, video and words against the brain."""
    input:
        bold=lambda _: with_levels(
            LEVEL_SETS, with_scan("codec_ladder", f"{RESULTS}/bold.nc")
        ),
        quality=f"{RESULTS}/brain_quality.nc",
        aligned=f"{RESULTS}/aligned/encodec.nc" if SETTINGS.has_film else [],
        codes=f"{RESULTS}/trs/encodec.nc" if SETTINGS.has_film else [],
        mel=f"{RESULTS}/trs/mel.nc" if SETTINGS.has_film else [],
        codec=CODEC_FILES if SETTINGS.has_film else [],
        model=f"{RESULTS}/model/encodec" if SETTINGS.has_film else [],
        spaces=[f"{RESULTS}/trs/{one}.nc" for one in LEVEL_SETS],
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
        of_film=lambda _, input: [
            f"--{one}={input[one]}"
            for one in ("aligned", "codes", "mel", "model")
            if input[one]
        ],
        settings=settings(
            *([*SOUND["encodec"], *SOUND["mel"]] if SETTINGS.has_film else []),
            *([] if SETTINGS.has_film else [*PARTS, "max_voxels", "max_trs"]),
            *["t_r", "hrf_model", "fir_lags_seconds", "decoding", "ridge_backend"],
            "seed",
        ),
        codec=CODEC_SUMS if SETTINGS.has_film else "",
        source=source_fingerprint("codec_ladder"),
    shell:
        '"$GIBLET_PYTHON" -m giblet codec_ladder --bold={input.bold:q} --quality={input.quality:q}'
        " {params.of_film:q} --spaces {input.spaces:q} {params.regions}{input.regions:q}"
        " --scores={output.scores:q} --settings={params.settings:q} 2>&1 | tee -i {log:q}"
