"""Scans as tables, surfaces, greyordinates and HDF5: a table of runs names one such file."""

import gzip
from dataclasses import dataclass

import h5py
import nibabel
import numpy as np
import pandas as pd
import pytest
from nibabel import cifti2
from real_inputs.cases import Case, check, parametrized
from real_inputs.doctor_lines import check_doctor

from giblet.alignment.dataset import zscore_bold
from giblet.brain.bold import load_runs, read_data_set, survey_runs
from giblet.brain.runs import MOTION
from giblet.commands.doctor.data_sizes import measure
from giblet.config.config import parse_config
from giblet.demo import film_path
from giblet.errors import GibletError
from giblet.io.tables import load_table

RNG = np.random.default_rng(0)
SERIES = RNG.normal(0, 1, (12, 3)).round(4).astype(np.float32)
NAMES = ["A", "B", "C"]
TABLE = pd.DataFrame(SERIES.astype(float).round(4), columns=NAMES)
T_R = 2.0


@dataclass(frozen=True)
class Scan:
    """The volumes of each run of a table of runs as they are in the files, and their names."""

    runs: list
    series: list[np.ndarray]
    names: list[str]
    warnings: list[str]


def read(table):
    scans = survey_runs(table)
    series = [run.read(scans.columns) for run in scans.runs]
    names = scans.columns.coordinates()["parcel"].values.tolist()
    return Scan(scans.runs, series, names, scans.warnings)


def run_table(folder, *files, **columns):
    """A table of one run per file of ``folder``, each of another subject."""
    table = pd.DataFrame({"file": files, "t_r": T_R, "film_onset": 0.0})
    table["subject"] = [f"{n:02d}" for n in range(len(files))]
    table.assign(**columns).to_csv(folder / "runs.tsv", sep="\t", index=False)
    return folder / "runs.tsv"


def text(content, name="bold.csv", encoding="utf-8", **columns):
    """Writes a text file as it is."""

    def make(folder):
        (folder / name).write_bytes(content.encode(encoding))
        return run_table(folder, name, **columns)

    return make


def written(name="bold.csv", table=TABLE, columns=None, **options):
    """Writes a table by ``DataFrame.to_csv``."""

    def make(folder):
        table.to_csv(
            folder / name, **{"sep": "\t" if ".tsv" in name else ",", "index": False} | options
        )
        return run_table(folder, name, **columns or {})

    return make


def array(values, name="bold.npy", **columns):
    def make(folder):
        np.save(folder / name, values)
        return run_table(folder, name, **columns)

    return make


def hdf5(fill, name="bold.h5", **columns):
    def make(folder):
        with h5py.File(folder / name, "w") as file:
            fill(file)
        return run_table(folder, name, **columns)

    return make


def cifti(axes, values=SERIES, name="bold.dtseries.nii", **columns):
    def make(folder):
        nibabel.save(cifti2.Cifti2Image(values, header=axes), folder / name)
        return run_table(folder, name, **columns)

    return make


def gifti(arrays, name="bold.func.gii", meta=None, intent="NIFTI_INTENT_TIME_SERIES", **columns):
    def make(folder):
        data = [nibabel.gifti.GiftiDataArray(a, intent=intent, datatype=16) for a in arrays]
        meta_data = nibabel.gifti.GiftiMetaData(meta or {})
        nibabel.save(nibabel.gifti.GiftiImage(darrays=data, meta=meta_data), folder / name)
        return run_table(folder, name, **columns)

    return make


def confounds(table, name="confounds.tsv", bold=SERIES, write=None, **columns):
    """A table of confounds beside a .npy."""

    def make(folder):
        np.save(folder / "bold.npy", bold)
        (write or (lambda path: table.to_csv(path, sep="\t", index=False, na_rep="n/a")))(
            folder / name
        )
        return run_table(folder, "bold.npy", confounds=name, **columns)

    return make


def same(values=SERIES, names=NAMES, run=0):
    def right(scan):
        np.testing.assert_allclose(scan.series[run], values, rtol=1e-6)
        assert scan.names == names

    return right


def regressed(values):
    """Confounds of the first run, (n_volumes, n_confounds)."""

    def right(scan):
        np.testing.assert_allclose(scan.runs[0].nuisance, values, rtol=1e-5)

    return right


def csv(table=TABLE, **options):
    return table.to_csv(**{"index": False} | options)


NUMBERED = ["0", "1", "2"]
PLAIN = TABLE.set_axis(range(3), axis=1)
TIME = cifti2.SeriesAxis(0, T_R, len(SERIES))
BRAIN = cifti2.BrainModelAxis.from_mask(np.ones(3, bool), "CIFTI_STRUCTURE_CORTEX_LEFT")
THREE = [BRAIN[n : n + 1] for n in range(3)]
PARCELS = cifti2.ParcelsAxis.from_brain_models(list(zip("AAC", THREE, strict=True)))
EMPTY = TABLE.assign(B=np.nan)
ROWS = csv(header=False).splitlines()
MOTIONS = pd.DataFrame(RNG.normal(0, 0.01, (12, 6)), columns=list(MOTION))
DERIVED = MOTIONS[["trans_x"]].assign(trans_x_derivative1=MOTIONS["trans_x"].diff())
FILLED = DERIVED.bfill()
IDS = TABLE.set_axis(["17", "101", "2003"], axis=1)

TWO_LEVELS = pd.MultiIndex.from_arrays([["L", "L", "R"], [0, 1, 0]])
ROW_2 = r"bold.csv: does row 2 \(0, 1, 0\) name the columns as row 1 does\? Write one row of names"
HEADERS = [
    Case(
        "names of two levels",
        written(table=TABLE.set_axis(TWO_LEVELS, axis=1)),
        ROW_2,
        "pandas: columns of a MultiIndex",
    ),
    Case(
        "whole numbers below names, said to be a volume",
        text("A,B,C\n100,200,150\n" + csv(TABLE[1:] * 100, header=False), header="yes"),
        same(np.vstack([[100, 200, 150], SERIES[1:] * 100])),
        "R writes 100 for 100.0",
    ),
    Case(
        "a first volume of 0 below names",
        text("A,B,C\n0,0,0\n" + csv(TABLE[1:], header=False)),
        same(np.vstack([[0, 0, 0], SERIES[1:]])),
        "percent change from the first volume",
    ),
    Case(
        "header 0 1 2",
        written(table=TABLE.set_axis(range(3), axis=1)),
        r"bold.csv: does row 1 \(0, 1, 2\) name the columns, or is it a volume\?.*header",
        "DataFrame(x).to_csv(index=False)",
    ),
    Case(
        "header 0 1 2, said to be one",
        written(table=TABLE.set_axis(range(3), axis=1), columns={"header": "yes"}),
        same(names=NUMBERED),
        "as above",
    ),
    Case(
        "header 1 2 3",
        written("bold.tsv", TABLE.set_axis([1, 2, 3], axis=1)),
        r"row 1 \(1, 2, 3\)",
        "names of label images",
    ),
    Case(
        "header 0.0 1.0 2.0",
        written(table=TABLE.set_axis([0.0, 1.0, 2.0], axis=1)),
        "row 1",
        "DataFrame of a float index",
    ),
    Case(
        "header of atlas ids",
        written(table=IDS),
        r"row 1 \(17, 101, 2003\)",
        "preprocessed-connectomes-project/abide#2",
    ),
    Case(
        "header of atlas ids over whole numbers",
        text(
            csv(pd.DataFrame(np.arange(100, 120).reshape(2, 10) * 7, columns=range(2001, 2020, 2)))
        ),
        r"row 1 \(2001, 2003, 2005, …\)",
        "preprocessed-connectomes-project/abide#2",
    ),
    Case(
        "header 0 of one column",
        written(table=TABLE[["A"]].set_axis([0], axis=1)),
        r"row 1 \(0\)",
        "Series.to_csv(index=False)",
    ),
    Case(
        "header 0 of one column of whole numbers",
        text("0\n8034\n8101\n7999\n"),
        r"row 1 \(0\)",
        "Series.to_csv(index=False)",
    ),
    Case(
        "header of numbers, tabs, .txt",
        written("bold.txt", TABLE.set_axis(range(3), axis=1), sep="\t"),
        "row 1",
        "numpy/numpy loadtxt has no header",
    ),
    Case(
        "numbers in quotes are names, as R writes them",
        text('"1","2","3"\n' + csv(header=False)),
        same(names=["1", "2", "3"]),
        "R's write.csv",
    ),
    Case("no header", written(header=False), same(names=NUMBERED), "nilearn/nilearn#628"),
    Case(
        "no header, scientific notation",
        written("bold.tsv", header=False, float_format="%.6e"),
        same(names=NUMBERED),
        "numpy.savetxt",
    ),
    Case(
        "no header, whole numbers first",
        text("100,200,150\n" + csv(TABLE[1:] * 100, header=False)),
        r"row 1 \(100, 200, 150\)",
        "R writes 100 for 100.0",
    ),
    Case(
        "no header, whole numbers first, said to be data",
        text("100,200,150\n" + csv(TABLE[1:] * 100, header=False), header="no"),
        same(np.vstack([[100, 200, 150], SERIES[1:] * 100]), NUMBERED),
        "R writes 100 for 100.0",
    ),
    Case(
        "no header, n/a in the first row",
        text("n/a,1.5,n/a\n" * 3),
        "NaN in the BOLD|constant",
        "nilearn/nilearn#628",
    ),
    Case(
        "names and numbers in row 1",
        text("A,B,7.5\n" + csv(header=False)),
        r"row 1 holds words and numbers \('A'\)",
        "pandas-dev/pandas#22584",
    ),
    Case(
        "names like 2 and B in row 1",
        text("A,2,C\n" + csv(header=False)),
        same(names=["A", "2", "C"]),
        "nilearn label names",
    ),
    Case(
        "more names than values",
        text("A,B,C,D\n" + csv(header=False)),
        "4 names, the rows below have 3 values",
        "pandas-dev/pandas#41304",
    ),
    Case(
        "header in a comment",
        text("# A,B,C\n" + csv(header=False)),
        same(),
        "numpy.savetxt(header=)",
    ),
    Case(
        "comments between and below",
        text(csv().replace(ROWS[3], "# x\n" + ROWS[3]) + "# end"),
        same(),
        "numpy.savetxt(footer=)",
    ),
    Case(
        "Excel's errors are no comments",
        text(csv().replace(ROWS[3], "#DIV/0!,1.5,2.5")),
        r"holds words, not numbers \('#DIV/0!' in row 5\)",
        "Excel",
    ),
    Case("comments above", text("# made by X\n# on Monday\n" + csv()), same(), "AFNI .1D"),
    Case(
        "header yes or no alone",
        written(columns={"header": "maybe"}),
        "header must be yes or no",
        "as above",
    ),
    Case(
        "header is for text",
        array(SERIES, header="yes"),
        "the column header is for text files",
        "as above",
    ),
]

COLUMNS = [
    Case(
        "pandas' index",
        written(index=True),
        r"column 1 numbers the rows \(0, 1, 2, …\).*index_column",
        "pandas-dev/pandas#26576",
    ),
    Case(
        "pandas' index, to be left out",
        written(index=True, columns={"index_column": "yes"}),
        same(),
        "pandas-dev/pandas#26576",
    ),
    Case(
        "pandas' index, to be kept",
        written(index=True, columns={"index_column": "no"}),
        same(np.column_stack([np.arange(12), SERIES]), ["column 1", *NAMES]),
        "as above",
    ),
    Case(
        "pandas' index and names 0 1 2",
        written(table=PLAIN, index=True),
        r"column 1 numbers the rows \(0, 1, 2, …\).*index_column",
        "DataFrame(x).to_csv()",
    ),
    Case(
        "pandas' index and names 0 1 2, to be left out",
        written(table=PLAIN, index=True, columns={"index_column": "yes"}),
        same(names=NUMBERED),
        "DataFrame(x).to_csv()",
    ),
    Case(
        "pandas' index and one name 0, to be left out",
        written(table=PLAIN[[0]], index=True, columns={"index_column": "yes"}),
        same(SERIES[:, :1], ["0"]),
        "Series(x).to_csv()",
    ),
    Case(
        "subjects' labels as index and names of atlas ids",
        written("bold.tsv", IDS.set_axis(range(40, 28, -1)), {"index_column": "yes"}, index=True),
        same(names=["17", "101", "2003"]),
        "preprocessed-connectomes-project/abide#2",
    ),
    Case(
        "a missing value first",
        text("," + csv(header=False).partition(",")[2]),
        "NaN in the BOLD",
        "pandas-dev/pandas#16718",
    ),
    Case(
        "index of a header without names",
        written(table=TABLE.reset_index(), header=False),
        r"column 1 numbers the rows",
        "pandas-dev/pandas#26576",
    ),
    Case(
        "R's row names",
        text("A,B,C\n" + "".join(f"{n},{r}\n" for n, r in enumerate(ROWS))),
        "3 names, the rows below have 4 values",
        "R's write.table",
    ),
    Case(
        "a column of volumes",
        written(table=TABLE.assign(x=range(1, 13))[["x", *NAMES]]),
        r"column 1 \(x\) numbers the rows \(1, 2, 3",
        "erdewit/ib_insync#350",
    ),
    Case(
        "a column of times",
        written(table=TABLE.assign(time=np.arange(12) * 1.49)[["time", *NAMES]]),
        r"column 1 \(time\) numbers the rows \(0, 1.49, 2.98",
        "JuliaStats/TimeSeries.jl#353",
    ),
    Case(
        "a column of rounded times",
        written(table=TABLE.assign(t=(np.arange(12) * 0.72).round(1))[["t", *NAMES]]),
        r"column 1 \(t\) numbers the rows",
        "JuliaStats/TimeSeries.jl#353",
    ),
    Case(
        "a column of times from the middle",
        written(table=TABLE.assign(TR=50 + np.arange(12) * 0.72)[["TR", *NAMES]]),
        r"column 1 \(TR\) numbers the rows",
        "JuliaStats/TimeSeries.jl#353",
    ),
    Case(
        "an index in .npy",
        array(np.column_stack([np.arange(12), SERIES])),
        "column 1 numbers the rows",
        "reset_index().to_numpy()",
    ),
    Case(
        "an index in .npy, to be left out",
        array(np.column_stack([np.arange(12), SERIES]), index_column="yes"),
        same(names=NUMBERED),
        "reset_index().to_numpy()",
    ),
    Case(
        "an index in .h5",
        hdf5(lambda f: f.update(x=np.column_stack([np.arange(1, 13), SERIES]))),
        "column 1 numbers the rows",
        "reset_index().to_numpy()",
    ),
    Case(
        "a trend from 100 is data",
        array(np.column_stack([np.arange(100, 112), SERIES])),
        same(np.column_stack([np.arange(100, 112), SERIES]), ["0", "1", "2", "3"]),
        "as above",
    ),
    Case("an empty name", text("A,,C\n" + csv(header=False)), "column 2 has no name", "as above"),
    Case(
        "an empty first name over data",
        text(",B,C\n" + csv(header=False)),
        "column 1 has no name",
        "as above",
    ),
    Case(
        "names with spaces",
        written(table=TABLE.set_axis(["Left A", "B ", "C"], axis=1)),
        same(names=["Left A", "B", "C"]),
        "nilearn atlas labels",
    ),
    Case(
        "spaces behind delimiters", text(csv().replace(",", ", ")), same(), "pandas-dev/pandas#9710"
    ),
    Case(
        "one name twice",
        written(table=TABLE.set_axis(["A", "A", "C"], axis=1)),
        same(names=["A", "A", "C"]),
        "left and right of one name",
        r"bold.csv: 1 names stand above more than one column \(A\): each column is a parcel",
    ),
    Case(
        "parcels of CIFTI",
        cifti(
            (TIME, cifti2.ParcelsAxis.from_brain_models(list(zip(NAMES, THREE, strict=True)))),
            name="bold.ptseries.nii",
        ),
        same(),
        "PennLINC/xcp_d#1036",
    ),
    Case(
        "parcels of CIFTI under one name",
        cifti((TIME, PARCELS), name="bold.ptseries.nii"),
        same(names=["A", "A", "C"]),
        "PennLINC/xcp_d#1036",
        r"bold.ptseries.nii: 1 names stand above more than one column \(A\)",
    ),
    Case(
        "a parcel that is n/a",
        written("x.tsv", EMPTY, na_rep="n/a"),
        same(SERIES[:, [0, 2]], ["A", "C"]),
        "PennLINC/xcp_d#700",
        r"1 parcels \(B\), constant or n/a in some run, were left out",
    ),
    Case(
        "a parcel that is NaN",
        written("x.csv", EMPTY, na_rep="NaN"),
        same(SERIES[:, [0, 2]], ["A", "C"]),
        "PennLINC/xcp_d#756",
        r"1 parcels \(B\)",
    ),
    Case(
        "a parcel that is NaN in .npy",
        array(EMPTY.to_numpy()),
        same(SERIES[:, [0, 2]], ["0", "2"]),
        "PennLINC/xcp_d#756",
        r"1 parcels \(1\)",
    ),
    Case(
        "a last parcel that is n/a, no header",
        written("x.tsv", TABLE.assign(C=np.nan), header=False, na_rep="n/a"),
        same(SERIES[:, :2], ["0", "1"]),
        "PennLINC/xcp_d#700",
        r"1 parcels \(2\)",
    ),
    Case(
        "censored volumes that are n/a",
        written("x.tsv", TABLE[TABLE.index % 6 != 5].reindex(range(12)), na_rep="n/a"),
        "NaN in the BOLD of 3 .*censored volumes interpolated",
        "PennLINC/xcp_d: censored volumes",
    ),
    Case(
        "missing values that are marked by -9999",
        written(table=TABLE.assign(B=TABLE.B.mask(TABLE.index % 6 == 5, -9999))),
        same(TABLE.assign(B=TABLE.B.mask(TABLE.index % 6 == 5, -9999)).values),
        "HDF5 and GIS tables; netCDF's missing_value",
        "sub-00 run-1: 1 parcels .B. hold -9999 in some volume, which marks missing values",
    ),
    Case(
        "the last volumes are copies",
        written(table=TABLE[:8].reindex(range(12)).ffill()),
        same(np.vstack([SERIES[:8], *[SERIES[7:8]] * 4])),
        "Sherlock: the last 51 volumes of s5",
        "sub-00 run-1: 4 volumes of the film are copies of the one before .the first: 8",
    ),
    Case(
        "some n/a in a parcel",
        text(csv().replace(ROWS[4], "n/a," + ROWS[4].split(",", 1)[1])),
        r"NaN in the BOLD of 1 voxels or parcels \(A\)",
        "nipreps/fmriprep#2209",
    ),
    *[
        Case(
            f"{word} is n/a",
            text(csv().replace(ROWS[4], f"{word}," + ROWS[4].split(",", 1)[1])),
            r"NaN in the BOLD of 1 voxels or parcels \(A\)",
            "pandas' na_values",
        )
        for word in ("NaN", "NA", "null", "None", "nan", "N/A", "#N/A", "")
    ],
    Case(
        "infinite",
        text(csv().replace(ROWS[4], "inf,1.5,2.5")),
        r"NaN in the BOLD of 1 voxels or parcels",
        "numpy.savetxt",
    ),
    Case(
        "words",
        text(csv().replace(ROWS[4], "high,1.5,2.5")),
        r"column A holds words, not numbers \('high' in row 6\)",
        "as above",
    ),
    Case(
        "true and false",
        text("A,B\n" + "True,1.5\nFalse,2.5\n" * 5),
        "column A holds words",
        "pandas-dev/pandas#7591",
    ),
    Case("a row that breaks off", text(csv()[:-8]), r"NaN in the BOLD|holds words", "a full disk"),
    Case(
        "Fortran's exponents",
        text("A,B\n" + "1.5D+00,2.5D+01\n1.25D0,-2.D1\n" * 5),
        same(np.array([[1.5, 25], [1.25, -20]] * 5), ["A", "B"]),
        "AFNI .1D",
    ),
    Case(
        "Fortran's exponents in a column of .1D",
        text("5.03D+02\n4.98d+02\n 5.11D+02\n", "bold.1D"),
        same(np.array([[503], [498], [511]]), ["0"]),
        "AFNI .1D",
    ),
    Case(
        "Fortran's exponents and decimal commas",
        text("5,03D+02 1,25D-01\n4,98D+02 2,5D+00\n4,8D+02 2,5D+00\n", "bold.1D"),
        same(np.array([[503, 0.125], [498, 2.5], [480, 2.5]]), NUMBERED[:2]),
        "AFNI .1D",
    ),
    Case(
        "a word that ends like an exponent",
        text(csv().replace(ROWS[4], "roi2d3,1.5,2.5")),
        r"column A holds words, not numbers \('roi2d3' in row 6\)",
        "AFNI .1D",
    ),
]

SPREADSHEETS = [
    Case("semicolons", written(sep=";"), same(), "jbr#140"),
    Case("semicolons and decimal commas", written(sep=";", decimal=","), same(), "orca#19894"),
    Case(
        "semicolons, decimal commas, no header",
        written(sep=";", decimal=",", header=False),
        same(names=NUMBERED),
        "orca#19894",
    ),
    Case(
        "tabs and decimal commas",
        written("bold.tsv", decimal=","),
        same(),
        "pandas-dev/pandas#12933",
    ),
    Case(
        "decimal commas of three digits, one below 1",
        text("A;B\n" + "1,250;0,125\n2,500;1,125\n" * 3),
        same(np.array([[1.25, 0.125], [2.5, 1.125]] * 3), ["A", "B"]),
        "pandas-dev/pandas#59299",
    ),
    Case(
        "thousands or decimals",
        text("A;B\n" + "1,250;2,125\n2,500;1,125\n" * 3),
        r"column A holds words, not numbers \('1,250' in row 2\): is the comma a decimal mark",
        "pandas-dev/pandas#22584",
    ),
    Case(
        "thousands in quotes",
        text("A,B\n" + '"1,250.5",2.5\n"1,300.5",3.5\n' * 3),
        "column A holds words",
        "pandas-dev/pandas#4598",
    ),
    Case(
        "thousands in quotes, no header",
        text('"1,250.5",2.5\n"1,300.5",3.5\n' * 3),
        "row 1 holds words and numbers",
        "pandas-dev/pandas#22584",
    ),
    Case(
        "thousands by points",
        text("A;B\n" + "1.250,5;2,5\n1.300,5;3,5\n" * 3),
        "column A holds words",
        "pola-rs/polars#18797",
    ),
    Case(
        "thousands by apostrophes",
        text("A;B\n" + "1'250.5;2.5\n1'300.5;3.5\n" * 3),
        "column A holds words",
        "Excel in Switzerland",
    ),
    *[
        Case(
            f"decimal commas between spaces in {name}, {'names' if header else 'no names'}",
            written(name, sep=" ", decimal=",", header=header),
            same(names=NAMES if header else NUMBERED),
            "pandas-dev/pandas#12933",
        )
        for name in ("bold.txt", "bold.tsv", "bold.csv")
        for header in (True, False)
    ],
    Case(
        "commas and spaces in .txt",
        written("bold.txt", TABLE.map("{} ".format), quoting=3),
        same(),
        "pandas-dev/pandas#9710",
    ),
    Case(
        "whole numbers, commas and spaces in .txt",
        text("12, 13, 14\n" + "12, 12, 10\n15, 10, 19\n" * 3, "bold.txt"),
        same(np.array([[12, 13, 14], *[[12, 12, 10], [15, 10, 19]] * 3]), NUMBERED),
        "pandas-dev/pandas#9710",
    ),
    Case(
        "a column of decimal commas in .csv",
        text("503,46\n498,1\n501,05\n"),
        "bold.csv: is 503,46 one number with a decimal comma, or two columns",
        "pandas-dev/pandas#22584",
    ),
    Case(
        "a column of decimal commas in .csv, some whole",
        text("503\n-0,12E+02\nn/a\n501,05\n"),
        "is -0,12E.02 one number with a decimal comma, or two columns",
        "pandas-dev/pandas#22584",
    ),
    Case(
        "a column of decimal commas and its name in .csv",
        text("A\n503,46\n498,1\n501,05\n"),
        "is 503,46 one number with a decimal comma, or two columns",
        "pandas-dev/pandas#22584",
    ),
    Case(
        "two columns of whole numbers in .csv",
        text("A,B\n503,46\n498,1\n501,05\n"),
        same(np.array([[503, 46], [498, 1], [501, 5]]), ["A", "B"]),
        "pandas-dev/pandas#22584",
    ),
    Case(
        "a column of decimal commas in .tsv",
        text("503,46\n498,1\n501,05\n", "bold.tsv"),
        same(np.array([[503.46], [498.1], [501.05]]), ["0"]),
        "pandas-dev/pandas#12933",
    ),
    Case("tabs in .csv", written(sep="\t"), same(), "nilearn/nilearn#4894"),
    Case("commas in .tsv", written("bold.tsv", sep=","), same(), "nilearn/nilearn#628"),
    Case("spaces in .tsv", written("bold.tsv", sep=" "), same(), "numpy.savetxt"),
    Case(
        "commas in .txt",
        written("bold.txt", header=False),
        same(names=NUMBERED),
        "nilearn/nilearn#628",
    ),
    Case("names in .txt", written("bold.txt", sep="\t"), same(), "SPSS"),
    Case(
        "AFNI's .1D",
        text(
            "# made by 3dROIstats\n  " + csv(sep=" ", header=False).replace("\n", "\n  "), "bold.1D"
        ),
        same(names=NUMBERED),
        "FCP-INDI/C-PAC#2228",
    ),
    Case("byte order mark", written(encoding="utf-8-sig"), same(), "pandas-dev/pandas#4793"),
    Case(
        "byte order mark, quotes",
        written(encoding="utf-8-sig", quoting=1),
        same(),
        "pandas-dev/pandas#13497",
    ),
    Case(
        "byte order mark, no header",
        written(encoding="utf-8-sig", header=False),
        same(names=NUMBERED),
        "pandas-dev/pandas#4793",
    ),
    Case(
        "UTF-16",
        written("bold.txt", sep="\t", encoding="utf-16"),
        same(),
        "pandas-dev/pandas#26446",
    ),
    Case("Windows' line ends", text(csv(lineterminator="\r\n")), same(), "Excel"),
    Case("old Macs' line ends", text(csv(lineterminator="\r")), same(), "Excel for Mac"),
    Case("Excel's sep=;", text("sep=;\n" + csv(sep=";", decimal=",")), same(), "Excel"),
    Case(
        "cp1252",
        text("é,B,C\n" + csv(header=False), encoding="cp1252"),
        "not text in UTF-8: line 1",
        "Excel",
    ),
    Case(
        "a delimiter at the end of all lines",
        text(csv().replace("\n", ",\n")),
        same(),
        "pandas-dev/pandas#14124",
    ),
    Case(
        "a delimiter at the end of rows",
        text("A,B,C\n" + csv(header=False).replace("\n", ",\n")),
        same(),
        "pandas-dev/pandas#14124",
    ),
    Case(
        "a delimiter at the end of one row",
        text(csv().replace(ROWS[3], ROWS[3] + ",")),
        same(),
        "pandas-dev/pandas#9295",
    ),
    Case(
        "tabs at the end of rows, no header",
        text(csv(sep="\t", header=False).replace("\n", "\t\n"), "x.tsv"),
        same(names=NUMBERED),
        "pandas-dev/pandas#14124",
    ),
    Case("empty lines at the end", text(csv() + "\n\n"), same(), "pandas-dev/pandas#10728"),
    Case(
        "an empty line in one column",
        text("A\n1.5\n2.5\n\n4.5\n"),
        "line 4 is empty: a missing value",
        "pandas-dev/pandas#12443",
    ),
    Case("gzip", written("bold.csv.gz"), same(), "BIDS' .tsv.gz"),
    Case("gzip, tabs", written("bold.tsv.gz"), same(), "BIDS' .tsv.gz"),
    Case("an upper-case ending", written("bold.CSV"), same(), "Windows"),
    Case(
        "half a gzip",
        lambda folder: (
            (folder / "x.tsv.gz").write_bytes(gzip.compress(csv().encode())[:-30]),
            run_table(folder, "x.tsv.gz"),
        )[1],
        "x.tsv.gz: cannot be unpacked",
        "a full disk",
    ),
    Case("an empty file", text(""), "no readable numbers in it", "a full disk"),
    *[
        Case(
            f"ending {name}",
            text("x", name),
            rf"{name}: cannot be read as a table; save it as \.tsv",
            "as above",
        )
        for name in ("bold.mat", "bold.npz", "bold.pkl", "bold.xlsx", "bold")
    ],
]


def many(file):
    for n in range(3):
        file[f"ses-1/episode-{n}"] = SERIES + n


def matlab(file):
    file["bold"] = SERIES.T
    file["bold"].attrs["MATLAB_class"] = np.bytes_("double")


ARRAYS = [
    *[
        Case(
            f"{dtype} in .npy",
            array((SERIES * 100).astype(dtype)),
            same((SERIES * 100).astype(dtype), NUMBERED),
            "cases of nibabel",
        )
        for dtype in ("<f8", ">f4", "<f2", ">i2", "<i8", "<u4")
    ],
    Case("Fortran order", array(np.asfortranarray(SERIES)), same(names=NUMBERED), "numpy.save"),
    Case(
        "one dimension",
        array(SERIES[:, 0]),
        r"needs numbers \(volumes × parcels\), holds \(12,\)",
        "as above",
    ),
    Case("complex", array(SERIES + 1j), "needs numbers", "as above"),
    Case(
        "named fields",
        array(TABLE.to_records(index=False)),
        "needs numbers",
        "DataFrame.to_records",
    ),
    Case("objects", array(TABLE.astype(object).to_numpy()), "no readable numbers", "allow_pickle"),
    Case(
        "HDF5 with a table per episode",
        hdf5(many),
        r"3 tables in it: ses-1/episode-0 \(12, 3\), .*name one in a column dataset",
        "Algonauts 2025",
    ),
    Case(
        "HDF5, one named",
        hdf5(many, dataset="ses-1/episode-2"),
        same(SERIES + 2, NUMBERED),
        "Algonauts 2025",
    ),
    Case(
        "HDF5, one named from the root",
        hdf5(many, dataset="/ses-1/episode-1"),
        same(SERIES + 1, NUMBERED),
        "Algonauts 2025",
    ),
    Case(
        "HDF5, another named",
        hdf5(many, dataset="episode-7"),
        "none is episode-7: ses-1/episode-0",
        "Algonauts 2025",
    ),
    Case(
        "HDF5 in three dimensions",
        hdf5(lambda f: f.update(x=SERIES[None])),
        r"0 tables in it: x \(1, 12, 3\)",
        "as above",
    ),
    Case(
        "HDF5 beside other arrays",
        hdf5(lambda f: f.update(x=SERIES, t=np.arange(12.0))),
        same(names=NUMBERED),
        "as above",
    ),
    Case(
        "HDF5 of MATLAB", hdf5(matlab), "MATLAB wrote it, rows as columns", "losonczylab/sima#181"
    ),
    Case(
        "dataset of a .npy",
        array(SERIES, dataset="x"),
        "has no dataset x: it is no HDF5 file",
        "as above",
    ),
    Case(
        "volumes along the other axis",
        confounds(MOTIONS, bold=SERIES.T),
        "12 rows, but the scan has 3 volumes; does the scan's table lie the other way round",
        "nilearn/nilearn#4569",
    ),
]


def series_axis(step, exponent=0, unit="SECOND"):
    return cifti2.SeriesAxis(0, step, len(SERIES), unit)


def exponent(folder):
    """SeriesStep 2000 with SeriesExponent -3, as Workbench may write it."""
    image = cifti2.Cifti2Image(SERIES, header=(TIME, BRAIN))
    time = image.header.matrix.get_index_map(0)
    time.series_exponent, time.series_step = -3, 2000
    nibabel.save(image, folder / "bold.dtseries.nii")
    return run_table(folder, "bold.dtseries.nii")


SURFACES = [
    Case("CIFTI", cifti((TIME, BRAIN)), same(names=NUMBERED), "nipy/nibabel#767"),
    Case("CIFTI in milliseconds", exponent, same(names=NUMBERED), "nipreps/niworkflows#191"),
    Case(
        "CIFTI with another step",
        cifti((series_axis(0.72), BRAIN)),
        same(names=NUMBERED),
        "OpenNeuroOrg/openneuro#3157",
        r"bold.dtseries.nii: TR 0.72 s in its header, (t_r )?2 s in the table of runs",
    ),
    Case(
        "CIFTI with a step of 1 s",
        cifti((series_axis(1.0), BRAIN)),
        same(names=NUMBERED),
        "rordenlab/dcm2niix#911",
    ),
    Case(
        "CIFTI that begins at 20 s",
        cifti((cifti2.SeriesAxis(20, T_R, len(SERIES)), BRAIN)),
        same(names=NUMBERED),
        "wb_command: SeriesStart",
        "bold.dtseries.nii: its first volume is at 20 s by its header, which is not used",
    ),
    Case(
        "CIFTI under another name",
        cifti((series_axis(T_R), BRAIN), name="bold.nii"),
        r"bold\.nii: holds greyordinates .CIFTI., which its name must state: name it .dtseries",
        "wb_command: names of files",
    ),
    Case(
        "CIFTI with a step in Hz",
        cifti((series_axis(0.5, unit="HERTZ"), BRAIN)),
        same(names=NUMBERED),
        "CIFTI-2",
    ),
    Case(
        "CIFTI transposed",
        cifti((BRAIN, TIME), SERIES.T.copy()),
        r"turn it \(wb_command -cifti-transpose\)",
        "wb_command -cifti-transpose",
    ),
    Case(
        "CIFTI of maps",
        cifti((cifti2.ScalarAxis([str(n) for n in range(12)]), BRAIN)),
        "its rows are no volumes",
        "PennLINC/xcp_d#1036",
    ),
    Case(
        "GIFTI, an array per volume", gifti(list(SERIES)), same(names=NUMBERED), "nipy/nibabel#793"
    ),
    Case(
        "GIFTI, another intent",
        gifti(list(SERIES), intent="NIFTI_INTENT_SHAPE"),
        same(names=NUMBERED),
        "netneurolab/neuromaps#153",
    ),
    Case(
        "GIFTI, one array",
        gifti([np.ascontiguousarray(SERIES.T)]),
        same(names=NUMBERED),
        "nipy/nibabel#789",
    ),
    Case(
        "GIFTI in ms",
        gifti(list(SERIES), meta={"TimeStep": "2000.000000"}),
        same(names=NUMBERED),
        "FreeSurfer",
    ),
    Case(
        "GIFTI with another TR",
        gifti(list(SERIES), meta={"TimeStep": "1500"}),
        same(names=NUMBERED),
        "OpenNeuroOrg/openneuro#3157",
        "TR 1.5 s in its header",
    ),
    *[
        Case(
            f"index_column of {name}",
            make,
            "the column index_column is for text files, .npy and .h5",
            "as above",
        )
        for name, make in {
            "GIFTI": gifti(list(SERIES), index_column="yes"),
            "CIFTI": cifti((TIME, BRAIN), index_column="yes"),
        }.items()
    ],
    *[
        Case(
            f"index_column {word} of {name}",
            make(word),
            same(names=NUMBERED),
            "as above",
        )
        for word in ("no", "")
        for name, make in {
            "GIFTI": lambda word: gifti(list(SERIES), index_column=word),
            "CIFTI": lambda word: cifti((TIME, BRAIN), index_column=word),
        }.items()
    ],
    Case(
        "index_column and header of an image",
        array(SERIES, "bold.npy", mask="bold.npy", index_column="yes", header="yes"),
        "bold.npy: with a mask it is an image of voxels, but header, index_column in the table",
        "as above",
    ),
    Case(
        "GIFTI of points",
        gifti([SERIES], intent="NIFTI_INTENT_POINTSET"),
        "holds no series",
        "nipy/nibabel#793",
    ),
    Case(
        "GIFTI of arrays that differ",
        gifti([SERIES, SERIES[1:]]),
        "holds no series",
        "nipy/nibabel#793",
    ),
]

TIMES = pd.DataFrame({"x": MOTIONS["trans_x"], "t": np.arange(12.0)})
TWELVE = RNG.normal(0, 0.5, (30, 12)).round(6)
TWICE = pd.concat([TIMES[["x"]], MOTIONS[["rot_x"]].set_axis(["x"], axis=1)], axis=1)
LONG = pd.DataFrame(RNG.normal(size=(3, 40)))

CONFOUNDS = [
    Case("fMRIPrep's leading n/a", confounds(DERIVED), regressed(FILLED), "nipreps/fmriprep#2172"),
    Case(
        "n/a in the middle",
        confounds(DERIVED.drop(index=5).reindex(range(12))),
        "confounds.tsv: n/a among the confounds: column trans_x, ",
        "nipreps/fmriprep#1455",
    ),
    Case(
        "a column of n/a",
        confounds(DERIVED.assign(csf=np.nan)),
        "column csf",
        "nipreps/fmriprep#2209",
    ),
    Case(
        "confounds of FSL",
        confounds(MOTIONS, "x.par", write=lambda p: np.savetxt(p, MOTIONS)),
        regressed(MOTIONS),
        "mcflirt",
    ),
    Case(
        "twelve movement regressors of HCP, spaces first",
        confounds(
            None, "m.txt", TWELVE[:, :3] ** 2, lambda p: np.savetxt(p, TWELVE, "  %.6f", " ")
        ),
        regressed(TWELVE),
        "HCP: Movement_Regressors.txt",
    ),
    Case(
        "confounds of more than half the volumes",
        confounds(pd.DataFrame(TWELVE[:12, :7])),
        regressed(TWELVE[:12, :7]),
        "nipreps/fmriprep: all columns of a table of confounds",
        r"sub-00 run-1: 7 confounds of 12 volumes: .* choose some \(scan.confounds\)",
    ),
    Case(
        "a first 0 in confounds of one column",
        confounds(
            None, "fd.txt", write=lambda p: p.write_text("0\n" + "0.25\n0.75\n" * 5 + "0.5\n")
        ),
        regressed(np.array([[0, *[0.25, 0.75] * 5, 0.5]]).T),
        "fsl_motion_outliers",
    ),
    Case(
        "an index in confounds with names 0 1 2",
        confounds(MOTIONS, write=lambda p: MOTIONS.set_axis(range(6), axis=1).to_csv(p, sep="\t")),
        regressed(MOTIONS),
        "DataFrame(x).to_csv()",
    ),
    Case(
        "an index in confounds with names 0 1 2, a volume dropped",
        confounds(
            MOTIONS,
            write=lambda p: MOTIONS.set_axis(range(6), axis=1).to_csv(p, sep="\t"),
            n_dropped=1,
        ),
        regressed(MOTIONS),
        "DataFrame(x).to_csv()",
    ),
    Case(
        "an index in confounds",
        confounds(TIMES, write=lambda p: TIMES.to_csv(p, sep="\t")),
        regressed(TIMES),
        "pandas-dev/pandas#26576",
    ),
    Case(
        "a trend in confounds",
        confounds(TIMES[["t", "x"]]),
        regressed(TIMES[["t", "x"]]),
        "nilearn cosine drifts",
    ),
    Case(
        "confounds under numbers",
        confounds(TIMES.set_axis([0, 1], axis=1)),
        regressed(TIMES),
        "DataFrame(x).to_csv(index=False)",
    ),
    Case(
        "confounds under numbers, or one volume more",
        confounds(TIMES.set_axis([0, 1], axis=1), n_dropped=1),
        r"row 1 \(0, 1\).*Give the columns names that are words",
        "DataFrame(x).to_csv(index=False)",
    ),
    Case("two confounds of one name", confounds(TWICE), regressed(TWICE), "nipreps/fmriprep#1004"),
    Case(
        "a film longer than a table that lies the other way round",
        array(LONG.to_numpy(), duration=70.0),
        "the scan ends 64.0 s before the film does; does the scan's table lie the other way round",
        "nilearn/nilearn#4569",
    ),
    Case(
        "voxels × volumes, without a duration that could tell",
        array(np.random.default_rng(0).normal(100, 1, (6000, 30)), t_r=2.0),
        lambda scan: None,
        "nilearn/nilearn#4569",
        warning=r"its 6,000 rows last 3\.3 h as volumes; does the scan's table lie the other way",
    ),
    Case(
        "parcels along the rows",
        text(csv(TABLE.T, index=True, header=False)),
        "row 1 holds words and numbers.*Write a row per volume",
        "nilearn/nilearn#4569",
    ),
    Case(
        "CIFTI of a map",
        cifti((cifti2.ScalarAxis([str(n) for n in range(12)]), BRAIN), name="x.dscalar.nii"),
        "its rows are no volumes, it is no series",
        "PennLINC/xcp_d#1036",
    ),
    Case(
        "confounds with semicolons",
        confounds(
            TIMES, "c.csv", write=lambda p: TIMES.to_csv(p, sep=";", decimal=",", index=False)
        ),
        regressed(TIMES),
        "orca#19894",
    ),
    Case(
        "confounds with n_dropped and leading n/a",
        confounds(pd.concat([DERIVED[:2] * np.nan, DERIVED[2:]]), bold=SERIES[2:], n_dropped=2),
        regressed(FILLED[2:]),
        "nipreps/fmriprep#2172",
    ),
]
TWICE = pd.concat([TIMES[["x"]], MOTIONS[["rot_x"]].set_axis(["x"], axis=1)], axis=1)
LONG = pd.DataFrame(RNG.normal(size=(3, 40)))

CASES = [*HEADERS, *COLUMNS, *SPREADSHEETS, *ARRAYS, *SURFACES, *CONFOUNDS]


@parametrized(CASES)
def test_tables(case, tmp_path, caplog):
    check(case, read, tmp_path, caplog, lambda scan: scan.warnings)


def stops_or_warns(cases):
    return [case for case in cases if case.warning or isinstance(case.right, str)]


@parametrized(stops_or_warns(CASES))
def test_doctor_says_so_before_the_run(case, tmp_path):
    check_doctor(case, case.make(tmp_path))


def two_runs(first, second, options=None):
    """Two subjects' tables."""

    def make(folder):
        first.to_csv(folder / "a.csv", index=False)
        second.to_csv(folder / "b.csv", index=False)
        return run_table(folder, "a.csv", "b.csv")

    return make


def labelled(*subjects):
    def make(folder):
        TABLE.to_csv(folder / "a.csv", index=False)
        return run_table(folder, *["a.csv"] * len(subjects), subject=subjects)

    return make


RUNS = [
    Case(
        "columns in another order",
        two_runs(TABLE, TABLE[["C", "A", "B"]]),
        same(run=1),
        "pandas-dev/pandas column order",
    ),
    Case(
        "columns in another order, one n/a",
        two_runs(TABLE, TABLE.assign(A=np.nan)[["C", "A", "B"]]),
        same(SERIES[:, 1:], ["B", "C"], run=1),
        "PennLINC/xcp_d#700",
        r"1 parcels \(A\)",
    ),
    Case(
        "one column more",
        two_runs(TABLE, TABLE.assign(D=1.5)),
        r"b.csv: other columns than a.csv \(4 and 3: D is in one of them\)",
        "nipreps/fmriprep#1004",
    ),
    Case(
        "subjects 1 and 01",
        labelled("1", "01"),
        same(run=1),
        "Excel writes 1 for 01",
        "sub-01, sub-1 are taken as different subjects",
    ),
    Case("subjects 1 and 10", labelled("1", "10"), same(run=1), "Excel writes 1 for 01"),
    Case(
        "one name twice, in another order",
        two_runs(TABLE.set_axis(["A", "A", "C"], axis=1), TABLE.set_axis(["C", "A", "A"], axis=1)),
        "b.csv: other columns than a.csv",
        "left and right of one name",
    ),
]


@parametrized(RUNS)
def test_runs_of_one_data_set(case, tmp_path, caplog):
    check(case, read, tmp_path, caplog, lambda scan: scan.warnings)


@parametrized(stops_or_warns(RUNS))
def test_doctor_compares_the_runs(case, tmp_path):
    check_doctor(case, case.make(tmp_path))


@pytest.mark.parametrize(
    ("subjects", "begins", "warned"),
    [
        ("01 01", "0 0", ["run-1, run-2 are all taken to begin at second 0 of the film"]),
        ("01 02", "0 0", []),
        ("01 01", "0 20", []),
        ("01 01 02 02", "0 20 5 5", ["run-1, run-2 are all taken to begin at second 5"]),
    ],
)
def test_runs_of_one_subject_that_begin_at_one_second(subjects, begins, warned, tmp_path):
    """Runs of two people may be one part of a film under two names."""
    files = []
    for n in range(len(subjects.split())):
        files.append(f"{n}.npy")
        np.save(tmp_path / files[-1], SERIES)
    runs = ["run-1", "run-2"] * (len(files) // 2)
    columns = {"subject": subjects.split(), "stim_onset": begins.split()}
    lines = read(run_table(tmp_path, *files, **columns, run=runs)).warnings
    lines = [line for line in lines if "taken to begin" in line]
    assert [line[: len(start)] for line, start in zip(lines, warned, strict=True)] == warned


def silent(*columns, n_columns=3):
    """``bold`` has no NaN, and nothing but 0 in ``columns``."""

    def right(arrays):
        power = (arrays["bold"] ** 2).mean("volume").values
        assert np.flatnonzero(power == 0).tolist() == list(columns)
        assert np.isfinite(power).all()
        assert len(power) == n_columns

    return right


STEPS = np.arange(12)
WARNING = r"1 parcels \({}\) are nothing but a trend, slow drifts or confounds in some run"
CLEANED = [
    Case("as usual", written(), silent(), "as above"),
    Case(
        "a column of volumes that is not the first",
        written(table=TABLE.assign(TR=STEPS)),
        silent(3, n_columns=4),
        "erdewit/ib_insync#350",
        WARNING.format("TR"),
    ),
    Case(
        "a column of times of 0.72 s",
        written(table=TABLE.assign(B=5 + STEPS * 0.72)),
        silent(1),
        "JuliaStats/TimeSeries.jl#353",
        WARNING.format("B"),
    ),
    Case(
        "an index that is kept",
        written(index=True, columns={"index_column": "no"}),
        silent(0, n_columns=4),
        "pandas-dev/pandas#26576",
        WARNING.format("column 1"),
    ),
    Case(
        "a copy of a confound",
        confounds(MOTIONS[["rot_x"]], bold=np.column_stack([SERIES[:, :2], MOTIONS["rot_x"]])),
        silent(2),
        "preprocessed-connectomes-project/abide#2",
        WARNING.format("2"),
    ),
    Case(
        "a parcel of small numbers",
        array(SERIES * np.array([1, 1e-4, 1e4], dtype="f4")),
        silent(),
        "xcp_d: percent or raw",
    ),
    Case(
        "a mean of 10,000",
        array(SERIES + 10_000),
        silent(),
        "raw BOLD",
    ),
    Case(
        "more confounds than volumes",
        confounds(pd.DataFrame(RNG.normal(size=(12, 20)))),
        "all columns are nothing but a trend.*take fewer confounds",
        "nipreps/fmriprep#1455",
    ),
]


@parametrized(CLEANED)
def test_cleaning_leaves_something(case, tmp_path, caplog):
    def clean(table):
        return load_runs(table, high_pass_hz=None)

    check(
        case,
        clean,
        tmp_path,
        caplog,
        lambda arrays: [w for w in arrays.attrs["warnings"] if "tSNR" not in w],
    )


@parametrized(stops_or_warns(CLEANED))
def test_doctor_cleans_what_is_small(case, tmp_path):
    check_doctor(case, case.make(tmp_path), high_pass_hz=None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": ("motion", "scrub")}, "scan.confound_strategy: for BIDS .*scan.confounds"),
        ({"space": "MNI152NLin6Asym"}, "scan.space: for BIDS folders alone; leave it out$"),
        ({"raw": "raw", "strategy": ["motion"]}, "scan.raw, scan.confound_strategy: for BIDS"),
    ],
)
def test_keys_of_bids_folders_are_refused_for_a_table_of_runs(options, message, tmp_path):
    """None is ignored: a strategy with scrubbing would be missed by nobody."""
    table = confounds(MOTIONS)(tmp_path)
    with pytest.raises(GibletError, match=message):
        read_data_set(table, **options)
    assert len(read_data_set(table, strategy=[])) == 1


def test_a_table_of_runs_from_a_spreadsheet(tmp_path):
    TABLE.to_csv(tmp_path / "bold.csv", index=False)
    content = "subject;file;t_r;film_onset\r\n01;bold.csv;1,5;0\r\n;;;\r\n"
    (tmp_path / "runs.csv").write_bytes(b"\xef\xbb\xbf" + content.encode())
    (run,) = survey_runs(tmp_path / "runs.csv").runs
    assert (run.subject, run.t_r) == ("sub-01", 1.5)


def test_named_confounds_may_stand_beside_words(tmp_path):
    table = TIMES.assign(label="rest", csf=np.nan)
    np.save(tmp_path / "bold.npy", SERIES)
    table.to_csv(tmp_path / "c.tsv", sep="\t", index=False)
    runs = run_table(tmp_path, "bold.npy", confounds="c.tsv")
    (run,) = survey_runs(runs, confounds=["t"]).runs
    np.testing.assert_array_equal(run.nuisance, TIMES[["t"]])
    for name, message in (("label", "label holds words"), ("csf", "n/a.*column csf")):
        with pytest.raises(GibletError, match=message):
            survey_runs(runs, confounds=[name])
    with pytest.raises(GibletError, match="no confound column rot_z"):
        survey_runs(runs, confounds=["rot_z"])


def test_rounding_is_not_blown_up():
    """A file of an earlier giblet holds 1e-13 where cleaning had left nothing."""
    bold = np.repeat(SERIES.T.reshape(3, 12, 1), 2, axis=2).astype(np.float32)
    bold[..., 1] *= 1e-13
    scaled, has_signal = zscore_bold(bold, np.repeat("1", 12), np.ones(12, dtype=bool))
    assert has_signal.tolist() == [True, False]
    assert np.abs(scaled[..., 1]).max() == 0
    np.testing.assert_allclose(scaled[..., 0].std(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("onset\tduration\tx\n0.5\t12.5\ta\n13\t1\tb\n", "events.tsv"),
        ("onset\tduration\tx\n0.5\t12.5\ta\t\n13\t1\tb\t\n", "events.tsv"),
        ("onset\tduration\tx\t\n0.5\t12.5\ta\t\n13\t1\tb\t\n", "events.tsv"),
        ("onset,duration,x\n0.5,12.5,a,\n13,1,b\n", "events.csv"),
        ("onset;duration;x\n0,5;12,5;a\n13;1;b\n", "events.csv"),
        ("onset\tduration\tx\n0,5\t12,5\ta\n13\t1\tb\n", "events.tsv"),
        (",onset,duration,x\n0,0.5,12.5,a\n1,13,1,b\n", "events.csv"),
        ("onset , duration,x\n0.5,12.5,a\n13,1,b\n", "events.csv"),
        ("\ufeffonset\tduration\tx\r\n0.5\t12.5\ta\r\n13\t1\tb\r\n", "events.tsv"),
    ],
)
def test_tables_of_events_and_runs(tmp_path, content, name):
    """pandas-dev/pandas#14124: a delimiter behind the rows moved every column by one."""
    (tmp_path / name).write_bytes(content.encode())
    right = pd.DataFrame({"onset": [0.5, 13.0], "duration": [12.5, 1.0], "x": ["a", "b"]})
    pd.testing.assert_frame_equal(load_table(tmp_path / name), right, check_dtype=False)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("onset\tduration\tonset\n0\t5\t1\n", "onset"),
        ("onset, duration ,duration\n0,5,6\n1,5,5\n", "duration"),
        ("onset;a;duration;a\n0;x;5;\n", "a"),
        ("a b a\n1 2 3\n", "a"),
    ],
)
def test_two_columns_of_one_name_are_refused(tmp_path, content, name):
    """bids-standard/bids-validator: TSV_COLUMN_HEADER_DUPLICATE. The first was taken."""
    (tmp_path / "events.tsv").write_text(content)
    with pytest.raises(GibletError, match=f"events.tsv: two columns are named {name}; rename"):
        load_table(tmp_path / "events.tsv")


def test_copies_of_a_column_are_left_out(tmp_path):
    (tmp_path / "events.tsv").write_text("onset\tduration\tonset\n0.5\t5\t0.5\n1\t5\t1\n")
    assert load_table(tmp_path / "events.tsv").to_dict("list") == {
        "onset": [0.5, 1.0],
        "duration": [5, 5],
    }


def test_a_table_of_texts_keeps_its_commas(tmp_path):
    content = "onset\ttext\n0.5\t1,5 and 2\n1.5\t1,500\n2.5\tone; two\n"
    (tmp_path / "events.tsv").write_text(content)
    table = load_table(tmp_path / "events.tsv")
    assert table["onset"].tolist() == [0.5, 1.5, 2.5]
    assert table["text"].tolist() == ["1,5 and 2", "1,500", "one; two"]


@pytest.mark.parametrize("columns", ["A,B\n1,2,3\n4,5,6\n", "A,B\n1,2\n4,5,6\n"])
def test_rows_with_more_cells_than_names_are_refused(tmp_path, columns):
    (tmp_path / "runs.csv").write_text(columns)
    with pytest.raises(GibletError, match=r"runs.csv: not a readable table \(.*\)$"):
        load_table(tmp_path / "runs.csv")


def test_a_voxel_that_is_nan_in_every_volume_is_left_out(tmp_path):
    """nilearn/nilearn: voxels outside the field of view that a mask has."""
    volumes = RNG.normal(100, 1, (2, 2, 2, 12)).astype(np.float32)
    volumes[1, 0, 1] = np.nan
    nibabel.save(nibabel.Nifti1Image(volumes, np.eye(4)), tmp_path / "bold.nii.gz")
    mask = np.ones((2, 2, 2), dtype=np.uint8)
    nibabel.save(nibabel.Nifti1Image(mask, np.eye(4)), tmp_path / "mask.nii.gz")
    scans = survey_runs(run_table(tmp_path, "bold.nii.gz", mask="mask.nii.gz"))
    assert "1 voxels, constant in some run, were left out" in scans.warnings
    expected = volumes.reshape(8, 12)[np.arange(8) != 5].T
    np.testing.assert_array_equal(scans.runs[0].read(scans.columns), expected)


def test_doctor_reads_tables_that_it_does_not_clean(tmp_path, monkeypatch):
    """Constant parcels are named; what only cleaning shows is not."""
    from giblet.commands.doctor import scan_checks

    table = TABLE.assign(B=1.0, TR=STEPS)
    monkeypatch.setattr(scan_checks, "_MOST_VALUES", 40)
    source = written(table=table)(tmp_path)
    config = parse_config({"film": "none", "bold": str(source), "t_r": T_R})
    _sizes, lines, problems = measure(config)
    assert not problems
    assert any("1 parcels (B), constant" in line for line in lines)
    assert not any("nothing but a trend" in line for line in lines)


def test_doctor_lists_runs_and_checks_those_to_test(tmp_path):
    np.save(tmp_path / "bold.npy", RNG.normal(size=(40, 3)))
    columns = {"stim_onset": [0, 24.0], "duration": 24.0, "run": ["run-1", "run-2"]}
    source = run_table(tmp_path, "bold.npy", "bold.npy", subject="01", **columns)
    settings = {"film": str(film_path()), "bold": str(source), "t_r": T_R}
    for named, problem in (("run-2", ""), ("run-7", "splits.test_runs: no run run-7 in the scan")):
        splits = {"test_runs": [named], "gap_seconds": 4.0}
        _sizes, lines, problems = measure(parse_config(settings | {"splits": splits}))
        assert "runs: run-1, run-2" in lines
        assert [p[: len(problem)] for p in problems] == [problem] * bool(problem)
        short = any("splits.gap_seconds 4 is shorter than the HRF" in line for line in lines)
        assert short != bool(problem)
