"""Exports are written whole or not at all, and only where the verdict and the person allow it."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from xtts.export import (
    VERDICTS,
    ExportError,
    Provenance,
    TunedConfig,
    export_config,
    exporter_named,
    read_template,
    refusal,
    write_export,
)
from xtts.export.targets.coqui_vits import PROVENANCE_KEY


@contextmanager
def no_room_for_files() -> Iterator[None]:
    """Let every write of this process fail as on a full disk (EFBIG; Python ignores the signal)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def without_roots_rights() -> Iterator[None]:
    """Go on as an ordinary user where the tests run as root, who may read and write everything."""
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_the_text_is_written_byte_for_byte_with_the_mode_of_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    old_mask = os.umask(0o027)
    try:
        write_export("a: 1\r\nb: صدا\n", path, force=False)
    finally:
        os.umask(old_mask)
    assert path.read_bytes() == "a: 1\r\nb: صدا\n".encode()
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_file_is_not_overwritten_without_force(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("mine")
    with pytest.raises(ExportError, match=r"config\.yaml exists; .* --force"):
        write_export("theirs", path, force=False)
    assert path.read_text() == "mine"


def test_force_replaces_a_file_keeps_its_mode_and_follows_a_link(tmp_path: Path) -> None:
    path, link = tmp_path / "config.yaml", tmp_path / "link.yaml"
    path.write_text("old")
    path.chmod(0o600)
    link.symlink_to(path)
    write_export("new", link, force=True)
    assert link.is_symlink()
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("old")
    with no_room_for_files(), pytest.raises(ExportError, match="File too large; nothing was changed"):
        write_export("longer than four bytes", path, force=True)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (".", "is a folder"),
        ("absent/config.yaml", "there is no folder"),
        ("file/config.yaml", "cannot write .*file"),
        ("x" * 300, "cannot write .*too long"),
        ("a\0b", "cannot write"),
        ("/proc/self/config.yaml", "cannot write /proc/self/config.yaml"),
    ],
)
def test_a_place_that_cannot_be_written_is_said_in_one_line(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ExportError, match=message) as refused:
        write_export("text", tmp_path / name, force=True)
    assert "\n" not in str(refused.value)


def test_text_that_is_no_unicode_is_not_half_written(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="not Unicode"):
        write_export("a\ud800", tmp_path / "config.json", force=False)
    assert not list(tmp_path.iterdir())


def test_a_template_that_cannot_be_read_is_said_in_one_line(tmp_path: Path) -> None:
    latin, large, pipe = tmp_path / "latin.yaml", tmp_path / "large.yaml", tmp_path / "pipe"
    latin.write_bytes("größe: 1".encode("latin-1"))
    large.write_bytes(b"#" * 3000)
    os.mkfifo(pipe)
    for path, message in (
        (tmp_path / "absent.yaml", "No such file"),
        (tmp_path, "is not a file"),
        (pipe, "is not a file"),
        (latin, r"not UTF-8 text \(byte 2\)"),
        (large, "larger than 2 KiB"),
        (tmp_path / "a\0b", "cannot read the template"),
    ):
        with pytest.raises(ExportError, match=message):
            read_template(path, 2048)


def test_missing_permissions_are_said_in_one_line(tmp_path: Path) -> None:
    secret, folder = tmp_path / "secret.yaml", tmp_path / "locked"
    secret.write_text("a: 1")
    secret.chmod(0)
    folder.mkdir(mode=0o500)
    with without_roots_rights():
        with pytest.raises(ExportError, match="Permission denied"):
            read_template(secret, 2048)
        with pytest.raises(ExportError, match="Permission denied; nothing was changed"):
            write_export("text", folder / "config.yaml", force=False)


def test_only_a_verdict_against_the_config_refuses_it() -> None:
    assert [word for word in VERDICTS if refusal(word, unproven=False)] == ["no difference", "worse", "undecided"]
    assert not [word for word in VERDICTS if refusal(word, unproven=True)]
    assert not [word for word in VERDICTS if refusal(word, unproven=False, is_default=True)]
    assert "--unproven" in str(refusal("worse", unproven=False))
    assert "none of better" in str(refusal("splendid", unproven=True))


@pytest.mark.parametrize("target", ["native", "myxtts", "coqui-vits"])
def test_every_target_is_written_and_names_the_verdict(
    tmp_path: Path, tuned: TunedConfig, provenance: Provenance, target: str
) -> None:
    base = tmp_path / "base.json"
    base.write_text(
        json.dumps(
            {
                "model": "vits",
                "audio": {},
                "model_args": {},
                "grad_clip": [1000, 1000],
                "mel_loss_alpha": 45.0,
                "kl_loss_alpha": 1.0,
            }
        )
    )
    output = tmp_path / "out"
    unconfirmed = dataclasses.replace(provenance, verdict="unconfirmed", seeds=(), interval=None)
    export_config(target, tuned, unconfirmed, output, template=base if target == "coqui-vits" else None)
    text = output.read_text()
    assert "verdict: unconfirmed" in text
    loaded = yaml.safe_load(text)
    assert (PROVENANCE_KEY if target == "coqui-vits" else "training") in loaded


def test_a_users_file_is_updated_in_place_and_what_was_added_is_told(
    tmp_path: Path, tuned: TunedConfig, provenance: Provenance
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("training:\n  mel_loss_weight: 35.0  # old\n")
    lines = export_config("myxtts", tuned, provenance, path, template=path, force=True)
    assert lines[0] == (
        "Missing in the template, added: training.kl_loss_weight, training.gradient_clip_norm, "
        "training.use_adaptive_loss_weights."
    )
    assert lines[1].startswith("Missing in the template, so that MyXTTS's defaults hold: data.")
    assert "  mel_loss_weight: 3.5  # old\n" in path.read_text()


def test_a_name_that_ends_in_py_gets_the_override(tmp_path: Path, tuned: TunedConfig, provenance: Provenance) -> None:
    output = tmp_path / "override.py"
    export_config("myxtts", tuned, provenance, output)
    assert "config.training.mel_loss_weight = 3.5\n" in output.read_text()
    with pytest.raises(ExportError, match="leave the template out"):
        export_config("myxtts", tuned, provenance, output, template=output, force=True)


def test_a_refused_verdict_or_template_writes_nothing(
    tmp_path: Path, tuned: TunedConfig, provenance: Provenance
) -> None:
    output, broken = tmp_path / "out.yaml", tmp_path / "broken.yaml"
    broken.write_text("- a list\n")
    worse = dataclasses.replace(provenance, verdict="worse")
    with pytest.raises(ExportError, match="worse than the default"):
        export_config("native", tuned, worse, output)
    with pytest.raises(ExportError, match="holds a list"):
        export_config("myxtts", tuned, provenance, output, template=broken)
    with pytest.raises(ExportError, match="needs a complete base file"):
        export_config("coqui-vits", tuned, provenance, output)
    with pytest.raises(ExportError, match="leave the template out"):
        export_config("native", tuned, provenance, output, template=broken)
    assert not output.exists()
    export_config("native", tuned, worse, output, unproven=True)
    assert "unproven" in output.read_text()


def test_an_unknown_target_is_an_error_with_a_hint() -> None:
    with pytest.raises(ExportError, match="did you mean myxtts"):
        exporter_named("my-xtts")
    with pytest.raises(ExportError, match="choose one of coqui-vits, myxtts, native, template"):
        exporter_named("qqqq")
