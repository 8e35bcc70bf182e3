"""The cluster examples: valid by the schemas there are, rehearsed with stand-ins for a cluster, closed to the world."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from tests import ROOT
from xtts_sweep.main import parse

CLUSTER = ROOT / "examples" / "cluster"
SECURITY = ROOT / "docs" / "security.md"
FILES = sorted(path for path in CLUSTER.iterdir() if path.is_file())
SCRIPTS = (CLUSTER / "start_or_resume.sh", CLUSTER / "sweep.sbatch")
KUBERNETES = "1.33"
STORAGE = "/shared/sweeps"

# What KubeRay's v1 API calls the fields that the example uses, and what each may hold.
RAY_JOB: Mapping[str, type] = {
    "submissionMode": str,
    "entrypoint": str,
    "backoffLimit": int,
    "activeDeadlineSeconds": int,
    "shutdownAfterJobFinishes": bool,
    "rayClusterSpec": dict,
}
RAY_CLUSTER: Mapping[str, type] = {
    "rayVersion": str,
    "authOptions": dict,
    "headGroupSpec": dict,
    "workerGroupSpecs": list,
}
HEAD_GROUP: Mapping[str, type] = {"rayStartParams": dict, "template": dict}
WORKER_GROUP: Mapping[str, type] = {
    **HEAD_GROUP,
    "groupName": str,
    "replicas": int,
    "minReplicas": int,
    "maxReplicas": int,
}


def _pinned(package: str) -> str:
    found = re.search(rf"^{re.escape(package)}==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert found
    return found[1]


def _ray_cluster() -> dict[str, Any]:
    return yaml.safe_load((CLUSTER / "ray-cluster.yaml").read_text())  # type: ignore[no-any-return]


def _kubernetes() -> dict[str, dict[str, Any]]:
    documents = yaml.safe_load_all((CLUSTER / "rayjob.yaml").read_text())
    return {document["kind"]: document for document in documents}


def _templates() -> dict[str, dict[str, Any]]:
    cluster = _kubernetes()["RayJob"]["spec"]["rayClusterSpec"]
    return {
        "head": cluster["headGroupSpec"]["template"],
        **{group["groupName"]: group["template"] for group in cluster["workerGroupSpecs"]},
    }


def _containers() -> Iterator[dict[str, Any]]:
    for template in _templates().values():
        yield from template["spec"]["containers"]


def _assert_fields(given: Mapping[str, Any], known: Mapping[str, type]) -> None:
    assert {name: type(value) for name, value in given.items()} == dict(known)


def _parse(arguments: Sequence[str]) -> None:
    """Have the real parsers take it; they end the process where something is wrong."""
    parse(arguments)


def _pages() -> list[Path]:
    return [path for path in (*FILES, SECURITY) if path.suffix == ".md"]


def _written_commands(text: str) -> list[list[str]]:
    """The arguments of each complete `run_sweep.py ...` of a page's indented lines."""
    lines = [line.strip() for line in re.sub(r"\\\n\s*", " ", text).splitlines() if line.startswith("    ")]
    return [shlex.split(line.partition("run_sweep.py ")[2], comments=True) for line in lines if "run_sweep.py " in line]


# The Ray cluster file


def test_ray_takes_the_cluster_file_with_its_own_defaults_filled_in() -> None:
    prepared = prepare_config(_ray_cluster())
    validate_config(prepared)
    assert prepared["available_node_types"]["gpu"]["min_workers"] == 0
    assert prepared["available_node_types"]["head"]["max_workers"] == 0


def test_a_misspelled_field_of_the_cluster_file_would_be_found() -> None:
    import jsonschema

    with pytest.raises(jsonschema.ValidationError, match="idle_timeout"):
        validate_config(prepare_config({**_ray_cluster(), "idle_timeout": 5}))


def test_the_cloud_machines_have_a_named_security_group_a_role_and_no_key() -> None:
    for name, kind in _ray_cluster()["available_node_types"].items():
        node = kind["node_config"]
        assert node["SecurityGroupIds"], name  # else Ray makes one that lets everybody reach SSH
        assert set(node["IamInstanceProfile"]) == {"Name"}
        assert node["MetadataOptions"]["HttpTokens"] == "required"
    workers = _ray_cluster()["available_node_types"]["gpu"]["node_config"]
    assert workers["InstanceMarketOptions"]["MarketType"] == "spot"
    assert "InstanceMarketOptions" not in _ray_cluster()["available_node_types"]["head"]["node_config"]


def test_the_cloud_head_trains_nothing_and_its_dashboard_stays_on_the_loopback() -> None:
    cluster = _ray_cluster()
    assert cluster["available_node_types"]["head"]["resources"] == {"CPU": 0}
    starts = [line for line in cluster["head_start_ray_commands"] if "ray start" in line]
    assert all("--dashboard-host=127.0.0.1" in line for line in starts)
    assert "--env=RAY_AUTH_MODE=token" in cluster["docker"]["run_options"]


# The Kubernetes file


@pytest.mark.parametrize("kind", ["NetworkPolicy", "ServiceAccount"])
def test_kubernetes_takes_what_stands_next_to_the_job(kind: str) -> None:
    kubernetes_validate.validate(_kubernetes()[kind], KUBERNETES, strict=True)


@pytest.mark.parametrize("group", ["head", "gpu"])
def test_kubernetes_takes_the_pods_of_the_job(group: str) -> None:
    template = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": group}, "template": _templates()[group]}
    kubernetes_validate.validate(template, KUBERNETES, strict=True)


def test_the_job_holds_the_fields_that_its_operator_knows() -> None:
    job = _kubernetes()["RayJob"]
    assert (job["apiVersion"], set(job)) == ("ray.io/v1", {"apiVersion", "kind", "metadata", "spec"})
    spec, cluster = job["spec"], job["spec"]["rayClusterSpec"]
    _assert_fields(spec, RAY_JOB)
    _assert_fields(cluster, RAY_CLUSTER)
    _assert_fields(cluster["headGroupSpec"], HEAD_GROUP)
    for group in cluster["workerGroupSpecs"]:
        _assert_fields(group, WORKER_GROUP)
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for params in (cluster["headGroupSpec"]["rayStartParams"], cluster["workerGroupSpecs"][0]["rayStartParams"]):
        assert all(isinstance(value, str) for value in params.values())
    assert spec["submissionMode"] == "SidecarMode"
    assert _templates()["head"]["spec"]["restartPolicy"] == "Never"  # SidecarMode refuses any other
    assert spec["shutdownAfterJobFinishes"] is True
    assert cluster["authOptions"] == {"mode": "token"}


def test_the_pods_get_all_that_they_ask_for_and_nothing_beyond() -> None:
    for container in _containers():
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert all(template["spec"]["securityContext"]["runAsNonRoot"] for template in _templates().values())


def test_only_the_sweeps_own_pods_and_the_operator_reach_ray() -> None:
    policy = _kubernetes()["NetworkPolicy"]["spec"]
    own = policy["podSelector"]
    assert policy["policyTypes"] == ["Ingress"]
    for template in _templates().values():
        assert own["matchLabels"].items() <= template["metadata"]["labels"].items()
    among_themselves, operator = policy["ingress"]
    assert among_themselves == {"from": [{"podSelector": own}]}
    assert set(operator["from"][0]) == {"namespaceSelector", "podSelector"}
    assert operator["ports"] == [{"protocol": "TCP", "port": 8265}]


def test_secrets_come_by_reference_and_only_the_head_gets_the_ones_that_only_it_needs() -> None:
    secrets = {}
    for group, template in _templates().items():
        (container,) = template["spec"]["containers"]
        assert "env" not in container
        secrets[group] = [source["secretRef"]["name"] for source in container["envFrom"]]
        assert template["spec"]["serviceAccountName"] == _kubernetes()["ServiceAccount"]["metadata"]["name"]
    assert secrets == {"head": ["sweep-storage", "sweep-wandb"], "gpu": ["sweep-storage"]}


# All of them


def test_every_example_names_the_versions_of_ray_that_the_constraints_pin() -> None:
    ray = _pinned("ray")
    assert _ray_cluster()["docker"]["image"] == f"rayproject/ray:{ray}-py311"
    assert _kubernetes()["RayJob"]["spec"]["rayClusterSpec"]["rayVersion"] == ray
    assert f"FROM rayproject/ray:{ray}-py311\n" in (CLUSTER / "Dockerfile").read_text()


def test_the_image_holds_every_package_of_the_command_line() -> None:
    copied = set(re.findall(r"^COPY \S+ (\w+) \1$", (CLUSTER / "Dockerfile").read_text(), re.MULTILINE))
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks", "examples"}
    assert packages == copied


@pytest.mark.parametrize("path", [*FILES, SECURITY], ids=lambda path: path.name)
def test_no_example_opens_a_port_to_the_world_or_holds_a_key(path: Path) -> None:
    text = path.read_text()
    for opened in (
        r"/0\b",
        r"\b0\.0\.0\.0\b",
        r"hostNetwork",
        r"hostPort",
        r"NodePort\b",
        r"LoadBalancer",
        r"Ingress\n",
    ):
        if path.suffix != ".md":
            assert not re.search(opened, text), opened
    assert not re.search(r"\b\d+\.\d+\.\d+\.\d+/0\b", text)
    assert not re.search(r"\b(AKIA|ASIA)[A-Z0-9]{12,}|-----BEGIN|\bghp_|\bsk-|\b[A-Za-z0-9/+]{40}\b", text)
    assert not re.search(r"(?i)(secret|password|token|api_?key)[a-z_]*\s*[=:]\s*['\"]?[A-Za-z0-9/+]{16,}", text)


@pytest.mark.parametrize("path", _pages(), ids=lambda path: path.name)
def test_every_command_of_the_pages_is_one_that_the_command_line_takes(path: Path) -> None:
    commands = _written_commands(path.read_text())
    assert commands or path == SECURITY
    for command in commands:
        _parse(command)


# The shell scripts


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
    _parse(rehearsal.calls("python")[0][1:])


def test_a_sweep_that_the_storage_has_not_is_started(rehearsal: Rehearsal) -> None:
    assert rehearsal.run(*ASKED, TEST_RESUME_CODE="2")[0] == 0
    start = rehearsal.calls("python")[1]
    assert start == ["run_sweep.py", "--name", "lj", "--data", "/speech", "--trials", "32", *CLUSTER_OF]
    _parse(start[1:])


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
        _parse(words[1:])
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


def test_a_slurm_job_reads_secrets_only_from_a_file_that_nobody_else_can_read(rehearsal: Rehearsal) -> None:
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
    entrypoint = _kubernetes()["RayJob"]["spec"]["entrypoint"]
    assert re.fullmatch(r"[\w/.:\- ]+", entrypoint)  # the operator hands it through two shells
    bash, script, name, address, storage, *options = entrypoint.split()
    assert (bash, Path(script).name, address) == ("bash", SCRIPTS[0].name, "auto")
    _parse(["--name", name, *options, "--address", address, "--storage", storage])
