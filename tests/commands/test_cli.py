"""Verbs: bad input is one clear line and leaves nothing behind; good input, a whole file."""

import errno
import fcntl
import functools
import inspect
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

import av
import nibabel
import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
import xarray as xr

import giblet
from giblet.commands import cli
from giblet.commands.cli import build_parser, main, verb_functions
from giblet.commands.option_help import OPTIONS, outputs
from giblet.config.config import Config, parse_config
from giblet.demo.bids_writer import simulate_bids
from giblet.errors import explain_os_error
from giblet.io.arrays import load_arrays, save_arrays
from giblet.io.tables import load_json, save_json
from giblet.log import read_events

RUN = "sub-01/func/sub-01_task-film_run-1"
BOLD = f"{RUN}_space-MNI152NLin2009cAsym_desc-preproc_bold"


def arguments_of(verb, **options):
    """``run("train", logs=x)`` as the words of a command line."""
    settings = options.pop("settings", None)
    words = [verb]
    for name, value in options.items():
        words += [f"--{name}", str(value)]
    if settings is not None:
        words += ["--settings", settings if isinstance(settings, str) else json.dumps(settings)]
    return words


@pytest.fixture
def run(capfd):
    """Run a verb in this process: its exit code and the lines on standard error."""

    def run_verb(verb, **options):
        capfd.readouterr()
        code = main(arguments_of(verb, **options))
        return code, capfd.readouterr().err.splitlines()

    with mock.patch.dict(os.environ):
        yield run_verb


@pytest.fixture
def refused(run, tmp_path):
    """Run a verb that must fail in one line and leave no file where it would write."""

    def run_verb(verb, said, **options):
        out = tmp_path / "out"
        targets = {name: out / file for name, file in options.pop("writes").items()}
        code, lines = run(verb, **options, **targets)
        assert code == 1
        assert len(lines) == 1, lines
        assert lines[0].startswith(f"giblet {verb}: ")
        assert said in lines[0]
        assert not out.exists() or not list(out.rglob("*"))

    return run_verb


@pytest.fixture
def sound(tmp_path):
    """Six seconds of noise: four TRs."""
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 6 * 8000)
    soundfile.write(tmp_path / "sound.wav", noise, 8000)
    return tmp_path / "sound.wav"


def write_pictures(path, n_frames, sound=None):
    """A film of ten pictures a second, ever brighter; with ``sound`` (n_samples,) at 8 kHz."""
    with av.open(path, "w") as film:
        stream = film.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        track = None if sound is None else film.add_stream("aac", rate=8000, layout="mono")
        for shade in range(n_frames):
            picture = np.full((24, 32, 3), shade, dtype=np.uint8)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        film.mux(stream.encode(None))
        if track:
            samples = sound[None].astype(np.float32)
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            frame.sample_rate = 8000
            film.mux(track.encode(frame))
            film.mux(track.encode(None))
    return path


# ---- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["extract_codes", "extract_mel"])
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("missing", "no such file"),
        ("silent film", "has no sound track"),
        ("text", "cannot be read as a film or a sound"),
        ("empty file", "the file is empty"),
        ("no samples", "no sound in its sound track"),
        ("one second", "1.00 s of sound is shorter than one TR (1.5 s)"),
        ("folder", "is a folder, not a film"),
    ],
)
def test_a_film_without_usable_sound(refused, verb, kind, said, tmp_path):
    film = tmp_path / ("film.mp4" if kind in ("silent film", "text") else "film.wav")
    make = {
        "missing": lambda: None,
        "silent film": lambda: write_pictures(film, 30),
        "text": lambda: film.write_text("This is not a film.\n" * 100),
        "empty file": film.touch,
        "no samples": lambda: soundfile.write(film, np.zeros(0), 8000),
        "one second": lambda: soundfile.write(film, np.sin(np.arange(8000.0)) / 2, 8000),
        "folder": film.mkdir,
    }
    make[kind]()
    output = {"codes" if verb == "extract_codes" else "mel": "features.nc"}
    refused(verb, f"{film.name}: {said}", film=film, writes=output)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda film: film.write_text("no film"), "cannot be read as a film"),
        (lambda film: write_pictures(film, 10), "its video lasts 1.00 s, less than a TR (1.5 s)"),
    ],
)
def test_a_film_without_usable_pictures(refused, make, said, tmp_path):
    make(tmp_path / "film.mp4")
    writes = {"video": "video.nc"}
    refused("extract_video", f"film.mp4: {said}", film=tmp_path / "film.mp4", writes=writes)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("0.5\t2.0\tyes\n5.0\t60.0\tno\n", "'no', 5.00 s to 65.00 s, is past the end"),
        ("90\t1.0\tlate\n", "'late', 90.00 s to 91.00 s, is past the end of the film (6.00 s)"),
        ("soon\t1.0\tyes\n", "said.tsv: row 1 has no onset in seconds (onset soon)"),
    ],
)
def test_annotations_that_do_not_fit_the_film(refused, sound, rows, said, tmp_path):
    (tmp_path / "said.tsv").write_text("onset\tduration\ttext\n" + rows)
    annotations = tmp_path / "said.tsv"
    refused("embed_text", said, film=sound, annotations=annotations, writes={"text": "text.nc"})


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """One SIMULATED subject, one run of 60 s."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("simulated") / "bids"
    features = [rng.standard_normal((600, n)) for n in (3, 4, 5)]
    simulate_bids(folder, *features, t_r=1.5, n_subjects=1, n_runs=1, resolution_mm=16)
    return folder


def put_nan(folder):
    path = folder / f"{BOLD}.nii.gz"
    image = nibabel.load(path)
    voxels = np.array(image.dataobj, dtype=np.float32)
    voxels[tuple(np.argwhere(voxels[..., 0] > 0)[0])][5] = np.nan
    nibabel.save(nibabel.Nifti1Image(voxels, image.affine), path)


def drop_t_r(folder):
    sidecar = load_json(folder / f"{BOLD}.json")
    del sidecar["RepetitionTime"]
    save_json(sidecar, folder / f"{BOLD}.json")


def lengthen_film(folder):
    path = folder / f"{RUN}_events.tsv"
    pd.read_csv(path, sep="\t").assign(duration=90.0).to_csv(path, sep="\t", index=False)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (put_nan, "_desc-preproc_bold.nii.gz: NaN in the BOLD of 1 voxels"),
        (drop_t_r, "_desc-preproc_bold.json: TR missing from the sidecar"),
        (lengthen_film, "_desc-preproc_bold.nii.gz: the scan ends 21.0 s before the film does"),
        (shutil.rmtree, "no such folder"),
    ],
)
def test_scans_that_cannot_be_used(refused, simulated, spoil, said, tmp_path):
    folder = shutil.copytree(simulated, tmp_path / "bids")
    spoil(folder)
    refused("load_bold", said, source=folder, writes={"bold": "bold.nc"})


def test_simulated_brains_without_words(refused, rng, tmp_path):
    film = write_pictures(tmp_path / "film.mp4", 60, rng.uniform(-0.1, 0.1, 6 * 8000))
    said = "film.mp4: no variation in its words, and SIMULATED brains respond to sound, video"
    refused("simulate_bold", said, film=film, writes={"folder": "bids"})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"bandwith_kbps": 6}, "config: unknown key bandwith_kbps; did you mean bandwidth_kbps?"),
        ({"t_r": 0.001}, "config: t_r = 0.001"),
        ("{'t_r': 1.5}", "--settings must be JSON"),
        ("[\n1]", "config: settings = [1]"),
        ({"bandwidth_kbps": 0}, "config: bandwidth_kbps = 0"),
        ({"codebooks": 0}, "config: codebooks = 0"),
    ],
)
def test_settings_that_cannot_be_meant(refused, sound, settings, said):
    refused("extract_codes", said, film=sound, settings=settings, writes={"codes": "codes.nc"})


@pytest.mark.parametrize("codec", ["somebody/no_such_codec", "no_such_folder", "/no/such/folder"])
def test_a_codec_that_is_not_here_while_offline(refused, sound, codec, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    said = f"codec '{codec}': no such folder, not in the Hugging Face cache"
    writes = {"codes": "codes.nc"}
    refused("extract_codes", said, film=sound, settings={"codec": codec}, writes=writes)


def test_a_file_of_another_kind(refused, tmp_path):
    (tmp_path / "codes.nc").write_text("no arrays")
    said = "codes.nc: not a readable netCDF file"
    refused("group_trs", said, stream=tmp_path / "codes.nc", writes={"trs": "trs.nc"})


def test_a_profile_of_levels_takes_a_model_with_aligned_data_alone(refused, tmp_path):
    inputs = {"bold": tmp_path / "bold.nc", "quality": tmp_path / "quality.nc"}
    refused(
        "codec_ladder",
        "--model needs --aligned",
        **inputs,
        model=tmp_path,
        writes={"scores": "codec_ladder.tsv"},
    )


def test_a_failed_run_leaves_the_old_result_alone(run, tmp_path):
    (tmp_path / "codes.nc").write_text("the old result")
    code, _ = run("extract_codes", film=tmp_path / "none.wav", codes=tmp_path / "codes.nc")
    assert code == 1
    assert (tmp_path / "codes.nc").read_text() == "the old result"


# ---- what the operating system refuses -----------------------------------------------------------


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("sound.wav/codes.nc", "sound.wav: "),  # a file where a folder should be
        ("taken", "taken: is there already, and is not a file"),
        ("/proc/no/codes.nc", "/proc/no"),
    ],
)
def test_a_place_that_cannot_be_written_to(run, sound, tmp_path, out, said):
    (tmp_path / "taken").mkdir()
    code, lines = run("extract_mel", film=sound, mel=tmp_path / out)
    assert code == 1
    assert len(lines) == 1, lines
    assert lines[0].startswith("giblet extract_mel: ")
    assert said in lines[0]
    assert "[Errno" not in lines[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sound.wav", "taken"]


@pytest.mark.slow
def test_a_file_that_may_grow_no_further(sound, tmp_path):
    """20 kB at most: writing breaks off in the middle, as where no room is left."""
    assert main(["codec", "compress", "--sound", str(sound), "--codes", f"{tmp_path}/c.nc"]) == 0
    words = "giblet codec decompress --codes c.nc --sound out/sound.wav"
    limited = f"ulimit -f 20; exec {shlex.quote(sys.executable)} -m {words}"
    done = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("giblet codec decompress: out/sound.wav: ")
    assert not list((tmp_path / "out").iterdir())


def test_a_disk_without_room_for_an_array(tmp_path):
    """A petabyte, of one number: nothing is written of what would not fit."""
    vast = xr.Dataset({"bold": ("voxel", np.broadcast_to(np.float32(0), 10**15))})
    with pytest.raises(OSError, match=r"no space left on device \(4,000,") as refused:
        save_arrays(vast, tmp_path / "bold.nc")
    said = explain_os_error(refused.value)
    assert said.startswith(f"{tmp_path / 'bold.nc'}: no space left on device")
    assert said.endswith("; free some space, or write elsewhere")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def result(tmp_path, monkeypatch):
    """A result of the workflow, as the rules see it: in ``results/``, with a log kept."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIBLET_LOG", "1")
    path = Path("results/t/features.nc")
    facts = {"t_r": 1.5, "frame_rate": 75.0, "framing": "tr_synchronous", "n_trs": 2}
    save_arrays(xr.Dataset({"stream": (("row", "frame"), np.zeros((2, 224)))}, attrs=facts), path)
    return path


def check_left_alone(run, result, message):
    """It is named in one line and stays where and as it is."""
    content = result.read_bytes()
    code, lines = run("group_trs", stream=result, trs="trs.nc")
    assert code == 1
    _begins, event = read_events("\n".join(lines))
    assert event.message.startswith(f"giblet group_trs: {result}: {message}")
    assert [path.name for path in result.parent.iterdir()] == [result.name]
    assert result.read_bytes() == content


REFUSALS = [
    "EACCES",
    "EPERM",
    "ENOLCK",
    "EMFILE",
    "ENOMEM",
    "EIO",
    "ESTALE",
    "EOPNOTSUPP",
    "ENODEV",
]
ENOTSUPP = 524  # Linux has it for itself: flock on some network drives


@pytest.mark.parametrize("code", [*(getattr(errno, name) for name in REFUSALS), ENOTSUPP])
@pytest.mark.parametrize("place", ["h5py.File", "xarray.Dataset.load"])
def test_a_result_that_the_system_refuses_is_not_damaged(run, result, code, place, monkeypatch):
    def refuse(*_arguments, **_options):
        raise OSError(code, f"Unable to synchronously open file (errno = {code}, at length)")

    monkeypatch.setattr(place, refuse)
    reason = os.strerror(code)
    check_left_alone(run, result, reason[0].lower() + reason[1:])


@pytest.mark.parametrize("code", [0, errno.EINVAL])
def test_a_result_that_ends_early_or_points_nowhere_is_damaged(run, result, code, monkeypatch):
    def fail(*_arguments, **_options):
        raise OSError(f"Can't read data (file read failed, errno = {code}, at length)")

    monkeypatch.setattr("xarray.Dataset.load", fail)
    _code, lines = run("group_trs", stream=result, trs="trs.nc")
    assert f"It is {result}.damaged now: run again" in lines[-1]


def test_a_result_that_is_locked_is_not_damaged(run, result):
    with open(result, "r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        check_left_alone(run, result, "resource temporarily unavailable; another program has it")


def test_a_damaged_result_is_set_aside(run, result):
    with open(result, "r+b") as file:
        file.truncate(result.stat().st_size - 5)
    _code, lines = run("group_trs", stream=result, trs="trs.nc")
    assert f"It is {result}.damaged now: run again" in lines[-1]
    assert not result.exists()


# ---- good input ----------------------------------------------------------------------------------


def test_two_runs_give_the_same_bytes_and_nothing_else(run, sound, tmp_path):
    for name in ("one", "two"):
        assert run("extract_codes", film=sound, codes=tmp_path / name / "codes.nc") == (0, [])
        assert [path.name for path in (tmp_path / name).iterdir()] == ["codes.nc"]
    one, two = (tmp_path / name / "codes.nc" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_from_sound_to_trs(run, sound, tmp_path):
    assert run("extract_codes", film=sound, codes=tmp_path / "codes.nc")[0] == 0
    assert run("group_trs", stream=tmp_path / "codes.nc", trs=tmp_path / "trs.nc")[0] == 0
    arrays = load_arrays(tmp_path / "trs.nc")
    codes = arrays["audio"]
    assert (codes.dims, codes.shape) == (("tr", "row", "frame"), (4, 8, 112))
    assert codes.dtype == np.int32
    assert codes.min() >= 0
    assert codes.max() < 1024
    assert arrays["start_time"].values.tolist() == [0, 1.5, 3, 4.5]
    facts = {"t_r": 1.5, "codec": "bundled", "bandwidth_kbps": 6.0, "framing": "tr_synchronous"}
    assert facts.items() <= arrays.attrs.items()
    assert {"codec_revision", "giblet_version", "input"} <= arrays.attrs.keys()


def test_settings_are_used(run, sound, tmp_path):
    settings = {"mel": {"n_mels": 40}, "t_r": 2.0, "max_trs": 2}
    assert run("extract_mel", film=sound, mel=tmp_path / "mel.nc", settings=settings)[0] == 0
    arrays = load_arrays(tmp_path / "mel.nc")
    assert arrays["stream"].sizes["row"] == 40
    assert (arrays.attrs["t_r"], arrays.attrs["n_trs"]) == (2.0, 2)


def test_a_sound_has_no_pictures_and_says_so(run, sound, tmp_path):
    assert run("extract_video", film=sound, video=tmp_path / "video.nc") == (0, [])
    arrays = load_arrays(tmp_path / "video.nc")
    assert not arrays.data_vars
    assert "no video" in arrays.attrs["note"]


# ---- the command line itself ---------------------------------------------------------------------


def test_help_lists_every_verb(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    listed = capsys.readouterr().out
    assert ended.value.code == 0
    assert {"extract_codes", "train", "reconstruct", "report"} <= verb_functions().keys()
    places = [listed.index(f"\n    {verb} ") for verb in verb_functions()]
    assert places == sorted(places)
    assert max(map(len, listed.splitlines())) <= 100


@pytest.mark.parametrize("verb", verb_functions())
def test_the_example_of_every_verb_is_one_that_can_be_given(verb):
    """It names the verb, every option that is needed and none that is unknown."""
    told = verb_functions()[verb].__doc__
    example = re.search(r"^    Example: giblet (.*?)(?:\n\n|\n    $|\Z)", told, re.M | re.S)[1]
    options = vars(build_parser().parse_args(shlex.split(example)))
    assert " ".join(filter(None, [options["verb"], options.get("verb_in_group")])) == verb
    if "settings" in options:
        parse_config(json.loads(options["settings"]))


@pytest.mark.parametrize("verb", verb_functions())
def test_every_verb_explains_itself(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*verb.split(), "--help"])
    assert ended.value.code == 0
    assert "--threads" in capsys.readouterr().out


def test_every_option_has_its_words_and_no_words_are_left_over():
    used = {"threads"}
    for verb, function in verb_functions().items():
        for parameter in inspect.signature(function).parameters.values():
            name = "settings" if parameter.annotation is Config else parameter.name
            used.add(f"{verb} {name}" if f"{verb} {name}" in OPTIONS else name)
    assert used == OPTIONS.keys()


def test_where_every_verb_writes_is_declared():
    """`cli` checks these places before the work; those that only check write nothing."""
    silent = [verb for verb, function in verb_functions().items() if not outputs(function)]
    assert silent == ["doctor", "music check"]
    assert outputs(verb_functions()["train"]) == {"model": "folder", "logs": "folder"}
    assert outputs(verb_functions()["lesion"]) == {"audio": "folder", "scores": "file"}


def test_help_says_what_is_written(capsys):
    with pytest.raises(SystemExit):
        main(["reconstruct", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "--audio AUDIO folder to write: the decoded audio (.wav)" in text
    assert "--model MODEL folder of the trained model" in text


@pytest.mark.parametrize("words", ["--help", "export --help", "codec --help", "music --help"])
def test_help_has_no_marks_of_docstrings(words, capsys):
    with pytest.raises(SystemExit):
        main(words.split())
    assert "``" not in capsys.readouterr().out


def test_the_version_is_the_packages(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"giblet {giblet.__version__}\n"


@pytest.mark.parametrize("group", ["", "codec", "music"])
def test_without_a_command_the_help_is_printed(group, capsys):
    printed = []
    for words in (group.split(), [*group.split(), "--help"]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert "usage: giblet" in printed[0]


def test_without_docstrings_commands_work(tmp_path):
    """PYTHONOPTIMIZE=2 leaves them out."""
    command = [sys.executable, "-OO", "-m", "giblet", "group_trs", "--stream", "a", "--trs", "b"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr == "giblet group_trs: a: no such file\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("docter", "giblet: no verb 'docter'; did you mean doctor? See `giblet --help`"),
        ("xyzzy", "giblet: no verb 'xyzzy'. See `giblet --help`"),
        ("codec compres", "giblet: no verb 'codec compres'; did you mean codec compress?"),
        ("compress --kbps 3", "giblet: no verb 'compress'; did you mean codec compress?"),
        ("train", "giblet train: the following arguments are required: --aligned, --model, --logs"),
        ("train --alinged a.nc", "giblet train: no option --alinged; did you mean --aligned?"),
        ("group_trs a.nc --stream=a --trs b", "giblet group_trs: 'a.nc' belongs to no option; the"),
        ("group_trs --stream a --trs b --threads x", "giblet group_trs: argument --threads: must "),
        ("group_trs --stream a --trs b --threads 0", "giblet group_trs: argument --threads: must "),
    ],
)
def test_wrong_words_are_one_line(words, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(said)
    assert told.err.count("\n") == 1


def test_ctrl_c_is_one_line_and_leaves_nothing(sound, tmp_path):
    words = arguments_of("extract_codes", film=sound, codes=tmp_path / "out" / "codes.nc")
    command = [sys.executable, "-m", "giblet", *words]
    logged = os.environ | {"GIBLET_LOG": "1"}
    heard = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # by jobs behind & not
    options = {"stderr": subprocess.PIPE, "text": True, "env": logged, "preexec_fn": heard}
    with subprocess.Popen(command, **options) as process:
        assert process.stderr.readline().endswith(' INFO giblet "extract_codes begins"\n')
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130
    (event,) = read_events(said)
    assert event.level == "ERROR"
    assert event.message == "giblet extract_codes: stopped by the user; nothing half written"
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_ctrl_c_is_in_the_log_of_a_rule_too(sound, tmp_path):
    """A terminal sends it to ``tee`` as well; the rules' ``tee -i`` goes on to the last line."""
    words = arguments_of("extract_codes", film=sound, codes=tmp_path / "out" / "codes.nc")
    line = f"{shlex.join([sys.executable, '-m', 'giblet', *words])} 2>&1 | tee -i {tmp_path}/log"
    heard = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    options = {"stdout": subprocess.PIPE, "text": True, "start_new_session": True}
    options |= {"env": os.environ | {"GIBLET_LOG": "1"}, "preexec_fn": heard}
    with subprocess.Popen(["bash", "-c", line], **options) as process:
        assert "extract_codes begins" in process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        process.wait()
    *_, event = read_events((tmp_path / "log").read_text())
    assert event.message == "giblet extract_codes: stopped by the user; nothing half written"


@pytest.mark.parametrize(("reason", "code"), [(KeyboardInterrupt, 130), (ValueError, None)])
def test_an_exit_is_the_users_only_after_ctrl_c(run, reason, code, monkeypatch):
    """Lightning makes one of every Ctrl-C."""

    def stopped(verb, options):
        try:
            raise reason
        except reason:
            sys.exit(3)

    monkeypatch.setattr(cli, "_call", stopped)
    if code is None:
        with pytest.raises(SystemExit, match="3"):
            run("group_trs", stream="a.nc", trs="b.nc")
    else:
        assert run("group_trs", stream="a.nc", trs="b.nc")[0] == code


def test_as_a_program_of_its_own(tmp_path):
    (tmp_path / "film.mp4").write_text("no film")
    words = arguments_of("extract_video", film=tmp_path / "film.mp4", video=tmp_path / "v.nc")
    done = subprocess.run(
        [sys.executable, "-m", "giblet", *words], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("giblet extract_video: ")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


def test_one_file_under_two_options_is_not_written_over(tmp_path, capsys):
    (stream := tmp_path / "mel.nc").write_text("precious")
    assert main(["group_trs", "--stream", str(stream), "--trs", f"{tmp_path}/./mel.nc"]) == 1
    assert "--stream and --trs are the same file" in capsys.readouterr().err
    assert stream.read_text() == "precious"


def test_memory_that_torch_cannot_have_is_one_line(monkeypatch, capsys):
    def hungry(verb, options):
        torch.empty(2**50)

    monkeypatch.setattr("giblet.commands.cli._call", hungry)
    assert main(["extract_mel", "--film", "a", "--mel", "b"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("giblet extract_mel: not enough memory (")


@pytest.mark.slow
def test_libraries_print_no_tips():
    """Lightning adds a handler of its own when it is imported, which would print its messages."""
    code = (
        "import logging; from giblet.log import log_to_stderr, quiet_libraries\n"
        "quiet_libraries()\n"
        "with log_to_stderr():\n"
        "    import lightning\n"
        "    logging.getLogger('lightning.pytorch').info('a tip')\n"
        "    logging.getLogger('lightning.pytorch').warning('a warning')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.splitlines() == ["WARNING: a warning"]
    assert not done.stdout


def test_a_closed_pipe_is_no_mistake():
    """``giblet doctor | head -1``: the exit code of a shell's own tools, and no message."""
    line = f"{sys.executable} -m giblet doctor | exec true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("141\n", "")


@pytest.mark.parametrize(("is_closed", "code"), [(True, 128 + signal.SIGPIPE), (False, 1)])
def test_only_a_closed_output_ends_in_silence(is_closed, code):
    """A pipe to a worker can break, too: that is a mistake, in one line."""
    script = "\n".join(
        [
            "import os, sys",
            "from giblet.commands import cli",
            "def breaks(**options): raise BrokenPipeError(32, 'Broken pipe')",
            "cli.verb_functions = lambda: functions | {'doctor': breaks}",
            "sys.exit(cli._exit_code('doctor', {}))",
        ]
    ).replace("def breaks", "functions = cli.verb_functions()\ndef breaks")
    reader, writer = os.pipe()
    if is_closed:
        os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=writer, stderr=subprocess.PIPE, text=True
    )
    assert done.returncode == code
    assert ("giblet doctor: broken pipe" in done.stderr) is not is_closed
