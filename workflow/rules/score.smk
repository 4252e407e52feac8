"""The score of held-out music, from the brain."""


rule reconstruct_score:
    """Reconstruct the score of held-out music from tokens, latents and brain, and score it."""
    input:
        film=FILM,
        aligned=f"{RESULTS}/aligned/{SETTINGS.path}.nc",
        score=lambda _: with_score("reconstruct_score")
        and f"{RESULTS}/features/score.nc",
        model=f"{RESULTS}/model/{SETTINGS.path}",
        models=MUSIC_FILES,
        regions=lambda _: decoding_regions(),
    output:
        music=directory(f"{RESULTS}/reconstruct_score/{SETTINGS.path}"),
        scores=report(
            f"{RESULTS}/reconstruct_score/{SETTINGS.path}.tsv",
            caption="../report/reconstruct_score.rst",
            category="Sound",
            labels={"what": "the score", "path": SETTINGS.path, "brains": BRAINS},
        ),
    log:
        f"{LOGS}/reconstruct_score_{SETTINGS.path}.log",
    benchmark:
        f"{TIMES}/reconstruct_score_{SETTINGS.path}.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("reconstruct_score")
    resources:
        mem_mb=memory("reconstruct_score"),
        runtime=runtime("reconstruct_score"),
    params:
        regions=lambda _, input: "--regions=" if input.regions else "",
        settings=settings(
            *SOUND["mel"],
            "audio_track",
            "t_r",
            "decoding",
            "music",
            "ridge_backend",
            "seed",
        ),
        models=MUSIC_SUMS,
        source=source_fingerprint("reconstruct_score"),
    shell:
        '"$GIBLET_PYTHON" -m giblet reconstruct_score --film={input.film:q}'
        " --aligned={input.aligned:q} --score={input.score:q} --model={input.model:q}"
        " {params.regions}{input.regions:q} --music={output.music:q} --scores={output.scores:q}"
        " --settings={params.settings:q} 2>&1 | tee -i {log:q}"
