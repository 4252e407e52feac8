"""Where in the brain the sound is."""


rule searchlight:
    """Identify held-out clips from every region, and from every parcel or sphere of voxels."""
    input:
        aligned=lambda _: with_scan(
            "searchlight", f"{RESULTS}/aligned/{SETTINGS.path}.nc"
        ),
        model=f"{RESULTS}/model/{SETTINGS.path}",
        regions=known_regions,
    output:
        scores=report(
            f"{RESULTS}/searchlight/{SETTINGS.path}.tsv",
            caption="../report/searchlight.rst",
            category="Brain",
            labels={"what": "where", "path": SETTINGS.path, "brains": BRAINS},
        ),
    log:
        f"{LOGS}/searchlight_{SETTINGS.path}.log",
    benchmark:
        f"{TIMES}/searchlight_{SETTINGS.path}.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("searchlight")
    resources:
        mem_mb=memory("searchlight"),
        runtime=runtime("searchlight"),
    params:
        regions=lambda _, input: "--regions=" if input.regions else "",
        settings=settings(
            *("decoding", "searchlight", "scan.alignment", "ridge_backend", "seed")
        ),
        source=source_fingerprint("searchlight"),
    shell:
        '"$GIBLET_PYTHON" -m giblet searchlight --aligned={input.aligned:q} --model={input.model:q}'
        " {params.regions}{input.regions:q} --scores={output.scores:q}"
        " --settings={params.settings:q} 2>&1 | tee -i {log:q}"
