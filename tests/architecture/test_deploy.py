"""What stands in deploy/ is accepted by the tools that read it, and fits together."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from argosy.certificates.nats_configuration import Subjects
from argosy.cli.main import program as command_line
from argosy.cli.verbs import VERBS

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
CONTAINERFILE = DEPLOY / "container" / "Containerfile"
# Ten times systemd's figure, whose scale ends at 10: "OK" is below 4.9.
MOST_EXPOSURE = 30
# The newest and an old version that many still run.
KUBERNETES = ("1.37", "1.29")


def by_name(path: Path) -> str:
    return path.name


def wheels_program(name: str) -> str:
    """A program that a development dependency brings."""
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    found = shutil.which(name, path=path)
    if found is None:
        pytest.skip(f"needs {name}: the wheel of the same name")
    return found


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def pods() -> Iterator[dict[str, Any]]:
    for path in MANIFESTS:
        for document in documents(path):
            if document["kind"] == "StatefulSet":
                yield document["spec"]["template"]


def commands() -> Iterator[Any]:
    """The command lines of argosy in the units and manifests, each with the file's name."""
    for unit in UNITS:
        text = unit.read_text(encoding="utf-8")
        variables = dict(re.findall(r"^Environment=(\w+)=(.*)$", text, re.MULTILINE))
        (line,) = re.findall(r"^ExecStart=\S+/argosy (.*)$", text, re.MULTILINE)
        words = [variables.get(word.strip("${}"), word) for word in line.split()]
        yield pytest.param(words, id=unit.name)
    for pod in pods():
        (container,) = pod["spec"]["containers"]
        yield pytest.param(container["args"], id=pod["metadata"]["labels"]["app.kubernetes.io/component"])


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A root directory with systemd's own targets, the units, and the program where they look for it."""
    units = tmp_path / "etc/systemd/system"
    targets = tmp_path / "usr/lib/systemd/system"
    program = tmp_path / "opt/argosy/bin/argosy"
    for directory in (units, targets, program.parent):
        directory.mkdir(parents=True)
    for unit in UNITS:
        shutil.copy(unit, units)
    for target in [*Path("/lib/systemd/system").glob("*.target"), *Path("/lib/systemd/system").glob("*.slice")]:
        shutil.copy(target, targets, follow_symlinks=True)
    program.write_text('#!/bin/sh\nexec python3 -m argosy "$@"\n')
    program.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize("unit", UNITS, ids=by_name)
def test_systemd_accepts_the_unit(unit: Path, installed: Path, program: Callable[[str], str]) -> None:
    """Without a word: an unknown key is a warning to systemd, and a hole in the hardening to us."""
    command = [program("systemd-analyze"), "verify", "--man=no", f"--root={installed}", unit.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=by_name)
def test_the_unit_has_few_rights(unit: Path, installed: Path, program: Callable[[str], str]) -> None:
    command = [program("systemd-analyze"), "security", "--no-pager", "--offline=true", f"--root={installed}"]
    done = subprocess.run(
        [*command, f"--threshold={MOST_EXPOSURE}", unit.name], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("words", list(commands()))
def test_the_program_understands_the_command(words: list[str]) -> None:
    verb, *arguments = words
    if verb not in VERBS:
        pytest.skip(f"argosy {verb} is not built yet")
    with click.Context(command_line) as context:
        command = command_line.get_command(context, verb)
        assert command is not None
        command.make_context(verb, arguments, parent=context)


def test_a_linter_accepts_the_containerfile() -> None:
    done = subprocess.run(
        [wheels_program("hadolint"), "--no-color", CONTAINERFILE], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_image_is_built_from_files_that_exist_and_are_sent() -> None:
    sent = (CONTAINERFILE.with_name("Containerfile.dockerignore")).read_text(encoding="utf-8").splitlines()
    copied = [
        word
        for line in CONTAINERFILE.read_text(encoding="utf-8").splitlines()
        if line.startswith("COPY ") and "--from=" not in line
        for word in line.split()[1:-1]
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    hook = project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]["path"]
    needed = {"pyproject.toml", "src", hook, project["project"]["readme"], *project["project"]["license-files"]}
    assert needed <= set(copied)
    assert [name for name in copied if not (ROOT / name).exists() or f"!{name}" not in sent] == []


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("manifest", [path for path in MANIFESTS if path.name != "keda.yaml"], ids=by_name)
def test_the_schemas_of_kubernetes_accept_the_manifest(manifest: Path, version: str) -> None:
    """Strictly: a key that the schema does not know is an error."""
    command = [wheels_program("kubernetes-validate"), "--strict", "-k", version, str(manifest)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert said.count(" passed for resource ") == len(documents(manifest)), said


def test_the_scaler_names_what_is_there() -> None:
    """KEDA's schema comes with KEDA alone: these are the fields that its documentation asks for."""
    (scaler,) = documents(DEPLOY / "kubernetes" / "keda.yaml")
    (proxy,) = documents(DEPLOY / "kubernetes" / "proxy.yaml")
    assert (scaler["apiVersion"], scaler["kind"]) == ("keda.sh/v1alpha1", "ScaledObject")
    target = scaler["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == (proxy["kind"], proxy["metadata"]["name"])
    (trigger,) = scaler["spec"]["triggers"]
    assert trigger["type"] == "metrics-api"
    assert set(trigger["metadata"]) == {"url", "valueLocation", "targetValue"}
    assert f'"{Subjects().work_stream}"' in trigger["metadata"]["valueLocation"]
    arguments = proxy["spec"]["template"]["spec"]["containers"][0]["args"]
    assert trigger["metadata"]["targetValue"] == arguments[arguments.index("--workers") + 1]


def test_a_policy_covers_each_pod_and_lets_nobody_in_to_a_proxy() -> None:
    policies = documents(DEPLOY / "kubernetes" / "network-policy.yaml")
    selected = [policy["spec"]["podSelector"]["matchLabels"] for policy in policies]
    assert sorted(map(str, selected)) == sorted(str(pod["metadata"]["labels"]) for pod in pods())
    rules = {policy["metadata"]["name"]: policy["spec"].get("ingress", []) for policy in policies}
    assert rules["argosy-proxy"] == []
    assert [port["port"] for rule in rules["argosy-master"] for port in rule["ports"]] == ["cluster"]


def test_a_pod_may_read_and_nothing_else() -> None:
    for pod in pods():
        (container,) = pod["spec"]["containers"]
        rights = container["securityContext"]
        assert rights["capabilities"] == {"drop": ["ALL"], "add": ["DAC_READ_SEARCH"]}
        assert not rights["allowPrivilegeEscalation"]
        assert rights["readOnlyRootFilesystem"]
        mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
        assert all(
            mounts[volume["name"]].get("readOnly") for volume in pod["spec"]["volumes"] if "emptyDir" not in volume
        )


def test_keys_are_for_their_owner_alone() -> None:
    secrets = [volume["secret"] for pod in pods() for volume in pod["spec"]["volumes"] if "secret" in volume]
    assert secrets
    assert {secret["defaultMode"] for secret in secrets} == {0o400}
