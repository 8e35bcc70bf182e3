"""The cluster scripts start, resume and end a sweep as they promise, rehearsed with stand-ins for Ray and Slurm."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import ROOT
from tests.cluster_files import CLUSTER, kubernetes
from xtts_sweep.main import parse

SCRIPTS = (CLUSTER / "start_or_resume.sh", CLUSTER / "sweep.sbatch")


STORAGE = "/shared/sweeps"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_bash_and_shellcheck_find_nothing_in_the_scripts(path: Path) -> None:
    subprocess.run(["bash", "-n", path], check=True)
    shellcheck = Path(sys.executable).with_name("shellcheck")
    found = subprocess.run([shellcheck, "--severity=style", path], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


STAND_INS = {
    # Each writes its name and arguments as a line of JSON; Ray's also what it was given through the environment.
    "scontrol": 'record scontrol "$@"; printf "node1\\nnode2\\n"',
    "getent": 'record getent "$@"; echo "${TEST_ADDRESS:-192.0.2.10}     STREAM node1"',
    "srun": """
record srun "$@"
while [ "${1#--}" != "$1" ]; do shift; done
SLURM_NODEID=0 "$@" & first=$!
SLURM_NODEID=1 RAY_FOLDER=$RAY_FOLDER-second "$@" & second=$!
end() {
    while kill -0 "$first" || kill -0 "$second"; do
        kill "$first" "$second"
        pkill -P "$first,$second"
        sleep 0.1
    done
}
trap 'end 2>/dev/null' TERM
wait "$first" "$second"
""",
    "ray": """
if [ "$1" = health-check ]; then
    if [ -e "$TEST_FOLDER/head-is-up" ] && [ -s "$RAY_AUTH_TOKEN_PATH" ]; then exit 0; else exit 1; fi
fi
record ray "$@" "mode=$RAY_AUTH_MODE" "token=$(stat -c %a "$RAY_AUTH_TOKEN_PATH")" "folder=$(stat -c %a "$RAY_FOLDER")"
case "$*" in *--head*) touch "$TEST_FOLDER/head-is-up" ;; esac
trap 'exit 0' TERM
while :; do sleep 0.05; done
""",
    "sleep": "exec /bin/sleep 0.05",
    "python": """
record python "$@"
until [ "$(grep -c ^ray "$TEST_FOLDER/calls")" -ge "${TEST_NODES:-0}" ]; do sleep 1; done
code=${TEST_START_CODE:-0}
[ "$2" != resume ] || code=${TEST_RESUME_CODE:-0}
if [ "$code" = wait ]; then
    trap 'record python-was-interrupted; exit 130' TERM
    touch "$TEST_FOLDER/training"
    while :; do sleep 0.05; done
fi
exit "$code"
""",
}


RECORD = """#!/usr/bin/env bash
record() {
    local IFS=$'\\x1f'
    printf '%s\\n' "$*" >>"$TEST_FOLDER/calls"
}
"""


class Rehearsal:
    """A script, run with stand-ins for the programs of a cluster, which write down how they were called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        programs = folder / "bin"
        programs.mkdir()
        for name, body in STAND_INS.items():
            (programs / name).write_text(RECORD + body)
            (programs / name).chmod(0o755)
        self.job = str(os.getpid() * 1000 + time.time_ns() % 1000)
        self._environment = {
            "PATH": f"{programs}:/usr/bin:/bin",
            "HOME": str(self.home),
            "TEST_FOLDER": str(folder),
            "SLURM_JOB_ID": self.job,
            "SLURM_JOB_NODELIST": "node[1-2]",
            "SLURM_CPUS_PER_TASK": "8",
            "SWEEP_NAME": "lj",
            "SWEEP_DATA": "/shared/lj",
            "SWEEP_STORAGE": STORAGE,
        }

    def start(self, *command: str | Path, **environment: str) -> subprocess.Popen[str]:
        """Begin; the caller waits."""
        return subprocess.Popen(
            ["bash", *command],
            cwd=ROOT,
            env={**self._environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str | Path, **environment: str) -> tuple[int, str]:
        """Exit code and output."""
        process = self.start(*command, **environment)
        output, _ = process.communicate(timeout=30)
        return process.returncode, output

    def training(self) -> bool:
        """Whether a sweep has begun."""
        return (self.folder / "training").exists()

    def calls(self, program: str) -> list[list[str]]:
        """The arguments of each call of that program, in order."""
        file = self.folder / "calls"
        lines = [line.split("\x1f") for line in file.read_text().splitlines()] if file.exists() else []
        return [words for name, *words in lines if name == program]

    def left(self) -> list[str]:
        """Folders that a job should have removed."""
        return [str(path) for path in (*self.home.iterdir(), *Path("/tmp").glob(f"sweep-{self.job}-*"))]


@pytest.fixture
def rehearsal(tmp_path: Path) -> Rehearsal:
    return Rehearsal(tmp_path)


ASKED = (SCRIPTS[0], "lj", "auto", STORAGE, "--data", "/speech", "--trials", "32")


CLUSTER_OF = ["--address", "auto", "--storage", STORAGE]


def test_a_sweep_that_the_storage_has_goes_on_and_is_not_started_again(rehearsal: Rehearsal) -> None:
    assert rehearsal.run(*ASKED)[0] == 0
    assert rehearsal.calls("python") == [["run_sweep.py", "resume", "lj", *CLUSTER_OF]]
    parse(rehearsal.calls("python")[0][1:])


def test_a_sweep_that_the_storage_has_not_is_started(rehearsal: Rehearsal) -> None:
    assert rehearsal.run(*ASKED, TEST_RESUME_CODE="2")[0] == 0
    start = rehearsal.calls("python")[1]
    assert start == ["run_sweep.py", "--name", "lj", "--data", "/speech", "--trials", "32", *CLUSTER_OF]
    parse(start[1:])


@pytest.mark.parametrize("code", ["1", "130"])
def test_a_sweep_that_ended_without_a_result_is_not_started_anew(rehearsal: Rehearsal, code: str) -> None:
    assert rehearsal.run(*ASKED, TEST_RESUME_CODE=code)[0] == int(code)
    assert len(rehearsal.calls("python")) == 1


def test_a_request_that_is_wrong_in_both_ways_ends_with_its_code(rehearsal: Rehearsal) -> None:
    assert rehearsal.run(*ASKED, TEST_RESUME_CODE="2", TEST_START_CODE="2")[0] == 2


def test_the_slurm_job_starts_a_head_and_its_workers_with_a_token_of_their_own(rehearsal: Rehearsal) -> None:
    code, output = rehearsal.run(SCRIPTS[1], TEST_RESUME_CODE="2", TEST_NODES="2")
    assert code == 0, output
    head, worker = sorted(rehearsal.calls("ray"), key=lambda words: "--head" not in words)
    address = f"192.0.2.10:{20_000 + int(rehearsal.job) % 10_000}"
    assert {"--head", "--include-dashboard=false", "--node-ip-address=192.0.2.10"} <= set(head)
    assert f"--address={address}" in worker
    for words in (head, worker):
        assert {"mode=token", "token=600", "folder=700", "--block", "--num-cpus=8"} <= set(words)
    (step,) = rehearsal.calls("srun")
    assert "--no-kill" in step
    resumed, started = rehearsal.calls("python")
    assert resumed[1:3] == ["resume", "lj"]
    assert started[-4:] == ["--address", address, "--storage", STORAGE]
    for words in (resumed, started):
        parse(words[1:])
    assert rehearsal.left() == []


def test_a_requeued_slurm_job_goes_on_where_the_first_one_was(rehearsal: Rehearsal) -> None:
    code, output = rehearsal.run(SCRIPTS[1], SLURM_RESTART_COUNT="1")
    assert code == 0, output
    assert [words[1] for words in rehearsal.calls("python")] == ["resume"]
    assert any(f"--temp-dir=/tmp/sweep-{rehearsal.job}-1/ray" in words for words in rehearsal.calls("ray"))


def test_a_slurm_job_near_its_time_limit_lets_the_sweep_save_and_passes_its_code_on(rehearsal: Rehearsal) -> None:
    job = rehearsal.start(SCRIPTS[1], TEST_RESUME_CODE="wait")
    deadline = time.monotonic() + 20
    while not rehearsal.training() and time.monotonic() < deadline:
        time.sleep(0.05)
    job.send_signal(signal.SIGTERM)  # as --signal=B:TERM does: to the batch shell alone
    output, _ = job.communicate(timeout=20)
    assert job.returncode == 130, output
    assert len(rehearsal.calls("python-was-interrupted")) == 1
    assert len(rehearsal.calls("python")) == 1
    assert rehearsal.left() == []


def test_a_slurm_job_reads_secrets_only_from_a_file_that_only_its_owner_can_read(rehearsal: Rehearsal) -> None:
    secrets = rehearsal.home / "keys.env"
    secrets.write_text("AWS_PROFILE=sweep\n")
    secrets.chmod(0o644)
    code, output = rehearsal.run(SCRIPTS[1], SWEEP_SECRETS=str(secrets))
    assert (code, "chmod 600" in output, rehearsal.calls("ray")) == (2, True, [])
    secrets.chmod(0o600)
    assert rehearsal.run(SCRIPTS[1], SWEEP_SECRETS=str(secrets))[0] == 0


def test_a_slurm_job_refuses_a_head_that_only_it_could_reach(rehearsal: Rehearsal) -> None:
    code, output = rehearsal.run(SCRIPTS[1], TEST_ADDRESS="127.0.1.1")
    assert (code, "SWEEP_HEAD_IP" in output, rehearsal.calls("ray")) == (2, True, [])


def test_slurm_is_asked_for_what_the_job_counts_on() -> None:
    text = SCRIPTS[1].read_text()
    options = dict(option.partition("=")[::2] for option in re.findall(r"^#SBATCH --(\S+)$", text, re.MULTILINE))
    assert options["signal"] == "B:TERM@300"
    assert {"requeue", "no-kill", "exclusive"} <= set(options)
    assert options["ntasks-per-node"] == "1"
    assert json.loads(options["nodes"]) > 1


def test_the_job_of_kubernetes_starts_the_sweep_with_words_that_a_shell_leaves_alone() -> None:
    entrypoint = kubernetes()["RayJob"]["spec"]["entrypoint"]
    assert re.fullmatch(r"[\w/.:\- ]+", entrypoint)  # the operator hands it through two shells
    bash, script, name, address, storage, *options = entrypoint.split()
    assert (bash, Path(script).name, address) == ("bash", SCRIPTS[0].name, "auto")
    parse(["--name", name, *options, "--address", address, "--storage", storage])
