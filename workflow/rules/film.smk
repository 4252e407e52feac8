"""From the film to features per TR: audio, video, text."""

if SETTINGS.is_music_demo:

    rule render_music:
        """Render the bundled music, the film of the music demo, from its score."""
        input:
            piece=MUSIC,
        output:
            sound=f"{RESULTS}/demo_music.wav",
        log:
            f"{LOGS}/render_music.log",
        benchmark:
            f"{TIMES}/render_music.tsv"
        conda:
            "../envs/giblet.yaml"
        threads: cores("render_music")
        resources:
            mem_mb=memory("render_music"),
            runtime=runtime("render_music"),
        params:
            source=source_fingerprint("music render"),
        shell:
            '"$GIBLET_PYTHON" -m giblet music render --piece={input.piece:q}'
            " --sound={output.sound:q} 2>&1 | tee -i {log:q}"


if SETTINGS.has_stimuli:

    rule join_stimuli:
        """Join the stimuli to one film, with silence between them."""
        input:
            source=there("stimuli", [SETTINGS.stimuli]),
            files=there("stimuli", STIMULI),
        output:
            sound=f"{RESULTS}/stimuli.wav",
            stimuli=f"{RESULTS}/stimuli.tsv",
        log:
            f"{LOGS}/join_stimuli.log",
        benchmark:
            f"{TIMES}/join_stimuli.tsv"
        conda:
            "../envs/giblet.yaml"
        threads: cores("join_stimuli")
        resources:
            mem_mb=memory("join_stimuli"),
            runtime=runtime("join_stimuli"),
        params:
            settings=settings("t_r", "events.rest_seconds"),
            beside=COMPANIONS,
            source=source_fingerprint("join_stimuli"),
        shell:
            '"$GIBLET_PYTHON" -m giblet join_stimuli --source={input.source:q}'
            " --sound={output.sound:q} --stimuli={output.stimuli:q} --settings={params.settings:q}"
            " 2>&1 | tee -i {log:q}"


rule extract_codes:
    """Encode the film's sound with the codec."""
    input:
        film=FILM,
        codec=CODEC_FILES,
    output:
        codes=f"{RESULTS}/features/encodec.nc",
    log:
        f"{LOGS}/extract_codes.log",
    benchmark:
        f"{TIMES}/extract_codes.tsv"
    priority: 1
    conda:
        "../envs/giblet.yaml"
    threads: cores("extract_codes")
    resources:
        mem_mb=memory("extract_codes"),
        runtime=runtime("extract_codes"),
    params:
        settings=settings(*SOUND["encodec"], "audio_track", "t_r", "max_trs"),
        codec=CODEC_SUMS,
        source=source_fingerprint("extract_codes"),
    shell:
        '"$GIBLET_PYTHON" -m giblet extract_codes --film={input.film:q} --codes={output.codes:q}'
        " --settings={params.settings:q} 2>&1 | tee -i {log:q}"


rule extract_mel:
    """Turn the film's sound into a mel spectrogram."""
    input:
        film=FILM,
    output:
        mel=f"{RESULTS}/features/mel.nc",
    log:
        f"{LOGS}/extract_mel.log",
    benchmark:
        f"{TIMES}/extract_mel.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("extract_mel")
    resources:
        mem_mb=memory("extract_mel"),
        runtime=runtime("extract_mel"),
    params:
        settings=settings(*SOUND["mel"], "audio_track", "t_r", "max_trs"),
        source=source_fingerprint("extract_mel"),
    shell:
        '"$GIBLET_PYTHON" -m giblet extract_mel --film={input.film:q} --mel={output.mel:q}'
        " --settings={params.settings:q} 2>&1 | tee -i {log:q}"


rule group_trs:
    """Cut a stream of code or mel frames into TRs."""
    input:
        stream=f"{RESULTS}/features/{{path}}.nc",
    output:
        trs=f"{RESULTS}/trs/{{path}}.nc",
    log:
        f"{LOGS}/group_trs_{{path}}.log",
    benchmark:
        f"{TIMES}/group_trs_{{path}}.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("group_trs")
    resources:
        mem_mb=memory("group_trs"),
        runtime=runtime("group_trs"),
    params:
        source=source_fingerprint("group_trs"),
    shell:
        '"$GIBLET_PYTHON" -m giblet group_trs --stream={input.stream:q} --trs={output.trs:q}'
        " 2>&1 | tee -i {log:q}"


rule extract_video:
    """Extract the film's video frames at each TR."""
    input:
        film=STIMULUS_TABLE if SETTINGS.has_stimuli else FILM,
        stimuli=STIMULI,
    output:
        video=f"{RESULTS}/trs/video.nc",
    log:
        f"{LOGS}/extract_video.log",
    benchmark:
        f"{TIMES}/extract_video.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("extract_video")
    resources:
        mem_mb=memory("extract_video"),
        runtime=runtime("extract_video"),
    params:
        settings=settings("video", "audio_track", "t_r", "max_trs", *OF_STIMULI),
        source=source_fingerprint("extract_video"),
    shell:
        '"$GIBLET_PYTHON" -m giblet extract_video --film={input.film:q} --video={output.video:q}'
        " --settings={params.settings:q} 2>&1 | tee -i {log:q}"


rule embed_text:
    """Embed the words of each TR."""
    input:
        film=FILM if SETTINGS.has_film else [],
        bold=f"{RESULTS}/bold.nc" if HAS_BOLD and not SETTINGS.has_film else [],
        annotations=ANNOTATIONS or [],
        stimuli=STIMULUS_WORDS,
    output:
        text=f"{RESULTS}/trs/text.nc",
    log:
        f"{LOGS}/embed_text.log",
    benchmark:
        f"{TIMES}/embed_text.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("embed_text")
    resources:
        mem_mb=memory("embed_text"),
        runtime=runtime("embed_text"),
    params:
        film="--film=" if SETTINGS.has_film else "",
        bold="--bold=" if HAS_BOLD and not SETTINGS.has_film else "",
        settings=settings(
            "text_model", "audio_track", "t_r", "words", "max_trs", *OF_STIMULI
        ),
        source=source_fingerprint("embed_text"),
    shell:
        '"$GIBLET_PYTHON" -m giblet embed_text {params.film}{input.film:q} --annotations={input.annotations:q}'
        " {params.bold}{input.bold:q} --text={output.text:q} --settings={params.settings:q} 2>&1 | tee -i {log:q}"


rule sound_features:
    """Compute layers of an audio model."""
    input:
        film=FILM,
        stimuli=STIMULUS_TABLE if SETTINGS.has_stimuli else [],
        model=model_files(SETTINGS.sound_model.name),
    output:
        spaces=f"{RESULTS}/trs/sound_model.nc",
    log:
        f"{LOGS}/sound_features.log",
    benchmark:
        f"{TIMES}/sound_features.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("sound_features")
    resources:
        mem_mb=memory("sound_features"),
        runtime=runtime("sound_features"),
    params:
        stimuli="--stimuli=" if SETTINGS.has_stimuli else "",
        settings=settings("sound_model", "audio_track", "t_r", "max_trs", *SHORT_GAP),
        source=source_fingerprint("sound_features"),
    shell:
        '"$GIBLET_PYTHON" -m giblet sound_features --film={input.film:q} --spaces={output.spaces:q}'
        " {params.stimuli}{input.stimuli:q} --settings={params.settings:q} 2>&1 | tee -i {log:q}"


rule picture_features:
    """Compute layers of an image or video model."""
    input:
        film=STIMULUS_TABLE if SETTINGS.has_stimuli else FILM,
        stimuli=STIMULI,
        model=model_files(SETTINGS.picture_model.name),
    output:
        spaces=f"{RESULTS}/trs/picture_model.nc",
    log:
        f"{LOGS}/picture_features.log",
    benchmark:
        f"{TIMES}/picture_features.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("picture_features")
    resources:
        mem_mb=memory("picture_features"),
        runtime=runtime("picture_features"),
    params:
        settings=settings("picture_model", "t_r", "max_trs", *OF_STIMULI),
        source=source_fingerprint("picture_features"),
    shell:
        '"$GIBLET_PYTHON" -m giblet picture_features --film={input.film:q} --spaces={output.spaces:q}'
        " --settings={params.settings:q} 2>&1 | tee -i {log:q}"


rule word_features:
    """Compute words in context, surprisal, static vectors and form."""
    input:
        film=FILM if SETTINGS.has_film else [],
        annotations=ANNOTATIONS or [],
        stimuli=STIMULUS_WORDS,
        model=model_files(SETTINGS.word_model.name, SETTINGS.word_model.vectors),
    output:
        spaces=f"{RESULTS}/trs/word_model.nc",
    log:
        f"{LOGS}/word_features.log",
    benchmark:
        f"{TIMES}/word_features.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("word_features")
    resources:
        mem_mb=memory("word_features"),
        runtime=runtime("word_features"),
    params:
        film="--film=" if SETTINGS.has_film else "",
        settings=settings(
            "word_model", "audio_track", "t_r", "words", "max_trs", *OF_STIMULI
        ),
        source=source_fingerprint("word_features"),
    shell:
        '"$GIBLET_PYTHON" -m giblet word_features {params.film}{input.film:q} --annotations={input.annotations:q}'
        " --spaces={output.spaces:q} --settings={params.settings:q} 2>&1 | tee -i {log:q}"


rule read_score:
    """Read the score of the film's music, and compare its clock with the sound."""
    input:
        film=FILM,
        score=lambda _: with_score("read_score"),
        scores=SCORE_FILES,
    output:
        notes=f"{RESULTS}/features/score.nc",
    log:
        f"{LOGS}/read_score.log",
    benchmark:
        f"{TIMES}/read_score.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("read_score")
    resources:
        mem_mb=memory("read_score"),
        runtime=runtime("read_score"),
    params:
        settings=settings(
            "score_offset", "audio_track", "t_r", "max_trs", "seed", *OF_STIMULI
        ),
        source=source_fingerprint("read_score"),
    shell:
        '"$GIBLET_PYTHON" -m giblet read_score --film={input.film:q} --score={input.score:q}'
        " --notes={output.notes:q} --settings={params.settings:q} 2>&1 | tee -i {log:q}"


rule score_features:
    """Compute features of the score, by note and by TR."""
    input:
        score=f"{RESULTS}/features/score.nc",
        models=MUSIC_FILES,
    output:
        trs=f"{RESULTS}/trs/score.nc",
        notes=f"{RESULTS}/score_notes.tsv",
    log:
        f"{LOGS}/score_features.log",
    benchmark:
        f"{TIMES}/score_features.tsv"
    conda:
        "../envs/giblet.yaml"
    threads: cores("score_features")
    resources:
        mem_mb=memory("score_features"),
        runtime=runtime("score_features"),
    params:
        settings=settings("music"),
        models=MUSIC_SUMS,
        source=source_fingerprint("score_features"),
    shell:
        '"$GIBLET_PYTHON" -m giblet score_features --score={input.score:q} --trs={output.trs:q}'
        " --notes={output.notes:q} --settings={params.settings:q} 2>&1 | tee -i {log:q}"
