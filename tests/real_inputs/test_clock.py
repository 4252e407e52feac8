"""Which volume belongs to which second of the film: events, onsets, runs and TRs as people have
them."""

import json
from dataclasses import dataclass

import nibabel
import numpy as np
import pandas as pd

from giblet.alignment.showings import clock_of
from giblet.alignment.sync import Match, match_scans
from giblet.brain.bold import find_layout
from giblet.brain.runs import MOTION, BoldRun
from giblet.film.annotations import read_annotations
from giblet.film.text import count_words, embed_words
from tests.real_inputs.cases import Case, check, parametrized
from tests.real_inputs.doctor_lines import check_doctor

GLMSINGLE = "cvnlab/GLMsingle#50, #151; psychopy: non-slip timing"
HCP = "HCP 7T, TR 0.72 s; Algonauts 2025, TR 1.49 s"
FORREST = "psychoinformatics-de/studyforrest-data-annotations: SEGMENTS_OFFSETS"
NARRATIVES = "OpenNeuro ds002345 (Narratives)"
FILM = {"stim_file": "film.mp4"}
NOISE = np.random.default_rng(0).integers(900, 1100, (2, 2, 2, 1200)).astype("i2")


@dataclass
class Source:
    """A data set, and how many TRs the film has."""

    path: object
    n_trs: int


@dataclass
class Matched:
    runs: list[BoldRun]
    match: Match

    def volumes(self) -> list[list[int]]:
        """Of each subject the number in its run of the volume of each TR."""
        lengths = [run.n_volumes for run in self.runs]
        number = np.concatenate([np.arange(n) for n in lengths])
        return number[self.match.volumes].tolist()


def read(source: Source) -> Matched:
    runs = find_layout(source.path).read_runs(source.path, None, None, ())
    return Matched(runs, match_scans(clock_of(runs, runs[0].t_r), runs[0].t_r, source.n_trs))


def warned(matched: Matched) -> list[str]:
    return [line for run in matched.runs for line in run.warnings] + matched.match.warnings


def bids(scans: dict, t_r=2.0, n=60, n_trs=200):
    """A BIDS folder; ``scans``: the part of the name after ``sub-`` → its events and sidecar."""

    def make(folder):
        for name, (events, sidecar) in scans.items():
            subject, *entities = name.split("_")
            session = [entity for entity in entities if entity.startswith("ses-")]
            more = "".join(f"_{entity}" for entity in entities if entity not in session)
            label = "_".join([f"sub-{subject}", *session]) + "_task-movie" + more
            place = folder.joinpath(f"sub-{subject}", *session, "func")
            prepared = folder / "derivatives" / "fmriprep" / place.relative_to(folder)
            for each in (place, prepared):
                each.mkdir(parents=True, exist_ok=True)
            pd.DataFrame(events).to_csv(
                place / f"{label}_events.tsv", sep="\t", index=False, na_rep="n/a"
            )
            space = f"{label}_space-MNI152NLin2009cAsym"
            image = nibabel.Nifti1Image(NOISE[..., :n], np.eye(4))
            image.header.set_zooms((1, 1, 1, t_r))
            image.to_filename(prepared / f"{space}_desc-preproc_bold.nii.gz")
            nibabel.Nifti1Image(np.ones((2, 2, 2), "u1"), np.eye(4)).to_filename(
                prepared / f"{space}_desc-brain_mask.nii.gz"
            )
            (prepared / f"{space}_desc-preproc_bold.json").write_text(
                json.dumps({"RepetitionTime": t_r, "StartTime": 0.0} | sidecar)
            )
            pd.DataFrame(0.0, range(n), list(MOTION)).to_csv(
                prepared / f"{label}_desc-confounds_timeseries.tsv", sep="\t", index=False
            )
        return Source(folder, n_trs)

    return make


def one(*events, **more):
    """One scan of one person."""
    return bids({"01": (list(events), {})}, **more)


def shows(onset, duration, **more):
    return {"onset": onset, "duration": duration} | FILM | more


def table(rows, t_r, n=440, n_trs=900):
    """A table of runs, all of ``n`` volumes."""

    def make(folder):
        np.save(folder / "r.npy", NOISE[0, 0, :, :n].T)
        given = {"subject": "01", "file": "r.npy", "t_r": t_r, "film_onset": 0.0}
        pd.DataFrame([given | row for row in rows]).to_csv(
            folder / "runs.tsv", sep="\t", index=False
        )
        return Source(folder / "runs.tsv", n_trs)

    return make


def halves(cut, t_r, onset=0.0, **more):
    """Two runs of one person, cut at a second of the film."""
    rows = [
        {"run": "run-1", "film_onset": onset, "stim_onset": 0.0, "duration": cut},
        {"run": "run-2", "film_onset": onset, "stim_onset": cut, "duration": 300 * t_r},
    ]
    return table(rows, t_r, **more)


def trs(expected, offset=None):
    """The TRs are these, and the volumes' moment in them."""

    def right(matched):
        np.testing.assert_array_equal(matched.match.trs, list(expected))
        if offset is not None:
            np.testing.assert_allclose(matched.match.offset, offset, atol=1e-9)

    return right


def volumes(expected):
    """The number in its run of each TR's volume, the same in all people."""

    def right(matched):
        for of_subject in matched.volumes():
            assert of_subject == list(expected)

    return right


def together(matched):
    """People who saw the same at the same time have the same volumes."""
    first, *others = matched.volumes()
    assert len(first) >= 28
    assert all(other == first for other in others)


def segments(lengths, begins, durations=None):
    rows = [
        {"run": f"run-{k + 1}", "stim_onset": begin, "file": f"r{k}.npy"}
        for k, begin in enumerate(begins)
    ]
    for row, duration in zip(rows, durations or [], strict=False):
        row["duration"] = duration

    def make(folder):
        for k, n in enumerate(lengths):
            np.save(folder / f"r{k}.npy", NOISE[0, 0, :, :n].T)
        return table(rows, 2.0, n_trs=1500)(folder)

    return make


def of_runs(expected, n_showings=None):
    def right(matched):
        assert list(dict.fromkeys(matched.match.runs.tolist())) == expected
        if n_showings:
            assert len(set(matched.match.showings.tolist())) == n_showings

    return right


def first_in_film(expected, n=None):
    def right(matched):
        shown = np.flatnonzero(matched.runs[0].in_film)
        assert shown[0] == expected
        assert n is None or len(shown) == n

    return right


def both(*checks):
    def right(matched):
        for each in checks:
            each(matched)

    return right


def jittered(onsets, **more):
    scans = {f"{k:02d}": ([shows(onset, 60)], {}) for k, onset in enumerate(onsets, start=1)}
    return bids(scans, **more)


def cut_off_the_grid(jitter, cut=200.8):
    """A film in two runs, onsets as many milliseconds later as ``jitter`` (n_subjects, 2) says.

    Volumes of the two are 0.5 s before and after the moment that they share.
    """
    rows = []
    for k, (one, other) in enumerate(jitter, start=1):
        first = {"run": "run-1", "film_onset": 5.5 + one / 1000, "stim_onset": 0, "duration": cut}
        second = {"film_onset": 5.3 + other / 1000, "stim_onset": cut, "duration": 400 - cut}
        rows += [{"subject": f"{k:02d}"} | row for row in (first, {"run": "run-2"} | second)]
    return table(rows, 2.0, n=220, n_trs=200)


STEPS = [{"stim_onset": 0.0}, {"stim_onset": 40.0}]
CASES = [
    Case("onsets 4 ms apart around an edge", jittered([10.002, 9.998]), together, GLMSINGLE),
    Case("onsets after an edge", jittered([9.998, 9.998]), trs(range(30), 0.002), GLMSINGLE),
    Case(
        "onsets that jitter by frames of the screen",
        jittered(10 + np.array([-45, -20, 0, 1, 17, 33, 45]) / 1000),
        together,
        "psychopy/psychopy#4828: intervals of 1.955 to 2.018 s for 2 s",
    ),
    Case(
        "onsets 4 ms apart in two runs of one person",
        bids(
            {
                "01_run-1": ([shows(10.002, 60, stim_onset=0)], {}),
                "01_run-2": ([shows(9.998, 40, stim_onset=60)], {}),
            }
        ),
        both(of_runs(["task-movie_run-1", "task-movie_run-2"]), trs(range(1, 50))),
        GLMSINGLE,
    ),
    Case(
        "StartTime in one sidecar of two",
        bids({s: ([shows(10, 60)], {"StartTime": t}) for s, t in {"01": 1.0, "02": 0.0}.items()}),
        together,
        "nipreps/fmriprep#2477; nipreps/nibabies#137 added StartTime",
        warning=r"2 of 2 runs are taken at another moment of the TR .* 0\.50 s .*StartTime",
    ),
    Case(
        "StartTime of half a TR in everybody",
        bids({s: ([shows(10, 60)], {"StartTime": 1.0}) for s in ("01", "02")}),
        trs(range(30), 1.0),
        "poldracklab/fitlins#394",
    ),
    Case(
        "scans that began at any moment of the film",
        jittered([10.0, 10.5, 11.1, 11.6], t_r=1.97),
        lambda matched: np.testing.assert_array_less(28, [len(matched.match.trs)]),
        "cvnlab/GLMsingle#50: TR 1.97 s",
        warning="check the onsets",
    ),
    Case("onset 10 TRs, written 7.2", one(shows(7.2, 36), t_r=0.72), first_in_film(10, 50), HCP),
    Case(
        "a film that ends on an edge", one(shows(14.9, 44.7), t_r=1.49), first_in_film(10, 30), HCP
    ),
    Case(
        "an end that rounding puts before the onset plus the duration",
        one(shows(0.3, 2.4), t_r=0.8),
        first_in_film(1, 3),
        "mne-tools/mne-python#12321",
    ),
    Case("two halves cut on the grid, TR 1.49", halves(320 * 1.49, 1.49), trs(range(620)), HCP),
    Case("two halves after rest, TR 0.72", halves(251.28, 0.72, 7.2), trs(range(649)), HCP),
    Case("1,200 volumes of 0.72 s", table([{}], 0.72, 1200, 1200), trs(range(1200)), HCP),
    Case(
        "two halves cut off the grid",
        halves(600.7, 1.5),
        trs(range(700)),
        FORREST,
        warning=r"another moment of the TR than 0\.35 s",
    ),
    Case(
        "two runs cut off the grid, onsets 5 ms apart",
        cut_off_the_grid([(0, 5), (5, 0), (0, 0), (-5, 5)]),
        both(of_runs(["run-1", "run-2"]), trs([*range(100), *range(101, 200)])),
        GLMSINGLE,
        warning="^1 TRs left out where runs meet",
    ),
    Case(
        "segments that overlap, as they were shown",
        segments((451, 441, 438), (0.0, 886.0, 1752.08)),
        r"sub-01 saw the same seconds .* in two runs: 886.0 to 902.0 s \(16.0 s\), in run-1 and in "
        "run-2.*shorten the duration of the first",
        FORREST,
    ),
    Case(
        "segments up to where the next begins",
        segments((451, 441, 438), (0.0, 886.0, 1752.08), (886.0, 866.08, 876.0)),
        trs(range(1314)),
        FORREST,
    ),
    Case(
        "a pause on the grid",
        one(shows(0, 40, stim_onset=0), shows(50, 40, stim_onset=40)),
        both(trs(range(40)), of_runs(["task-movie"], 2)),
        "HCP 7T clips",
    ),
    Case(
        "a pause that cuts a TR",
        one(shows(0, 40.7, stim_onset=0), shows(50, 39, stim_onset=40.7)),
        both(trs(range(40)), volumes([*range(21), *range(26, 45)])),
        "HCP 7T clips",
        warning="another moment",
    ),
    Case(
        "a leap to second 200",
        one(shows(0, 40.7, stim_onset=0), shows(50, 39, stim_onset=200)),
        both(trs([*range(21), *range(100, 120)]), of_runs(["task-movie"], 2)),
        "HCP 7T clips",
    ),
    Case(
        "resumed 6 s earlier",
        one(shows(0, 40, stim_onset=0), shows(50, 40, stim_onset=34)),
        both(trs(range(37)), volumes([*range(20), *range(28, 45)])),
        "HCP 7T clips",
        warning=r"task-movie shows the film's 34\.0 to 40\.0 s \(6\.0 s\) twice; the second time",
    ),
    Case(
        "one clip twice in a run",
        one(shows(0, 40, stim_onset=0), shows(50, 40, stim_onset=0)),
        both(trs(range(20)), volumes(range(20))),
        "HCP 7T: the clip at the end of each run is repeated",
        warning=r"0\.0 to 40\.0 s \(40\.0 s\) twice",
    ),
    Case(
        "two runs without stim_file",
        bids({f"01_run-{k}": ([{"onset": 0, "duration": 100}], {}) for k in (1, 2)}),
        "saw the same seconds .* 0.0 to 100.0 s .* Give each run's stim_onset",
        "OpenNeuro ds003017 (Budapest): five runs of one film without stim_file",
    ),
    Case(
        "run-1 of one person and run-2 of another, both from second 0",
        bids({f"0{k}_run-{k}": ([{"onset": 0, "duration": 100}], {}) for k in (1, 2)}),
        trs(range(50)),
        "OpenNeuro ds003017 (Budapest)",
    ),
    Case(
        "overlap_with_previous_run as an event without stim_file",
        one({"onset": 10, "duration": 10}, {"onset": 20, "duration": 60}),
        "events.tsv: 2 events; name the film in a column stim_file",
        "OpenNeuro ds003017 (Budapest)",
    ),
    Case(
        "duration n/a",
        one(shows(6, np.nan)),
        trs(range(57)),
        "BIDS: duration may be n/a; nilearn/nilearn#3943",
        warning="events.tsv: duration is n/a or 0 in row 1; .* end of the scan",
    ),
    Case(
        "duration 0",
        one(shows(6, 0)),
        trs(range(57)),
        "nilearn/nilearn#3884",
        warning="duration is n/a or 0 in row 1",
    ),
    Case(
        "duration n/a of the first of two rows",
        one(shows(0, np.nan, stim_onset=0), shows(50, 40, stim_onset=200)),
        trs([*range(25), *range(100, 120)]),
        "nilearn/nilearn#3943",
        warning="duration is n/a or 0 in row 1; .* next row",
    ),
    Case(
        "duration below 0", one(shows(6, -1)), "duration is below 0 in row 1", "BIDS: task events"
    ),
    Case("duration in words", one(shows(6, "long")), "duration is no number .*'long'", "BIDS"),
    Case("onset n/a", one(shows(np.nan, 60)), "needs an onset .* row 1", "nilearn/nilearn#3943"),
    Case(
        "onset in milliseconds",
        one(shows(6000, 60000)),
        "scan ends .* before the film .*are onsets seconds since the scan began",
        "BIDS",
    ),
    Case("duration inf", one(shows(6, "inf")), r"duration is no number .* row 1 \('inf'\)", "BIDS"),
    Case(
        "spaces around stim_file",
        one(shows(0, 40, stim_file=" film.mp4 "), shows(40, 10, stim_file=" n/a ")),
        trs(range(20)),
        "bids-standard/bids-validator#1053",
    ),
    *[
        Case(
            f"{word} for n/a",
            one(shows(0, 10, stim_file=word), shows(10, 40), shows(60, word, stim_file=word)),
            both(trs(range(20)), volumes(range(5, 25))),
            "R writes NA, numpy nan, JSON null; bids-standard/bids-validator#1053",
        )
        for word in ("NA", "NaN", "nan", "None", "null")
    ],
    Case(
        "stim_file n/a in every row",
        one(shows(6, 60, stim_file=None), shows(70, 10, stim_file=None)),
        "column stim_file is n/a in every row; name the film",
        NARRATIVES,
    ),
    Case(
        "stim_onset n/a in one row",
        one(shows(0, 40, stim_onset=0), shows(50, 40)),
        "stim_onset is n/a in row 2; give the second",
        "BIDS: no stim_onset in the specification",
    ),
    Case(
        "stim_onset n/a in the only row", one(shows(0, 40, stim_onset=None)), trs(range(20)), "BIDS"
    ),
    Case(
        "two stories in one run",
        one(shows(0, 40, stim_file="friends.wav"), shows(50, 40, stim_file="bigbang.wav")),
        r"several films in one run \(friends.wav, bigbang.wav\).*write n/a as the stim_file",
        NARRATIVES,
    ),
    Case(
        "a story and films without a name",
        one(shows(0, 40, stim_file=None), shows(50, 40)),
        trs(range(20)),
        NARRATIVES,
    ),
    Case(
        "a fixation cross in stim_file",
        one(shows(0, 10, stim_file="cross.png"), shows(10, 40)),
        both(trs(range(20)), volumes(range(5, 25))),
        "psychoinformatics-de/studyforrest-data-phase2#6",
        warning="still images in stim_file are not the film",
    ),
    Case(
        "music and story of one file, 2 s apart",
        one(shows(0, 13), shows(15, 60)),
        r"2 events show one film \(film.mp4\); .* stim_onset .*: 0, 15 if it ran on",
        NARRATIVES,
    ),
    Case(
        "conditions of one film, 9 s apart",
        one(shows(6, 30), shows(45, 30)),
        "2 events show one film .*: 0, 39 if it ran on",
        "bids-standard/bids-specification#153",
    ),
    Case(
        "conditions that follow each other in one film",
        one(*(shows(6 + 20 * k, 20, trial_type=name) for k, name in enumerate("ABC"))),
        both(trs(range(30)), of_runs(["task-movie"], 1)),
        "bids-standard/bids-specification#153",
        warning="3 rows of film.mp4 without stim_onset follow each other",
    ),
    Case(
        "conditions with the film's own seconds",
        one(*(shows(6 + 20 * k, 20, stim_onset=20 * k) for k in range(3))),
        both(trs(range(30)), of_runs(["task-movie"], 1)),
        "bids-standard/bids-specification#153",
    ),
    Case(
        "a row of the whole film and rows without stim_file",
        one(shows(6, 60), *(shows(6 + 20 * k, 20, stim_file=None) for k in range(3))),
        trs(range(30)),
        "bids-standard/bids-specification#153",
    ),
    Case(
        "a part of the film in a row of its own",
        one(shows(0, 80, stim_onset=0), shows(20, 10, stim_onset=20)),
        trs(range(40)),
        "nilearn/nilearn#3948",
    ),
    Case(
        "rows that show different seconds at once",
        one(shows(0, 80, stim_onset=0), shows(20, 10, stim_onset=100)),
        "two rows show different seconds of the film at 20 s",
        "nilearn/nilearn#3948",
    ),
    *[
        Case(
            f"{name} from one onset",
            one(*events),
            "events.tsv: rows 1 and 2 both begin at 6 s; delete one of them, or write n/a as its",
            "nilearn/nilearn#2668",
        )
        for name, events in {
            "two rows": (shows(6, 60), shows(6, 60)),
            "two rows of other durations": (shows(6, 60), shows(6, 30)),
            "two rows without duration": (shows(6, np.nan), shows(6, np.nan)),
            "two rows of other seconds": (shows(6, 60, stim_onset=0), shows(6, 60, stim_onset=60)),
            "two rows, one with stim_onset": (shows(6, 60, stim_onset=0), shows(6, 60)),
            "two rows of one second without duration": (
                shows(6, np.nan, stim_onset=0),
                shows(6, 30, stim_onset=0),
            ),
        }.items()
    ],
    Case(
        "one row twice",
        one(shows(6, 60, stim_onset=0), shows(6, 60, stim_onset=0)),
        trs(range(30)),
        "nilearn/nilearn#2668",
    ),
    Case(
        "rows that are not in order",
        one(shows(50, 40, stim_onset=40), shows(0, 40, stim_onset=0)),
        trs(range(40)),
        "bids-standard/bids-specification#1691",
    ),
    Case(
        "a film that began before the scan",
        one(shows(-4, 60)),
        trs(range(2, 30)),
        "bids-standard/bids-specification#628: negative onsets",
    ),
    Case(
        "the film in another session of each person",
        bids({f"0{k}_ses-{k}": ([shows(0, 60)], {}) for k in (1, 2)}),
        both(trs(range(30)), of_runs(["ses-1_task-movie"])),
        "sessions that are counterbalanced",
    ),
    Case(
        "run-1 in one name of two",
        bids({name: ([shows(0, 60)], {}) for name in ("01", "02_run-1")}),
        both(trs(range(30)), of_runs(["task-movie"])),
        "BIDS: run is optional",
    ),
    Case(
        "halves in the other order",
        bids(
            {
                f"{subject}_run-{run}": ([shows(0, 60, stim_onset=60 * half)], {})
                for subject, order in {"01": (0, 1), "02": (1, 0)}.items()
                for run, half in enumerate(order, start=1)
            }
        ),
        both(trs(range(60)), of_runs(["task-movie_run-1", "task-movie_run-2"])),
        "sessions that are counterbalanced",
    ),
    Case(
        "runs that end elsewhere in another person",
        table(
            [
                {"subject": s, "run": f"run-{k + 1}", "stim_onset": at, "duration": length}
                for s, cut in {"01": 60.0, "02": 80.0}.items()
                for k, (at, length) in enumerate([(0.0, cut), (cut, 120.0 - cut)])
            ],
            2.0,
        ),
        both(trs(range(60)), of_runs(["run-1", "run-2 (60-80 s)", "run-2 (80-120 s)"])),
        "bids-standard/bids-specification#146: a film over several runs",
    ),
    Case(
        "a film in several files",
        bids({f"01_run-{k}": ([shows(0, 60, stim_file=f"{k}.mkv")], {}) for k in (1, 2)}),
        "runs differ in stim_file .* several files, write one name in all of them.*stim_onset",
        FORREST,
    ),
]


@parametrized(CASES)
def test_scans_are_matched_with_the_film(case, tmp_path, caplog):
    check(case, read, tmp_path, caplog, warned)


@parametrized([case for case in CASES if case.warning or isinstance(case.right, str)])
def test_doctor_says_so_before_the_run(case, tmp_path):
    source = case.make(tmp_path).path
    runs = (
        [] if isinstance(case.right, str) else find_layout(source).read_runs(source, None, None, ())
    )
    check_doctor(case, source, t_r=runs[0].t_r if runs else 2.0)


@dataclass
class Words:
    path: object
    t_r: float
    n_trs: int


def said(t_r, rows, n_trs=600):
    """A transcript in .tsv; ``rows``: onset, duration and text."""

    def make(folder):
        path = folder / "words.tsv"
        pd.DataFrame(rows, columns=["onset", "duration", "text"]).to_csv(
            path, sep="\t", index=False
        )
        return Words(path, t_r, n_trs)

    return make


def read_words(source):
    rows, (t_r, n_trs) = read_annotations(source.path), (source.t_r, source.n_trs)
    _features, spoken = embed_words(rows, t_r, n_trs, n_trs * t_r)
    return spoken, count_words(rows, t_r, n_trs)


def spoken_in(expected):
    def right(result):
        spoken, counts = result
        assert np.flatnonzero(spoken).tolist() == list(expected)
        assert np.flatnonzero(counts).tolist() == list(expected)

    return right


def every_other(t_r, decimals=3):
    return [(round(k * t_r, decimals), t_r, f"word{k}") for k in range(0, 600, 2)]


WORDS = (
    [
        Case(
            f"rows of every other TR of {t_r} s",
            said(t_r, every_other(t_r)),
            spoken_in(range(0, 600, 2)),
            HCP,
        )
        for t_r in (0.72, 0.8, 1, 1.25, 1.49, 1.5, 2, 2.2, 3)
    ]
    + [
        Case(
            f"words that end where a TR of {t_r} s ends",
            said(t_r, [(round((k + 0.5) * t_r, 4), t_r / 2, "word") for k in range(0, 600, 2)]),
            spoken_in(range(0, 600, 2)),
            "mtoneva/brain_language_nlp#1: words to TRs",
        )
        for t_r in (0.72, 1.49)
    ]
    + [
        Case(
            "a word without duration at an edge of 0.72 s",
            said(0.72, [(7.2, 0, "now")]),
            spoken_in([10]),
            HCP,
        ),
    ]
)


@parametrized(WORDS)
def test_words_are_in_the_trs_in_which_they_are_said(case, tmp_path, caplog):
    check(case, read_words, tmp_path, caplog)
