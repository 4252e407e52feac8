"""Sound from retrieved clips that a small model refines."""


rule anchored_prior:
    """Retrieve clips by the decoded slow part, refine them, and score each strength."""
    input:
        film=FILM,
        aligned=lambda _: with_scan(
            "anchored_prior", f"{RESULTS}/aligned/{SETTINGS.path}.nc"
        ),
        model=f"{RESULTS}/model/{SETTINGS.path}",
        bank=there("prior.bank", [SETTINGS.prior.bank] * bool(SETTINGS.prior.bank)),
        regions=lambda _: decoding_regions(),
    output:
        sounds=directory(f"{RESULTS}/anchored_prior/{SETTINGS.path}"),
        curve=report(
            f"{RESULTS}/anchored_prior/{SETTINGS.path}.tsv",
            caption="../report/anchored_prior.rst",
            category="Sound",
            labels={"what": "prior", "path": SETTINGS.path, "brains": BRAINS},
        ),
    log:
        f"{LOGS}/anchored_prior_{SETTINGS.path}.log",
    benchmark:
        f"{TIMES}/anchored_prior_{SETTINGS.path}.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("anchored_prior")
    resources:
        mem_mb=memory("anchored_prior"),
        runtime=runtime("anchored_prior"),
    params:
        bank=lambda _, input: "--bank=" if input.bank else "",
        regions=lambda _, input: "--regions=" if input.regions else "",
        settings=settings(
            *SOUND[SETTINGS.path],
            *("audio_track", "t_r", "decoding", "prior", "ridge_backend", "seed"),
            "scan.alignment",
        ),
        source=source_fingerprint("anchored_prior"),
    shell:
        '"$GIBLET_PYTHON" -m giblet anchored_prior --film={input.film:q} --aligned={input.aligned:q}'
        " --model={input.model:q} {params.bank}{input.bank:q} {params.regions}{input.regions:q}"
        " --sounds={output.sounds:q} --curve={output.curve:q} --settings={params.settings:q}"
        " 2>&1 | tee -i {log:q}"
