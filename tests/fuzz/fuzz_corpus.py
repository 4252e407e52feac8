"""The corpus: valid files, how each is damaged, and the verb that must refuse it in one line."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import fuzz_contents as contents
import fuzz_damage as damage
import fuzz_seeds as seeds
import fuzz_tricks as tricks

MEL = json.dumps({"mel": {"n_mels": 16, "n_fft": 256, "hop_length": 256}})
MEL = MEL.replace("{", "{{").replace("}", "}}")


@dataclass(frozen=True)
class Case:
    """``arguments`` of giblet, with {i} for the folder of inputs and {o} for that of outputs."""

    name: str
    arguments: list[str]
    spoil: Callable[[Path], object]


@dataclass(frozen=True)
class Group:
    """Files that ``make`` puts into a folder, and what is done to them.

    ``silent``: its verb writes no files even where it succeeds.
    """

    name: str
    make: Callable[[Path], object]
    valid: Callable[[], list[list[str]]]
    cases: Callable[[], Iterator[Case]]
    silent: bool = False


def spoiling(file: str, words: list[str], *ways, why: str = "") -> Iterator[Case]:
    """Cases in which one file of a group is damaged, in each of these ways."""
    for way in ways:
        for label, spoil in way:
            name = f"{file}{why}: {label}"
            yield Case(name, words, lambda folder, s=spoil: s(folder / file))


# ---- films ---------------------------------------------------------------------------------------


def sound_of(file: str) -> list[str]:
    return ["extract_mel", "--film", f"{{i}}/{file}", "--mel", "{o}/x.nc", "--settings", MEL]


def pictures_of(file: str) -> list[str]:
    return ["extract_video", "--film", f"{{i}}/{file}", "--video", "{o}/x.nc"]


def make_films(folder: Path) -> None:
    for name, make in seeds.FILMS.items():
        make(folder / name)


def film_cases() -> Iterator[Case]:
    for n, name in enumerate(seeds.FILMS):
        yield from spoiling(name, sound_of(name), damage.of_bytes(n))
    for n, name in enumerate(("film.mp4", "film.mkv", "film.avi")):
        yield from spoiling(name, pictures_of(name), damage.of_bytes(10 + n), why=" (pictures)")
    yield from spoiling("film.wav", sound_of("film.wav"), damage.wav_headers())
    yield from spoiling("film.mp4", sound_of("film.mp4"), damage.in_its_place())
    yield from spoiling("film.mp4", sound_of("film.mp4"), tricks.playlists())
    yield from spoiling(
        "film.mp4", pictures_of("film.mp4"), damage.in_its_place(), why=" (pictures)"
    )


# ---- scans ---------------------------------------------------------------------------------------


def make_scans(folder: Path) -> None:
    for name, make in seeds.SCANS.items():
        make(folder / name)
        seeds.run_table(folder / f"{name}.runs.tsv", name)
    seeds.mask(folder / "mask.nii.gz")
    seeds.labels(folder / "labels.nii.gz")
    seeds.confounds(folder / "confounds.tsv")
    seeds.run_table(folder / "confounds.runs.tsv", "bold.npy", confounds="confounds.tsv")


def scan_of(name: str) -> list[str]:
    return ["load_bold", "--source", f"{{i}}/{name}.runs.tsv", "--bold", "{o}/bold.nc"]


def parcels_of(name: str) -> list[str]:
    settings = '{{"scan": {{"parcellation": "{i}/labels.nii.gz"}}}}'
    return [*scan_of(name), "--settings", settings]


def scan_cases() -> Iterator[Case]:
    for n, name in enumerate(seeds.SCANS):
        words = scan_of(name)
        yield from spoiling(name, words, damage.of_bytes(20 + n), damage.in_its_place())
        if name.endswith((".txt", ".tsv", ".csv", ".gii")):
            yield from spoiling(name, words, damage.of_text())
    for name in ("bold.nii.gz", "bold.nii"):
        yield from spoiling(name, scan_of(name), damage.nifti_headers())
    for file, words in (
        ("mask.nii.gz", scan_of("bold.nii.gz")),
        ("labels.nii.gz", parcels_of("bold.nii.gz")),
    ):
        ways = damage.of_bytes(31), damage.nifti_headers(), damage.in_its_place()
        yield from spoiling(file, words, *ways)
    yield from spoiling("confounds.tsv", scan_of("confounds"), damage.of_text())
    table = "bold.npy.runs.tsv"
    yield from spoiling(table, scan_of("bold.npy"), damage.of_text(), damage.of_bytes(32))
    for file, label, spoil in contents.further_files():
        yield from spoiling(file, scan_of(file), [(label, spoil)])
    for label, row in RUN_ROWS.items():
        yield Case(
            f"{table}: {label}",
            scan_of("bold.npy"),
            lambda folder, row=row: seeds.run_table(folder / table, **{"file": "bold.npy"} | row),
        )


RUN_ROWS = {
    "no file": {"file": ""},
    "its own folder": {"file": "."},
    "outside, missing": {"file": "../../../no/such.npy"},
    "a password file": {"file": "/etc/passwd"},
    "a device": {"file": "/dev/zero"},
    "a NUL in the name": {"file": "bold\0.npy"},
    "a long name": {"file": "x" * 5000 + ".npy"},
    "a surrogate in the name": {"file": "bold\udc80.npy".encode("utf-8", "replace").decode()},
    "negative TR": {"t_r": "-1.5"},
    "no TR": {"t_r": "0"},
    "NaN TR": {"t_r": "nan"},
    "infinite TR": {"t_r": "inf"},
    "TR in ms": {"t_r": "1500"},
    "TR of a nanosecond": {"t_r": "1e-9"},
    "NaN onset": {"film_onset": "nan"},
    "infinite onset": {"film_onset": "inf"},
    "far onset": {"film_onset": "1e300"},
    "infinite start": {"start_time": "-inf"},
    "negative dropped": {"n_dropped": "-100"},
    "vast dropped": {"n_dropped": "1e15"},
    "half dropped": {"n_dropped": "1.5"},
    "negative duration": {"duration": "-5"},
    "infinite stimulus onset": {"stim_onset": "inf"},
    "an HTML subject": {"subject": "<script>alert(1)</script>"},
    "a subject up the tree": {"subject": "../../x"},
    "no subject": {"subject": ""},
    "a blank subject": {"subject": " "},
    "a NUL in the subject": {"subject": "a\0b"},
    "an escape in the subject": {"subject": "\x1b[2J"},
}

# ---- BIDS ----------------------------------------------------------------------------------------

LOAD_BIDS = ["load_bold", "--source", "{i}/bids", "--bold", "{o}/bold.nc"]


def bids_cases() -> Iterator[Case]:
    for n, file in enumerate(seeds.BIDS_FILES.values()):
        ways = damage.of_text(), damage.of_bytes(40 + n), damage.in_its_place()
        yield from spoiling(f"bids/{file}", LOAD_BIDS, *ways)
    sidecar = seeds.BIDS_FILES["sidecar"]
    for label, text in {
        "TR is text": '{"RepetitionTime": "soon"}',
        "TR is a list": '{"RepetitionTime": [1.5]}',
        "TR is null": '{"RepetitionTime": null}',
        "TR is true": '{"RepetitionTime": true}',
        "negative TR": '{"RepetitionTime": -1.5}',
        "NaN TR": '{"RepetitionTime": NaN}',
        "infinite TR": '{"RepetitionTime": Infinity}',
        "a TR of 400 digits": '{"RepetitionTime": 1' + "0" * 400 + "}",
        "a TR of 5000 digits": '{"RepetitionTime": 1' + "0" * 5000 + "}",
        "NaN start": '{"RepetitionTime": 1.5, "StartTime": NaN}',
        "start is an object": '{"RepetitionTime": 1.5, "StartTime": {}}',
    }.items():
        yield Case(
            f"sidecar: {label}",
            LOAD_BIDS,
            lambda folder, t=text: (folder / "bids" / sidecar).write_text(t),
        )
    for made in ("5", '"me"', '{"Name": "me"}', "[5]", "null"):
        text = f'{{"Name": "x", "BIDSVersion": "1.8.0", "GeneratedBy": {made}}}'
        yield Case(
            f"description: made by {made}",
            LOAD_BIDS,
            lambda folder, t=text: (folder / "bids/dataset_description.json").write_text(t),
        )
    events = seeds.BIDS_FILES["events"]
    for label, text in {
        "up the tree": "onset\tduration\tstim_file\n0\t80\t../../../etc/passwd\n",
        "NaN onset": "onset\tduration\tstim_file\nnan\t80\tfilm.mp4\n",
        "infinite onset": "onset\tduration\tstim_file\ninf\t80\tfilm.mp4\n",
        "infinite duration": "onset\tduration\tstim_file\n0\tinf\tfilm.mp4\n",
        "far before": "onset\tduration\tstim_file\n-1e300\t80\tfilm.mp4\n",
        "no rows": "onset\tduration\tstim_file\n",
        "two columns of one name": "onset\tonset\tduration\n0\t0\t80\n",
    }.items():
        yield Case(
            f"events: {label}",
            LOAD_BIDS,
            lambda folder, t=text: (folder / "bids" / events).write_text(t),
        )


# ---- words ---------------------------------------------------------------------------------------


def make_words(folder: Path) -> None:
    for name, make in seeds.WORDS.items():
        make(folder / name)


def words_of(name: str) -> list[str]:
    return ["embed_text", "--annotations", f"{{i}}/{name}", "--text", "{o}/text.nc"]


def word_cases() -> Iterator[Case]:
    for n, name in enumerate(seeds.WORDS):
        yield from spoiling(name, words_of(name), damage.of_bytes(50 + n), damage.in_its_place())
        if not name.endswith(".xlsx"):
            yield from spoiling(name, words_of(name), damage.of_text())
    yield from spoiling("said.xlsx", words_of("said.xlsx"), [("a bomb", damage.bomb_workbook)])
    yield from spoiling("said.srt", words_of("said.srt"), tricks.subtitles())
    yield from spoiling("said.tsv", words_of("said.tsv"), tricks.tables())
    yield from spoiling("said.TextGrid", words_of("said.TextGrid"), tricks.grids())
    for label, row in {
        "far onset": "1e300\t1\tfar",
        "NaN": "nan\t1\tx",
        "infinite": "inf\t1\tx",
        "infinite duration": "0\tinf\tx",
        "a year": "31536000\t1\tx",
        "tiny": "1e-320\t1e-320\tx",
    }.items():
        yield Case(
            f"said.tsv: {label}",
            words_of("said.tsv"),
            lambda folder, r=row: (folder / "said.tsv").write_text(f"onset\tduration\ttext\n{r}\n"),
        )
    for label, old, new in (
        ("far end", "00:00:05.000", "99999999999:00:05.000"),
        ("minutes above 59", "00:00:05.000", "00:99:05.000"),
        ("backwards", "00:00:04.000", "00:00:06.000"),
    ):
        yield Case(
            f"said.vtt: {label}",
            words_of("said.vtt"),
            lambda folder, o=old, n=new: _replace(folder / "said.vtt", o, n),
        )
    for label, old, new in (
        ("a billion intervals", "intervals: size = 2", "intervals: size = 1000000000"),
        ("a time that is no number", "xmax = 2.5", "xmax = soon"),
        ("a time of NaN", "xmax = 2.5", "xmax = nan"),
        ("a far end", "xmax = 5", "xmax = 1e300"),
    ):
        yield Case(
            f"said.TextGrid: {label}",
            words_of("said.TextGrid"),
            lambda folder, o=old, n=new: _replace(folder / "said.TextGrid", o, n),
        )


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, (path, old)
    path.write_text(text.replace(old, new))


# ---- settings ------------------------------------------------------------------------------------

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
YAML = {
    "a command": "!!python/object/apply:os.system ['touch pwned']",
    "a name in Python": "t_r: !!python/name:os.system",
    "an alias bomb": BOMB,
    "an alias to itself": "t_r: &t [*t]",
    "a key twice": "t_r: 1\nt_r: 2",
    "two documents": "t_r: 1\n---\nt_r: 2",
    "a key that is a list": "[1, 2]: 3",
    "a key that is no text": "1: 2",
    "a date": "t_r: 2020-01-01",
    "a date that is none": "t_r: 2020-99-99",
    "NaN": "t_r: .nan",
    "infinite": "t_r: .inf",
    "400 digits": "t_r: 1" + "0" * 400,
    "5000 digits": "t_r: 1" + "0" * 5000,
    "sixty": "t_r: 1:30:30",
    "binary": "dataset: !!binary aGVsbG8=",
    "up the tree": "dataset: ../../x",
    "a line end in a name": 'dataset: "x\\n"',
    "a negative size": "video: {height: -1}",
    "a merge of text": "<<: text",
    "a tab": "t_r:\t1\n\tx: 2",
    "an escape": 'film: "\\x1b[2J"',
    "a surrogate": 'film: "\\uD800"',
}


def make_settings(folder: Path) -> None:
    seeds.FILMS["film.wav"](folder / "film.wav")
    (folder / "config.yaml").write_text(seeds.CONFIG)
    (folder / "recipe.yaml").write_text(seeds.RECIPE)


DOCTOR = ["doctor", "--config", "{i}/config.yaml"]
RECIPE = ["codec", "train", "--sounds", "{i}/none", "--validation", "{i}/none", "--recipe"]
RECIPE += ["{i}/recipe.yaml", "--logs", "{o}/logs", "--codec", "{o}/codec"]


def setting_cases() -> Iterator[Case]:
    for n, (file, words) in enumerate((("config.yaml", DOCTOR), ("recipe.yaml", RECIPE))):
        ways = damage.of_text(), damage.of_bytes(60 + n), damage.in_its_place()
        yield from spoiling(file, words, *ways)
        for label, text in YAML.items():
            yield Case(
                f"{file}: {label}", words, lambda folder, f=file, t=text: (folder / f).write_text(t)
            )
    for label, text in {
        "no JSON": "t_r",
        "a list": "[1]",
        "null": "null",
        "many brackets": "[" * 100_000,
        "a surrogate": '{{"film": "\\ud800"}}',
        "NaN": '{{"t_r": NaN}}',
        "5000 digits": '{{"t_r": 1' + "0" * 5000 + "}}",
    }.items():
        words = [*sound_of("film.wav")[:-1], text]
        yield Case(f"--settings: {label}", words, lambda _folder: None)


# ---- models and arrays ---------------------------------------------------------------------------


def make_arrays(folder: Path) -> None:
    """What the rules write for a film of 90 s, a scan of 6 parcels, a tiny model and codec."""
    from fuzz_arrays import write_arrays

    write_arrays(folder)


GROUP = ["group_trs", "--stream", "{i}/stream.nc", "--trs", "{o}/trs.nc"]
DECOMPRESS = ["codec", "decompress", "--codes", "{i}/codes.nc", "--sound", "{o}/x.wav"]
COMPRESS = ["codec", "compress", "--sound", "{i}/film.wav", "--codes", "{o}/codes.nc"]
COMPRESS += ["--codec", "{i}/codec", "--kbps", "6"]
CONVOLVE = ["convolve_hrf", "--features", "{i}/trs.nc", "--bold", "{i}/bold.nc"]
CONVOLVE += ["--regressors", "{o}/mel.nc", "--settings"]
CONVOLVE += ['{{"mel": {{"n_mels": 8, "n_fft": 1024, "hop_length": 1024}}}}']
ALIGN = ["sync_align", "--audio", "{i}/trs.nc", "--video", "{i}/video.nc", "--bold", "{i}/bold.nc"]
ALIGN += ["--regressors", "{i}/mel.nc", "--aligned", "{o}/aligned.nc", "--settings"]
ALIGN += ['{{"splits": {{"gap_seconds": 3.0}}}}']
EXPORT = ["export", "--bold", "{i}/bold.nc", "--source", "{i}/runs.tsv", "--film", "{i}/trs.nc"]
EXPORT += ["--aligned", "{i}/aligned.nc", "--model", "{i}/model", "--folder", "{o}/bids"]
ARRAYS = {
    "stream.nc": GROUP,
    "codes.nc": DECOMPRESS,
    "trs.nc": CONVOLVE,
    "video.nc": ALIGN,
    "mel.nc": ALIGN,
    "bold.nc": ALIGN,
    "aligned.nc": EXPORT,
}


def array_cases() -> Iterator[Case]:
    for n, (file, words) in enumerate(ARRAYS.items()):
        ways = damage.of_bytes(70 + n), damage.in_its_place()
        vast = [("10^12 numbers", damage.vast_netcdf)]
        yield from spoiling(file, words, *ways, vast, contents.of_contents())
        for other in ARRAYS:
            if other != file:
                yield Case(
                    f"{file}: is {other}",
                    words,
                    lambda folder, f=file, o=other: shutil.copy(folder / o, folder / f),
                )


def model_cases() -> Iterator[Case]:
    for n, (folder, words) in enumerate((("codec", COMPRESS), ("model", EXPORT))):
        weights, config = f"{folder}/model.safetensors", f"{folder}/config.json"
        ways = damage.of_bytes(80 + n), damage.safetensors_headers(), damage.in_its_place()
        yield from spoiling(weights, words, *ways)
        ways = damage.of_bytes(82 + n), damage.of_text(), damage.in_its_place()
        yield from spoiling(config, words, *ways, _keys(n))


def _keys(seed: int) -> Iterator[tuple[str, damage.Damage]]:
    """A config in which each of some keys is negative, huge, text, null or missing."""
    for n in range(25):
        yield f"key {n} changed", lambda path, n=n: _change_key(path, n)


def _change_key(path: Path, n: int) -> None:
    content = json.loads(path.read_text())
    places = [(c, key) for c in (content, *filter(_is_dict, content.values())) for key in c]
    within, key = places[n * 7 % len(places)]
    value = [-1, 10**9, "text", None, [], 1e308, {}][n % 7]
    within[key] = value
    path.write_text(json.dumps(content))


def _is_dict(value) -> bool:
    return isinstance(value, dict)


def groups() -> list[Group]:
    films = [*map(sound_of, seeds.FILMS), *map(pictures_of, ("film.mp4", "film.mkv", "film.avi"))]
    scans = [*map(scan_of, [*seeds.SCANS, "confounds"]), parcels_of("bold.nii.gz")]
    return [
        Group("films", make_films, lambda: films, film_cases),
        Group("scans", make_scans, lambda: scans, scan_cases),
        Group("bids", lambda f: seeds.bids(f / "bids"), lambda: [LOAD_BIDS], bids_cases),
        Group("words", make_words, lambda: [*map(words_of, seeds.WORDS)], word_cases),
        Group("settings", make_settings, lambda: [DOCTOR], setting_cases, silent=True),
        Group("arrays", make_arrays, lambda: [*ARRAYS.values()], array_cases),
        Group("models", make_arrays, lambda: [COMPRESS, EXPORT], model_cases),
    ]
