"""A small pipeline, SIMULATED brains included, that can be started, killed and compared."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import av
import yaml

from giblet.demo import annotations_path, film_path
from giblet.io.tables import load_table, save_table

ROOT = Path(__file__).parents[2]
SECONDS = 40
SETTINGS = {
    "dataset": "tiny",
    "film": "it's a film.mp4",
    "annotations": "what's said.tsv",
    "bold": "simulated",
    "splits": {"gap_seconds": 6},
    "video": {"height": 20, "width": 30},
    "mel": {"n_mels": 32, "n_iter": 2},
    "model": {
        "layout": "flat",
        "code_head": "classifier",
        "start_from": "none",
        "audio_dim": 16,
        "video_dim": 16,
        "text_dim": 16,
        "bottleneck_dim": 32,
        "embedding_dim": 4,
        "decoder_dim": 8,
        "readout_rank": 4,
    },
    "training": {"max_epochs": 4, "window_trs": 8},
}
# what a run was like, not what it found: how long it took, when, what was written on the way
ABOUT_THE_RUN = ("times/", "training/", "run.json", "report.html")


def cut_film(path, seconds):
    """The beginning of the bundled film."""
    with av.open(film_path()) as whole, av.open(path, "w") as part:
        streams = {s.index: part.add_stream_from_template(s) for s in whole.streams}
        for packet in whole.demux():
            if packet.dts is not None and packet.pts * packet.time_base < seconds:
                packet.stream = streams[packet.stream.index]
                part.mux(packet)


@dataclass
class Pipeline:
    """Snakemake in a folder of its own."""

    folder: Path
    settings: dict
    targets: tuple[str, ...]

    def begin(self):
        """Write the film, what is said in it, and the config."""
        self.folder.mkdir(parents=True)
        cut_film(self.folder / SETTINGS["film"], SECONDS)
        said = load_table(annotations_path()).query(f"onset + duration < {SECONDS}")
        save_table(said, self.folder / SETTINGS["annotations"])
        (self.folder / "config.yaml").write_text(yaml.safe_dump(SETTINGS | self.settings))
        return self

    def start(self, *arguments, said="said.txt") -> subprocess.Popen:
        """Snakemake in a process group of its own; what it says goes to the file ``said``."""
        command = [sys.executable, "-m", "snakemake", *self.targets, *arguments]
        command += ["--snakefile", ROOT / "Snakefile", "--directory", self.folder, "--cores", "2"]
        command += ["--configfile", self.folder / "config.yaml", "--rerun-incomplete"]
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        with open(self.folder / said, "w") as stream:
            return subprocess.Popen(
                list(map(str, command)),
                stdout=stream,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=os.environ | {"PATH": path},
                start_new_session=True,
            )

    def run(self, *arguments) -> int:
        """The exit code of a whole run."""
        process = self.start(*arguments)
        try:
            return process.wait(timeout=3600)
        finally:
            kill_all(process)

    def said(self) -> str:
        return (self.folder / "said.txt").read_text(errors="replace")

    def results(self) -> dict[str, str]:
        """File → SHA-256 of all that was found, hidden files too."""
        root = self.folder / "results" / "tiny"
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


def wait_until(it_is_so, seconds=200.0) -> None:
    """Until a function says yes."""
    end = time.monotonic() + seconds
    while not it_is_so():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def _any_left(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
