"""Codec training on your own audio files."""


rule train_codec:
    """Train the codec that a recipe describes; a stopped run resumes."""
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
    threads: cores("train_codec")
    resources:
        mem_mb=memory("train_codec"),
        runtime=runtime("train_codec"),
    params:
        logs=f"results/codecs/training/{RECIPE.stem}",
        threads=COSTS["train_codec"].threads,
        source=source_fingerprint("codec train"),
    shell:
        '"$GIBLET_PYTHON" -m giblet codec train --sounds={input.sounds:q} --validation={input.validation:q}'
        " --recipe={input.recipe:q} --logs={params.logs:q} --codec={output.codec:q}"
        " --threads={params.threads} 2>&1 | tee -i {log:q}"
