"""What each option of the verbs means, in a line: the words of ``giblet VERB --help``."""

OPTIONS = {  # "verb option" where it means something else, or is read instead of written
    "aligned": "film, words and scans in TRs, as sync_align wrote them (.nc)",
    "annotations": "what is said, and when: .tsv, .csv, .xlsx, .TextGrid, .srt or .vtt",
    "audio": "folder to write the sounds to (.wav)",
    "bold": "scans on the film's clock, as load_bold wrote them (.nc)",
    "codec": '"bundled", a folder, or a Hugging Face id with its commit, owner/name@commit',
    "codes": "file to write the codes to (.nc)",
    "features": "sound, pictures or words in TRs (.nc)",
    "film": "a film, or a sound file",
    "folder": "folder to write the data set to",
    "kbps": "bandwidth, one that the codec offers",
    "logs": "folder to write checkpoints and TensorBoard curves to",
    "mel": "file to write the spectrogram to (.nc)",
    "model": "folder of the trained model",
    "page": "file to write the page to (.html)",
    "quality": "maps of how good the scans are, as brain_quality wrote them (.nc)",
    "recipe": "network, losses and schedule (.yaml), for instance config/codec/bundled.yaml",
    "regions": "a label image, or a folder of simulated brains",
    "regressors": "blurred features, one file a modality, as convolve_hrf wrote them (.nc)",
    "results": "folder of a data set's results",
    "scores": "table to write (.tsv)",
    "settings": "JSON with keys of config.yaml, as '{\"t_r\": 2.0}'; all are in config/README.md",
    "sound": "a film, or a sound file",
    "sounds": "folder of sounds to learn from",
    "source": "a BIDS derivatives folder, or a table of runs (.tsv, .csv)",
    "stream": "code or mel frames, as extract_codes or extract_mel wrote them (.nc)",
    "text": "the words in TRs (.nc)",
    "threads": "threads of torch and BLAS",
    "trs": "file to write the TRs to (.nc)",
    "validation": "another folder of sounds, never learned from",
    "video": "the pictures in TRs (.nc)",
    # ---- of one verb ----
    "brain_quality quality": "file to write the maps to (.nc)",
    "brain_quality sound": "mel frames in TRs, to tell how late the scans are (.nc)",
    "codec decompress codes": "file of codes, as compress wrote it (.nc)",
    "codec decompress sound": "sound file to write (.wav, .flac)",
    "codec evaluate sounds": "sound files or films, one or more",
    "codec train codec": "folder to write the codec to",
    "convolve_hrf regressors": "file to write the blurred features to (.nc)",
    "doctor config": "config file (.yaml)",
    "doctor source": "a config (.yaml), or a film, a sound file or a BIDS folder that has none yet",
    "embed_text film": "a film or sound file, which sets the length; without: up to the last word",
    "embed_text text": "file to write the words to (.nc)",
    "export film": "its sound in TRs, as group_trs wrote it (.nc)",
    "export source": "the BIDS folder or table of runs that the scans were read from",
    "extract_video video": "file to write the pictures to (.nc)",
    "init output": "config file to write",
    "init source": "a film, a sound file or a BIDS folder",
    "load_bold bold": "file to write the scans to (.nc)",
    "pretrain model": "folder to write the model to",
    "report logs": "folder of the rules' logs, whose warnings then stand on the page",
    "sync_align aligned": "file to write film, words and scans to, in TRs (.nc)",
    "sync_align audio": "the sound in TRs, as group_trs wrote it (.nc)",
    "train model": "folder to write the model to",
}


def option_help(verb: str, option: str) -> str:
    """What ``option`` means to ``verb``.

    >>> option_help("report", "page")
    'file to write the page to (.html)'
    """
    return OPTIONS.get(f"{verb} {option}") or OPTIONS[option]


def written(verb: str, option: str) -> str | None:
    """What ``verb`` writes at ``option``, "a file" or "a folder", as the help says; else None.

    >>> written("train", "model"), written("reconstruct", "scores"), written("lesion", "model")
    ('a folder', 'a file', None)
    """
    what, to_write, _rest = option_help(verb, option).partition(" to write")
    if not to_write:
        return None
    return "a folder" if what == "folder" else "a file"
