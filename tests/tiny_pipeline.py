"""The workflow on 40 s of the bundled film: run, planned, and made once for all tests."""

import functools
import hashlib
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np
import yaml
from filelock import FileLock

from giblet.commands.cli import verb_functions
from giblet.commands.fingerprint import source_fingerprint
from giblet.demo import annotations_path, film_path
from giblet.io.tables import load_table, save_table
from giblet.music.midi import write_midi
from giblet.music.notes import Beats, Notes
from giblet.music.synth import SAMPLE_RATE, synthesize

ROOT = Path(__file__).parents[1]
FILM, SAID = "it's a film.mp4", "what's said.tsv"
SECONDS = 40  # little speech in the last fifth: PESQ, which is slow, is not asked there
SETTINGS = {
    "dataset": "tiny",
    "film": FILM,
    "splits": {"gap_seconds": 6},
    "video": {"height": 20, "width": 30},
    "mel": {"n_mels": 32, "n_iter": 2},
    "model": {
        "audio_dim": 16,
        "video_dim": 16,
        "text_dim": 16,
        "bottleneck_dim": 32,
        "embedding_dim": 4,
        "decoder_dim": 8,
        "readout_rank": 4,
    },
    "training": {"max_epochs": 2, "window_trs": 8, "min_steps": 3, "sound_trs": 1},
}
SIMULATED = {"bold": "simulated", "annotations": SAID}
RULE = re.compile(r"^(?:local)?rule (\w+):$", re.M)  # as Snakemake reports that one begins
# about the run, not its results: how long it took, when, what was written on the way
ABOUT_THE_RUN = ("times/", "training/", "run.json", "report.html")


# ---- made once -----------------------------------------------------------------------------------


def cut_film(path, seconds=SECONDS):
    """The beginning of the bundled film."""
    with av.open(film_path()) as whole, av.open(path, "w") as part:
        streams = {s.index: part.add_stream_from_template(s) for s in whole.streams}
        for packet in whole.demux():
            if packet.dts is not None and packet.pts * packet.time_base < seconds:
                packet.stream = streams[packet.stream.index]
                part.mux(packet)


def random_piece(seconds=SECONDS, seed=0):
    """Notes on a grid of 1/4 s."""
    rng = np.random.default_rng(seed)
    onset, beats = np.flatnonzero(rng.random(4 * seconds) < 0.6) / 4, np.arange(2 * seconds + 2)
    pitch, velocity = rng.integers(48, 84, len(onset)), rng.integers(50, 110, len(onset))
    grid = Beats(beats / 2, beats % 4, np.full(len(beats), 4))
    return Notes.from_unsorted(onset, np.full(len(onset), 0.3), pitch, velocity, grid)


def film_with_score(path, delay=0.18, seconds=SECONDS):
    """A .mkv of the bundled film's pictures and a piece, ``delay`` s late; its score beside it."""
    notes = random_piece(seconds)
    write_midi(notes, path.with_suffix(".mid"))
    silence = np.zeros(round(delay * SAMPLE_RATE), np.float32)
    sound = np.concatenate([silence, synthesize(notes)])[: seconds * SAMPLE_RATE]
    with av.open(film_path()) as whole, av.open(path, "w") as part:
        seen = whole.streams.video[0]
        video = part.add_stream_from_template(seen)
        audio = part.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono")
        for packet in whole.demux(seen):
            if packet.dts is not None and packet.pts * packet.time_base < seconds:
                packet.stream = video
                part.mux(packet)
        samples = np.rint(sound * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        for packet in [*audio.encode(frame), *audio.encode(None)]:
            part.mux(packet)


def cut_annotations(path, seconds=SECONDS):
    """What is said in it."""
    save_table(load_table(annotations_path()).query(f"onset + duration < {seconds}"), path)


def make_once(folder, make):
    """``folder``, made by ``make(folder)`` in the first of pytest's processes that asks for it."""
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            partial = folder.with_name(f"{folder.name} partial")
            shutil.rmtree(partial, ignore_errors=True)
            make(partial)
            partial.rename(folder)
    return folder


def make_film_alone(folder):
    """The main job on a film without annotations and scans."""
    folder.mkdir()
    cut_film(folder / FILM)
    done = snakemake(folder)
    assert done.returncode == 0, done.stdout


def make_with_brains(film_alone, folder):
    """The same, continued with what is said and SIMULATED brains up to the report."""
    shutil.copytree(film_alone, folder)
    cut_annotations(folder / SAID)
    done = snakemake(folder, "report", **SIMULATED)
    assert done.returncode == 0, done.stdout


# ---- Snakemake -----------------------------------------------------------------------------------


def write_config(folder, settings):
    (folder / "config.yaml").write_text(yaml.safe_dump(SETTINGS | settings))


def command_line(folder, arguments):
    """Of Snakemake in ``folder``, with the config that is written there."""
    options = ["--snakefile", ROOT / "Snakefile", "--directory", folder, "--cores", "2"]
    return list(map(str, [*arguments, *options, "--configfile", folder / "config.yaml"]))


def environment():
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"PATH": path}


def start(folder, *arguments, log="said.txt", **settings) -> subprocess.Popen:
    """Snakemake in a process group of its own; what it prints goes to the file ``log``."""
    write_config(folder, settings)
    command = [sys.executable, "-m", "snakemake", *command_line(folder, arguments)]
    with open(folder / log, "w") as stream:
        return subprocess.Popen(
            command,
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment(),
            start_new_session=True,
        )


def snakemake(folder, *arguments, **settings) -> subprocess.CompletedProcess:
    """Run the workflow in ``folder`` with ``SETTINGS`` and ``settings`` on top."""
    write_config(folder, settings)
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *command_line(folder, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env=environment(),
    )


def ask(folder, *arguments, **settings) -> subprocess.CompletedProcess:
    """`snakemake` where no job is run: in a fork of this process, which has imported everything."""
    write_config(folder, settings)
    return forked_snakemake(folder, command_line(folder, arguments))


def forked_snakemake(folder, arguments) -> subprocess.CompletedProcess:
    """Snakemake in a fork of this process, in ``folder``: for what runs no job."""
    import snakemake.cli  # here, so that no fork needs to

    _compute_fingerprints()
    with tempfile.TemporaryFile("w+") as stream:
        if not (child := os.fork()):
            _be_snakemake(folder, arguments, stream, snakemake.cli.main)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        stream.seek(0)  # the fork has moved it too
        return subprocess.CompletedProcess(arguments, code, stdout=stream.read())


@functools.cache
def _compute_fingerprints():
    """They are kept, for all forks to come."""
    for verb in verb_functions():
        source_fingerprint(verb)


def _be_snakemake(folder, arguments, stream, main):
    """In the fork: all that is printed goes to ``stream``; does not return."""
    code = 1
    try:
        os.chdir(folder)
        for number in (1, 2):
            os.dup2(stream.fileno(), number)
        sys.stdout = sys.stderr = stream
        sys.argv = ["snakemake", *arguments]
        logging.disable(logging.NOTSET)  # as a verb in this process may have left it
        main(arguments)
        code = 0
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # nothing that pytest wants done at its end


def planned(folder, *arguments, **settings):
    """Rule → number of jobs that a run would start."""
    done = ask(folder, "--dry-run", *arguments, **settings)
    assert done.returncode == 0, done.stdout
    table = re.search(r"^Job stats:\njob +count\n[- ]+\n(.*?)^total", done.stdout, re.M | re.S)
    if table is None:
        assert "Nothing to be done" in done.stdout
        return {}
    jobs = {name: int(count) for name, count in map(str.split, table[1].splitlines())}
    return {name: count for name, count in jobs.items() if name != "reconstruct_audio"}


# ---- runs that are disturbed ---------------------------------------------------------------------


class Pipeline:
    """Snakemake with SIMULATED brains in a folder of its own, to be stopped and compared."""

    def __init__(self, folder, targets):
        self.folder, self.targets = folder, targets
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / FILM).exists():
            cut_film(folder / FILM)
            cut_annotations(folder / SAID)

    def start(self, *arguments, log="said.txt"):
        options = [*self.targets, *arguments, "--rerun-incomplete"]
        return start(self.folder, *options, log=log, **SIMULATED)

    def run(self, *arguments) -> int:
        """The exit code of a whole run."""
        process = self.start(*arguments)
        try:
            return process.wait(timeout=3600)
        finally:
            kill_all(process)

    def said(self) -> str:
        return (self.folder / "said.txt").read_text(errors="replace")

    def results(self):
        return checksums(self.folder)


def checksums(folder) -> dict[str, str]:
    """File → SHA-256 of every result, hidden files too."""
    root = folder / "results" / "tiny"
    files = {str(f.relative_to(root)): f for f in sorted(root.rglob("*")) if f.is_file()}
    return {
        name: hashlib.sha256(file.read_bytes()).hexdigest()
        for name, file in files.items()
        if not name.startswith(ABOUT_THE_RUN) and ".snakemake_timestamp" not in name
    }


def kill_all(process: subprocess.Popen) -> None:
    """SIGKILL to Snakemake and all that it has started."""
    if _any_left(process.pid):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    wait_until(lambda: not _any_left(process.pid))


def wait_until(condition, seconds=600.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def _any_left(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
