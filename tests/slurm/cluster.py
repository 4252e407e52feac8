"""A real Slurm on this computer, for as long as a test lasts.

`python tests/slurm/cluster.py COMMAND ...` runs a command with it up, and stops it afterwards. It
needs root and Debian's packages slurm-wlm and munge; nothing outside a temporary folder is touched.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

CONF = """\
ClusterName=giblet
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmctldParameters=idle_on_node_suspend
SlurmdParameters=config_overrides
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SwitchType=switch/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
MinJobAge=600
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
NodeName=DEFAULT CPUs=4 RealMemory=64000
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} Gres=gpu:1
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]}
PartitionName=cpu Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=n1 MaxTime=INFINITE State=UP
"""
DAEMONS = ("munged", "slurmctld", "slurmd")


def why_not() -> str | None:
    """What is missing for a Slurm here, in one line; None where nothing is."""
    paths = os.environ["PATH"] + ":/usr/sbin"
    missing = [name for name in (*DAEMONS, "sbatch", "srun") if not shutil.which(name, path=paths)]
    if missing:
        return f"no {', '.join(missing)}: apt-get install slurm-wlm munge"
    return None if os.geteuid() == 0 else "a Slurm for tests is started by root"


@contextmanager
def slurm():
    """Environment variables under which ``sbatch``, ``srun`` and ``squeue`` reach a new Slurm."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slurm")))
        host = socket.gethostname().split(".")[0]
        conf = folder / "slurm.conf"
        conf.write_text(CONF.format(host=host, folder=folder, ports=_free_ports(3)))
        (folder / "gres.conf").write_text("NodeName=n1 Name=gpu File=/dev/null\n")
        for name in ("state", "spool.n1", "spool.n2"):
            (folder / name).mkdir()
        environment = os.environ | {"SLURM_CONF": str(conf)}
        environment["PATH"] = f"{_commands_of_users(folder)}:{environment['PATH']}:/usr/sbin"
        for command in _daemons(folder):
            stack.enter_context(_running(command, environment, folder))
        _wait_until_idle(environment, folder)
        yield environment


def _commands_of_users(folder: Path) -> Path:
    """A folder of ``srun`` and the like that find this Slurm; Snakemake drops SLURM_CONF."""
    (commands := folder / "bin").mkdir()
    for name in ("srun", "sbatch", "squeue", "scancel", "scontrol", "sinfo"):
        script = f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which(name)} "$@"\n'
        (commands / name).write_text(script)
        (commands / name).chmod(0o755)
    return commands


def _daemons(folder: Path) -> list[list[str]]:
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    munged = ["munged", "--foreground", "--force", f"--key-file={key}"]
    munged += [f"--socket={folder}/munge.socket", f"--pid-file={folder}/munge.pid"]
    munged += [f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed"]
    nodes = [["slurmd", "-D", "-N", name] for name in ("n1", "n2")]
    return [munged, ["slurmctld", "-D", "-i"], *nodes]


@contextmanager
def _running(command: list[str], environment: dict, folder: Path):
    with open(folder / f"{command[0]}.out", "w") as said:
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_idle(environment: dict, folder: Path, seconds: float = 30) -> None:
    until, sinfo = time.monotonic() + seconds, ["sinfo", "--noheader", "--format=%T"]
    while time.monotonic() < until:
        states = subprocess.run(sinfo, env=environment, capture_output=True, text=True).stdout
        if states.split() and set(states.split()) == {"idle"}:
            return
        time.sleep(0.2)
    said = "\n".join(file.read_text() for file in sorted(folder.glob("*.out")))
    raise RuntimeError(f"slurm did not start in {seconds} s: {states}\n{said}")


def _free_ports(n: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(socket.socket())) for _ in range(n)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


if __name__ == "__main__":
    if reason := why_not():
        sys.exit(reason)
    with slurm() as environment:
        sys.exit(subprocess.run(sys.argv[1:], env=environment).returncode)
