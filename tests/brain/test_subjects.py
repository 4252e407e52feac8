"""One subject's misspelt task, missing confounds and missing runs, and leaving the subject out."""

import numpy as np
import pandas as pd
import pytest
import soundfile

from giblet.alignment.sync import match_runs, missed_warnings
from giblet.brain.bids import read_runs
from giblet.brain.bold import read_data_set
from giblet.brain.runs import MOTION
from giblet.commands.doctor.scan_checks import beyond_film_warnings
from giblet.commands.first_config import first_config
from giblet.commands.scans import load_bold
from giblet.config.config import parse_config
from giblet.demo.bids_writer import simulate_bids
from giblet.errors import GibletError
from giblet.evaluation.needed_film import film_needs

T_R = 1.5


@pytest.fixture
def study(tmp_path):
    """Three SIMULATED subjects with two runs of a film of 60 s."""
    features = [np.random.default_rng(0).standard_normal((600, n)) for n in (3, 4, 5)]
    options = {"n_subjects": 3, "n_runs": 2, "resolution_mm": 16, "stim_file": "film.wav"}
    simulate_bids(tmp_path / "study", *features, T_R, **options)
    return tmp_path / "study"


def misspell(study):
    for path in sorted(study.glob("sub-03/**/*task-film_run-2*")):
        path.rename(path.with_name(path.name.replace("film", "flim")))


def test_a_misspelt_task_is_named_with_what_it_costs(study):
    misspell(study)
    runs = read_runs(study, "film", MOTION)
    (line,) = [w for w in runs[0].warnings if "flim" in w]
    assert line.startswith("sub-03 has 1 of the 2 runs of task film that others have, and task-fl")
    match = match_runs(runs, T_R, 40)
    (missed,) = missed_warnings(match)
    n_lost = 40 - len(match.trs)
    assert f"missing in sub-03 ({n_lost})" in missed
    assert "sub-01" not in missed
    text = first_config(study)
    assert f"WARNING: {line}" in text
    assert f"WARNING: {missed}" in text


def test_a_task_that_all_have_is_another_one(study):
    for path in sorted(study.glob("sub-*/**/*task-film_run-2*")):
        path.rename(path.with_name(path.name.replace("film", "flim")))
    assert not [w for w in read_runs(study, "film", MOTION)[0].warnings if "flim" in w]


def test_nobody_is_blamed_where_all_were_scanned(study):
    assert missed_warnings(match_runs(read_runs(study, "film", MOTION), T_R, 60)) == []


@pytest.mark.parametrize("label", ["03", "sub-03"])
def test_files_of_excluded_subjects_are_not_read(study, label):
    for path in study.glob("sub-03/**/*confounds*"):
        path.unlink()
    with pytest.raises(GibletError, match=r"copy it .*confounds: \[\] .*subjects: \[sub-03\]"):
        read_data_set(study, "film")
    runs = read_data_set(study, "film", exclude=[label])
    assert {run.subject for run in runs} == {"sub-01", "sub-02"}
    runs = read_data_set(study, "film", confounds=[])
    last = runs[-1]
    assert last.steady.all()
    assert np.isnan(last.displacement).all()
    assert last.nuisance.shape == (last.n_volumes, 0)
    assert any("no table of confounds" in warning for warning in last.warnings)


def test_wrong_names_of_excluded_subjects(study):
    with pytest.raises(GibletError, match=r"no sub-04; did you mean .* There are: sub-01, sub-02"):
        read_data_set(study, "film", exclude=["04"])
    with pytest.raises(GibletError, match="leaves nobody"):
        read_data_set(study, "film", exclude=["01", "02", "03"])


def test_rows_of_a_table(tmp_path):
    values = np.random.default_rng(0).normal(100, 1, (40, 3))
    pd.DataFrame(values, columns=list("ABC")).to_csv(tmp_path / "a.csv", index=False)
    rows = pd.DataFrame({"subject": ["1", "2"], "file": ["a.csv", "none.csv"]})
    rows.assign(t_r=T_R, film_onset=0).to_csv(tmp_path / "runs.csv", index=False)
    (run,) = read_data_set(tmp_path / "runs.csv", exclude=["2"])
    assert run.subject == "sub-1"
    assert beyond_film_warnings([run], 10.0, "film.mp4") == []  # no duration: to the scan's end
    with pytest.raises(GibletError, match="There are: sub-1, sub-2"):
        read_data_set(tmp_path / "runs.csv", exclude=["3"])


def test_another_t_r_stops_before_volumes_are_read(study, tmp_path, monkeypatch):
    def reading(*_):
        raise AssertionError("volumes are read")

    monkeypatch.setattr("giblet.brain.screening.survey", reading)
    config = parse_config({"task": "film", "t_r": 2.0})
    with pytest.raises(GibletError, match=r"set t_r: 1\.5"):
        load_bold(study, tmp_path / "bold.nc", config)


def test_a_film_that_ends_before_the_events(study, tmp_path):
    runs = read_runs(study, "film", MOTION)
    assert beyond_film_warnings(runs, 58.0, "film.wav") == []
    (line,) = beyond_film_warnings(runs, 40.0, "film.wav")
    assert line.startswith("events show the film to 60.0 s, but film.wav has 40.0 s: another cut")
    soundfile.write(tmp_path / "film.wav", np.zeros(40 * 1000), 1000)
    assert f"WARNING: {line}" in first_config(study, film=tmp_path / "film.wav")


@pytest.mark.parametrize("lengths", [[106, 27], [90, 43], [67, 66], [133], [100]])
def test_needed_film_and_verdict_agree(lengths):
    runs = np.repeat(np.arange(len(lengths)), lengths)
    for need in film_needs(parse_config({}), runs):
        assert need.is_met == (need.seconds <= len(runs) * T_R)


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({"t_r": 1500}, "seconds, not milliseconds"),
        ({"t_r": "1,5"}, r"decimal point, not comma: 1\.5"),
        ({"subjects": ["01"]}, r"did you mean scan\.exclude_subjects\?"),
    ],
)
def test_slips_in_settings(settings, advice):
    with pytest.raises(GibletError, match=advice):
        parse_config(settings)


def test_a_misspelt_film(study, tmp_path):
    soundfile.write(tmp_path / "film.wav", np.zeros(1000), 1000)
    with pytest.raises(GibletError, match=r"no such file; did you mean film\.wav\?"):
        first_config(study, film=tmp_path / "flim.wav")
