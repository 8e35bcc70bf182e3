"""The cluster examples: valid by the schemas there are, rehearsed with stand-ins for a cluster, closed to the world."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from tests import ROOT
from tests.cluster_files import CLUSTER, kubernetes
from xtts_sweep.main import parse

SECURITY = ROOT / "docs" / "security.md"


FILES = sorted(path for path in CLUSTER.iterdir() if path.is_file())


KUBERNETES = "1.33"


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


def _templates() -> dict[str, dict[str, Any]]:
    cluster = kubernetes()["RayJob"]["spec"]["rayClusterSpec"]
    return {
        "head": cluster["headGroupSpec"]["template"],
        **{group["groupName"]: group["template"] for group in cluster["workerGroupSpecs"]},
    }


def _containers() -> Iterator[dict[str, Any]]:
    for template in _templates().values():
        yield from template["spec"]["containers"]


def _assert_fields(given: Mapping[str, Any], known: Mapping[str, type]) -> None:
    assert {name: type(value) for name, value in given.items()} == dict(known)


def _pages() -> list[Path]:
    return [path for path in (*FILES, SECURITY) if path.suffix == ".md"]


def _written_commands(text: str) -> list[list[str]]:
    """The arguments of each complete `run_sweep.py ...` of a page's indented lines."""
    lines = [line.strip() for line in re.sub(r"\\\n\s*", " ", text).splitlines() if line.startswith("    ")]
    return [shlex.split(line.partition("run_sweep.py ")[2], comments=True) for line in lines if "run_sweep.py " in line]


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


@pytest.mark.parametrize("kind", ["NetworkPolicy", "ServiceAccount"])
def test_kubernetes_takes_what_stands_next_to_the_job(kind: str) -> None:
    kubernetes_validate.validate(kubernetes()[kind], KUBERNETES, strict=True)


@pytest.mark.parametrize("group", ["head", "gpu"])
def test_kubernetes_takes_the_pods_of_the_job(group: str) -> None:
    template = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": group}, "template": _templates()[group]}
    kubernetes_validate.validate(template, KUBERNETES, strict=True)


def test_the_job_holds_the_fields_that_its_operator_knows() -> None:
    job = kubernetes()["RayJob"]
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
    policy = kubernetes()["NetworkPolicy"]["spec"]
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
        assert template["spec"]["serviceAccountName"] == kubernetes()["ServiceAccount"]["metadata"]["name"]
    assert secrets == {"head": ["sweep-storage", "sweep-wandb"], "gpu": ["sweep-storage"]}


def test_every_example_names_the_versions_of_ray_that_the_constraints_pin() -> None:
    ray = _pinned("ray")
    assert _ray_cluster()["docker"]["image"] == f"rayproject/ray:{ray}-py311"
    assert kubernetes()["RayJob"]["spec"]["rayClusterSpec"]["rayVersion"] == ray
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
        parse(command)
