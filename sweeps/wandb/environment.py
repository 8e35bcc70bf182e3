"""What W&B's process gets to know of this one's environment: a short list, so that nothing else can reach a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

PLAIN = (
    "APPDATA",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LD_LIBRARY_PATH",
    "LOCALAPPDATA",
    "PATH",
    "PYTHONHOME",
    "PYTHONPATH",
    "SYSTEMDRIVE",
    "SYSTEMROOT",
    "TEMP",
    "TMP",
    "TMPDIR",
    "TZ",
    "USERPROFILE",
    "WANDB_CONFIG_DIR",
)
NETWORK = (
    "ALL_PROXY",
    "CURL_CA_BUNDLE",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NETRC",
    "NO_PROXY",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "WANDB_API_KEY",
    "WANDB_APP_URL",
    "WANDB_BASE_URL",
    "WANDB_CREDENTIALS_FILE",
    "WANDB_HTTP_TIMEOUT",
    "WANDB_IDENTITY_TOKEN_FILE",
    "WANDB_INSECURE_DISABLE_SSL",
)
PACKAGES = Path(__file__).resolve().parent.parent.parent


def environment(environ: Mapping[str, str], wandb_folder: Path, cache: Path, *, online: bool) -> dict[str, str]:
    """The environment of W&B's process; offline it has no key and no proxy to give away.

    Variables such as WANDB_RUN_ID or WANDB_SWEEP_ID, which would act on every run alike, are left out too.
    """
    kept = {*PLAIN, *NETWORK} if online else {*PLAIN}
    found = {name: value for name, value in environ.items() if name.upper() in kept}
    path = [str(PACKAGES), *filter(None, [found.get("PYTHONPATH")])]
    return found | {
        "PYTHONPATH": os.pathsep.join(path),
        "WANDB_CACHE_DIR": str(cache),
        "WANDB_DATA_DIR": str(wandb_folder / "data"),
        "WANDB_ERROR_REPORTING": "false",
        "WANDB_PROGRAM": "run_sweep.py",  # else uploads name the program by its path on this machine
    }
