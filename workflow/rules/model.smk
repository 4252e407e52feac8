"""Train the autoencoder, and reconstruct sound."""


rule train:
    """Train the autoencoder on the film's training TRs."""
    input:
        aligned=f"{RESULTS}/aligned/{{path}}.nc",
        codec=lambda w: CODEC_FILES if w.path == "encodec" else [],
        start=START_FILES,
    output:
        model=report(
            directory(f"{RESULTS}/model/{{path}}"),
            patterns=["{table}.tsv"],
            caption="../report/training.rst",
            category="Training",
            labels={"what": "{table}", "path": "{path}"},
        ),
    log:
        f"{LOGS}/train_{{path}}.log",
    benchmark:
        f"{TIMES}/train_{{path}}.tsv"
    priority: 1
    conda:
        "../envs/giblet.yaml"
    threads: lambda w: cores("train", training_threads(w.path))
    resources:
        **over_nodes(),
        mem_mb=memory("train"),
        runtime=runtime("train"),
    params:
        launch=launcher(),
        logs=lambda w: f"{RESULTS}/{fold_of(w)}training/{w.path}",
        threads=lambda w: training_threads(w.path),
        settings=lambda w: settings(
            *SOUND[w.path],
            "model",
            "training",
            "seed",
            *(["hrf_model"] if HAS_BOLD else []),
        ),
        codec=lambda w: CODEC_SUMS if w.path == "encodec" else [],
        start=START_SUMS,
        source=source_fingerprint("train"),
    shell:
        '{params.launch}"$GIBLET_PYTHON" -m giblet train --aligned={input.aligned:q} --model={output.model:q}'
        " --logs={params.logs:q} --settings={params.settings:q} --threads={params.threads}"
        " 2>&1 | tee -i {log:q}"


rule reconstruct:
    """Reconstruct held-out sound through codec, bottleneck and brain, and score it."""
    input:
        film=FILM,
        aligned=f"{RESULTS}/aligned/{{path}}.nc",
        model=f"{RESULTS}/model/{{path}}",
        regions=lambda _: decoding_regions(),
        speech_models=there("speech_models", SPEECH_MODELS),
    output:
        audio=directory(f"{RESULTS}/audio/{{path}}"),
        scores=report(
            f"{RESULTS}/scores/{{path}}.tsv",
            caption="../report/scores.rst",
            category="Sound",
            labels={"what": "scores", "path": "{path}", "brains": BRAINS},
        ),
        differences=f"{RESULTS}/differences/{{path}}.tsv",
        identified=f"{RESULTS}/identified/{{path}}.tsv" if SETTINGS.has_stimuli else [],
        subjects=f"{RESULTS}/subjects/{{path}}.tsv",
        permutations=f"{RESULTS}/permutations/{{path}}.tsv",
    log:
        f"{LOGS}/reconstruct_{{path}}.log",
    benchmark:
        f"{TIMES}/reconstruct_{{path}}.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("reconstruct")
    resources:
        mem_mb=memory("reconstruct"),
        runtime=runtime("reconstruct"),
    params:
        regions=lambda _, input: "--regions=" if input.regions else "",
        identified="--identified=" if SETTINGS.has_stimuli else "",
        settings=lambda w: settings(
            *SOUND[w.path],
            *(
                "audio_track",
                "t_r",
                "decoding",
                "speech_models",
                "ridge_backend",
                "seed",
            ),
            *["scan.alignment"] * HAS_BOLD,
        ),
        source=source_fingerprint("reconstruct"),
    shell:
        '"$GIBLET_PYTHON" -m giblet reconstruct --film={input.film:q} --aligned={input.aligned:q}'
        " --model={input.model:q} {params.regions}{input.regions:q} --audio={output.audio:q}"
        " --scores={output.scores:q} --differences={output.differences:q}"
        " {params.identified}{output.identified:q} --subjects={output.subjects:q}"
        " --permutations={output.permutations:q} --jobs={threads}"
        " --settings={params.settings:q} 2>&1 | tee -i {log:q}"


rule reconstruct_audio:
    """The main job: held-out sound, from codes or mel (use_encodec)."""
    default_target: True
    input:
        f"{RESULTS}/audio/{SETTINGS.path}",
        f"{RESULTS}/scores/{SETTINGS.path}.tsv",


rule pretrain:
    """Train the model's audio encoder and decoder on any sounds, for model.start_from."""
    input:
        sounds=lambda _: training_sounds("pretrain", "pretraining", "sounds"),
        validation=lambda _: training_sounds("pretrain", "pretraining", "validation"),
        codec=CODEC_FILES if SETTINGS.use_encodec else [],
    output:
        model=directory(f"results/models/{SETTINGS.path}"),
    log:
        f"logs/models/{SETTINGS.path}.log",
    benchmark:
        f"results/models/times/{SETTINGS.path}.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("pretrain")
    resources:
        **over_nodes(),
        mem_mb=memory("pretrain"),
        runtime=runtime("pretrain"),
    params:
        launch=launcher(),
        logs=f"results/models/training/{SETTINGS.path}",
        threads=COSTS["pretrain"].threads,
        settings=settings(
            *SOUND[SETTINGS.path], "use_encodec", "t_r", "model", "training", "seed"
        ),
        codec=CODEC_SUMS if SETTINGS.use_encodec else [],
        source=source_fingerprint("pretrain"),
    shell:
        '{params.launch}"$GIBLET_PYTHON" -m giblet pretrain --sounds={input.sounds:q} --validation={input.validation:q}'
        " --model={output.model:q} --logs={params.logs:q} --settings={params.settings:q}"
        " --threads={params.threads} 2>&1 | tee -i {log:q}"
