"""Every second held out once: the main job's steps in each fold, and scores over folds."""

FOLD = f"{RESULTS}/folds/{{fold}}"
FOLD_LOGS = f"{LOGS}/folds/{{fold}}"


use rule sync_align as align_fold with:
    output:
        aligned=f"{FOLD}/aligned/{{path}}.nc",
    log:
        f"{FOLD_LOGS}/sync_align_{{path}}.log",
    benchmark:
        f"{FOLD}/times/sync_align_{{path}}.tsv"


use rule train as train_fold with:
    input:
        aligned=f"{FOLD}/aligned/{{path}}.nc",
        codec=lambda w: CODEC_FILES if w.path == "encodec" else [],
        start=START_FILES,
    output:
        model=directory(f"{FOLD}/model/{{path}}"),
    log:
        f"{FOLD_LOGS}/train_{{path}}.log",
    benchmark:
        f"{FOLD}/times/train_{{path}}.tsv"


use rule reconstruct as reconstruct_fold with:
    input:
        film=FILM,
        aligned=f"{FOLD}/aligned/{{path}}.nc",
        model=f"{FOLD}/model/{{path}}",
        regions=lambda _: decoding_regions(),
    output:
        audio=directory(f"{FOLD}/audio/{{path}}"),
        scores=f"{FOLD}/scores/{{path}}.tsv",
        differences=f"{FOLD}/differences/{{path}}.tsv",
        identified=f"{FOLD}/identified/{{path}}.tsv" if SETTINGS.has_stimuli else [],
        subjects=f"{FOLD}/subjects/{{path}}.tsv",
        permutations=f"{FOLD}/permutations/{{path}}.tsv",
    log:
        f"{FOLD_LOGS}/reconstruct_{{path}}.log",
    benchmark:
        f"{FOLD}/times/reconstruct_{{path}}.tsv"


rule decode_features:
    """Decode features of the film itself from BOLD of a fold, without any network."""
    input:
        aligned=f"{FOLD}/aligned/{{path}}.nc",
        features=lambda w: [
            f"{RESULTS}/trs/{m}.nc" for m in modalities(w.path) + SETTINGS.space_sets
        ],
        regions=lambda _: decoding_regions(),
    output:
        scores=f"{FOLD}/features/{{path}}.tsv",
    log:
        f"{FOLD_LOGS}/decode_features_{{path}}.log",
    benchmark:
        f"{FOLD}/times/decode_features_{{path}}.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("decode_features")
    resources:
        mem_mb=memory("decode_features"),
        runtime=runtime("decode_features"),
    params:
        regions=lambda _, input: "--regions=" if input.regions else "",
        settings=lambda w: settings(
            *SOUND[w.path], "t_r", "decoding", "ridge_backend", "seed"
        ),
        source=source_fingerprint("decode_features"),
    shell:
        '"$GIBLET_PYTHON" -m giblet decode_features --aligned={input.aligned:q}'
        " --features {input.features:q} {params.regions}{input.regions:q}"
        " --scores={output.scores:q} --settings={params.settings:q} 2>&1 | tee -i {log:q}"


rule fold_scores:
    """Join the scores of all folds: every second was held out once."""
    input:
        tables=fold_tables,
    output:
        scores=report(
            f"{RESULTS}/folds/{SETTINGS.path}.tsv",
            caption="../report/fold_scores.rst",
            category="Sound",
            labels={"what": "folds", "path": SETTINGS.path, "brains": BRAINS},
        ),
    log:
        f"{LOGS}/fold_scores_{SETTINGS.path}.log",
    benchmark:
        f"{TIMES}/fold_scores_{SETTINGS.path}.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("fold_scores")
    resources:
        mem_mb=memory("fold_scores"),
        runtime=runtime("fold_scores"),
    params:
        settings=settings("splits.folds", "splits.refit"),
        source=source_fingerprint("fold_scores"),
    shell:
        '"$GIBLET_PYTHON" -m giblet fold_scores --tables {input.tables:q} --scores={output.scores:q}'
        " --settings={params.settings:q} 2>&1 | tee -i {log:q}"
