"""The codec lab: a codec trained on sounds of one's own."""


rule train_codec:
    """Train the codec that a recipe describes; a run that was stopped goes on."""
    input:
        sounds=lambda _: training_sounds("train_codec", "codec_training", "sounds"),
        validation=lambda _: training_sounds(
            "train_codec", "codec_training", "validation"
        ),
        recipe=RECIPE,
    output:
        codec=directory(f"results/codecs/{RECIPE.stem}"),
    log:
        f"logs/codecs/{RECIPE.stem}.log",
    benchmark:
        f"results/codecs/times/{RECIPE.stem}.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores(2)
    resources:
        mem_mb=growing(6000),
        runtime=growing(1440),
    params:
        logs=f"results/codecs/training/{RECIPE.stem}",
        threads=2,
        source=source_fingerprint("codec train"),
    shell:
        "python -m giblet codec train --sounds {input.sounds:q} --validation {input.validation:q}"
        " --recipe {input.recipe:q} --logs {params.logs:q} --codec {output.codec:q}"
        " --threads {params.threads} 2>&1 | tee {log:q}"
