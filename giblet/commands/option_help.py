"""Options of the commands: which ones are written, and the help line of each."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin


@dataclass(frozen=True)
class Output:
    """Marks a parameter: the command writes a file, or a folder, at this path."""

    kind: Literal["file", "folder"]


OutputFile = Annotated[Path, Output("file")]
OptionalFile = Annotated[Path | None, Output("file")]
OutputFolder = Annotated[Path, Output("folder")]
OptionalFolder = Annotated[Path | None, Output("folder")]


def outputs(command: Callable) -> dict[str, str]:
    """Parameters at whose paths ``command`` writes: name → ``"file"`` or ``"folder"``.

    >>> def encode(film: Path, codes: OutputFile, logs: OutputFolder): ...
    >>> outputs(encode)
    {'codes': 'file', 'logs': 'folder'}
    """
    parameters = inspect.signature(command).parameters.values()
    marks = {p.name: get_args(p.annotation) for p in parameters if _is_annotated(p)}
    return {n: m.kind for n, (_type, *all_) in marks.items() for m in all_ if _is_output(m)}


def _is_annotated(parameter: inspect.Parameter) -> bool:
    return get_origin(parameter.annotation) is Annotated


def _is_output(mark: object) -> bool:
    return isinstance(mark, Output)


def option_help(command: str, option: str, kind: str | None = None) -> str:
    """The help line of an option; ``kind`` as `outputs` has it, of one that is written.

    >>> option_help("report", "page", "file")
    'file to write: the report (.html)'
    >>> option_help("report", "logs")
    "folder of the rules' logs, whose warnings the page then shows"
    """
    text = OPTIONS.get(f"{command} {option}") or OPTIONS[option]
    return f"{kind} to write: {text}" if kind else text


OPTIONS = {  # "command option" where an option means something else to a command
    "aligned": "film, text and scans in TRs, as sync_align writes them (.nc)",
    "annotations": "what is said, and when: a table, .TextGrid, .srt, .vtt or .json",
    "audio": "the decoded audio (.wav)",
    "audio_track": "of a film with several sound tracks: number, from 1, or language",
    "bold": "scans on the film's clock, as load_bold writes them (.nc)",
    "codec": '"bundled", a folder, or a Hugging Face id with its commit, owner/name@commit',
    "codes": "the codes (.nc)",
    "identified": "held-out stimuli, and which ones the brain is closest to (.tsv)",
    "subjects": "the brain's scores by subject (.tsv)",
    "permutations": "identification from BOLD under permutations of the clips (.tsv)",
    "differences": "the brain's scores minus those of its nulls, paired by moment (.tsv)",
    "features": "audio, video or text features in TRs (.nc)",
    "film": "a film or an audio file",
    "folder": "the data set",
    "fold": "number of a fold, from 1 to splits.folds, whose part is tested",
    "codebooks": "codes in a frame, instead of a bandwidth; 0: by kbps",
    "jobs": "parts of the work at once; the results are the same for any number",
    "kbps": "a bandwidth, the nearest that the codec offers",
    "logs": "checkpoints and TensorBoard curves",
    "stimuli": "with which TR of the film each stimulus begins, as join_stimuli writes it (.tsv)",
    "count": "how many",
    "generated": "folder of MIDI files that the model made, to compare with those of --pieces",
    "mel": "the mel spectrogram (.nc)",
    "model": "folder of the trained model",
    "others": "features in TRs of further modalities, each in a file of its name (.nc)",
    "figures": "folder for the page's figures as SVG, PDF and CSV",
    "page": "the report (.html)",
    "piece": "a MIDI file",
    "pieces": "folder of MIDI files",
    "primer": "a MIDI file that they go on from",
    "primer_seconds": "how much of it; 0: all",
    "quality": "maps of scan quality, as brain_quality writes them (.nc)",
    "recipe": "network, losses and schedule (.yaml), for instance config/codec/bundled.yaml",
    "regions": "a label image, or a folder of simulated brains",
    "regressors": "features after the HRF, a file per modality, as convolve_hrf writes them (.nc)",
    "results": "folder of a data set's results",
    "score": "notes of a score and their lag behind the film, as read_score writes them (.nc)",
    "scores": "a table of scores (.tsv)",
    "seconds": "length of each",
    "seed": "of all random numbers",
    "settings": "JSON with keys of config.yaml, as '{\"t_r\": 2.0}'; all are in config/README.md",
    "sound": "a film or an audio file",
    "sounds": "folder of audio files to train on",
    "source": "a BIDS derivatives folder, or a table of runs (.tsv, .csv)",
    "stream": "code or mel frames, as extract_codes or extract_mel writes them (.nc)",
    "tables": "a table of scores for each fold (.tsv)",
    "temperature": "below 1: likely tokens more often",
    "text": "text features in TRs (.nc)",
    "threads": "threads of torch and BLAS",
    "tokens": "tokens, as encode writes them (.nc)",
    "top_p": "tokens are drawn from the likeliest that together have this probability",
    "training": "folder of MIDI files that count models learn from",
    "trs": "frames in TRs (.nc)",
    "validation": "another folder of audio files, never trained on",
    "video": "video frames in TRs (.nc)",
    # ---- of one command ----
    "anchored_prior bank": "folder of sounds to retrieve from; without: the film's training TRs",
    "anchored_prior curve": "faithfulness and novelty at each strength (.tsv)",
    "anchored_prior sounds": "the refined sounds (.wav), and the clips that were retrieved",
    "audit table": "each planted cheat, its check, and whether that caught it (.tsv)",
    "brain_quality quality": "maps of scan quality (.nc)",
    "brain_quality sound": "mel frames in TRs, for the lag between film and scans (.nc)",
    "codec_ladder codes": "codes in TRs, as group_trs writes them (.nc)",
    "codec_ladder mel": "mel frames in TRs, as group_trs writes them (.nc)",
    "codec_ladder scores": "a row per region and level (.tsv)",
    "codec_ladder spaces": "video, text, score and layers of models in TRs, as embed_text and "
    "word_features write them (.nc)",
    "codec compress codes": "the compressed sound",
    "codec decompress codes": "codes, as compress writes them",
    "codec decompress sound": "an audio file (.wav, .flac)",
    "codec evaluate sounds": "audio files or films, one or more",
    "codec train codec": "the codec",
    "decode_features features": "features in TRs, a file per modality (.nc)",
    "convolve_hrf regressors": "features after the HRF (.nc)",
    "join_stimuli sound": "all stimuli, one after the other (.wav)",
    "join_stimuli source": "folder of sounds, or a table of their files (.tsv, .csv)",
    "join_stimuli stimuli": "with which TR of it each stimulus begins (.tsv)",
    "doctor config": "config file (.yaml)",
    "doctor source": "a config (.yaml), or without one a film, sound, BIDS folder or table of runs",
    "embed_text bold": "scans on the film's clock (.nc), to compare with where there is no film",
    "embed_text film": "a film or audio file, which sets the length; without: up to the last word",
    "export_predictions clips": "clips to predict: subject, clip, n_samples, stimulus (.tsv, .csv)",
    "export_predictions features": "features in TRs that the model was trained on (.nc)",
    "export_predictions n_parcels": "parcels that are wanted",
    "export_predictions predictions": "the predictions (.npy, or .zip with one .npy)",
    "export film": "audio features in TRs, as group_trs writes them (.nc)",
    "export source": "the BIDS folder or table of runs that the scans were read from",
    "init annotations": "what is said, and when, where it does not lie beside the film",
    "init film": "the film of the scans, where the data set does not have it",
    "init output": "the config (.yaml)",
    "init source": "a film, an audio file, a BIDS folder or a table of runs",
    "listening_test make clips": "of comparisons, for each column",
    "listening_test make feature_type": "whose sounds are heard: encodec or mel",
    "listening_test make key": "what each sound of the page is (.json)",
    "listening_test make page": "the test (.html)",
    "listening_test make rated_clips": "screens of ratings",
    "listening_test make seconds": "length of a clip",
    "listening_test score answers": "folder of the files that listeners saved",
    "listening_test score key": "what each sound of the page is, as make wrote it (.json)",
    "listening_test score scores": "shares of right choices, and mean ratings (.tsv)",
    "load_bold bold": "scans on the film's clock (.nc)",
    "music check folder": "MIDI files",
    "music decode piece": "a MIDI file (.mid)",
    "music encode model": "whose latents are written, too: as --model of evaluate",
    "music encode tokens": "the tokens (.nc)",
    "music evaluate model": '"bundled", a folder, or a Hugging Face id with its commit',
    "music evaluate pieces": "folder of MIDI files that the model has not seen",
    "music generate model": '"bundled", a folder, or a Hugging Face id with its commit',
    "music generate pieces": "the MIDI files",
    "music infill candidates": "how many are drawn, of which one is taken",
    "music infill filled": "the filled piece (.mid)",
    "music infill first_bar": "the first one to fill, from 1",
    "music infill last_bar": "the last one to fill",
    "music infill model": '"bundled", a folder, or a Hugging Face id with its commit',
    "music interpolate first": "the MIDI file at one end",
    "music interpolate model": '"bundled", a folder, or a Hugging Face id with its commit',
    "music interpolate pieces": "the MIDI files",
    "music interpolate second": "the MIDI file at the other end",
    "music render sound": "the sound (.wav, .flac)",
    "music train model": "the trained model",
    "music train recipe": "network, data and schedule (.yaml), as config/music/bundled.yaml",
    "music train validation": "another folder of MIDI files, never trained on",
    "music traverse attribute": "what is to become more",
    "music traverse examples": "folder of MIDI files with less and more of it",
    "music traverse model": '"bundled", a folder, or a Hugging Face id with its commit',
    "music traverse pieces": "the MIDI files",
    "pretrain model": "the trained model",
    "report latex": "the page's tables of systems, for LaTeX (.tex)",
    "report logs": "folder of the rules' logs, whose warnings the page then shows",
    "report methods": "the text for a methods section (.md)",
    "report references": "the references of that text (.bib)",
    "report scores": "scores, a row per system (.csv)",
    "read_score score": "a MIDI or MusicXML file",
    "read_score notes": "the notes, and their lag behind the film (.nc)",
    "reconstruct_score music": "MIDI files and their sounds, one a column",
    "simulate_bold score": "a MIDI or MusicXML file of the music",
    "score_features notes": "a table of the features of each note (.tsv)",
    "score_features trs": "features of the score in TRs (.nc)",
    "sound_features spaces": "features in TRs (.nc)",
    "picture_features film": "the film, with video",
    "picture_features spaces": "features in TRs (.nc)",
    "word_features film": "a film or sound, which sets the length; without: up to the last word",
    "word_features spaces": "features in TRs (.nc)",
    "sync_align aligned": "film, text and scans in TRs (.nc)",
    "sync_align audio": "audio features in TRs, as group_trs writes them (.nc)",
    "train model": "the trained model",
}
