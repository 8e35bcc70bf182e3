"""W&B's own switches in environment and settings file, read without wandb or the network, and the environment of the
processes in which wandb runs."""

from __future__ import annotations

import configparser
import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from sweeps.common.errors import RequestError

Mode = Literal["online", "offline", "off"]

SERVERS = ("api.forge.coreweave.com", "api.wandb.ai")  # where wandb goes when no WANDB_BASE_URL says otherwise
MODES: Mapping[str, Mode] = {
    "online": "online",
    "run": "online",
    "shared": "online",
    "offline": "offline",
    "dryrun": "offline",
    "disabled": "off",
}
"""The words of WANDB_MODE."""
YES, NO = frozenset({"1", "true", "t", "yes", "y", "on"}), frozenset({"", "0", "false", "f", "no", "n", "off"})
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


def choose_mode(asked: Mode | None, environ: Mapping[str, str], home: Path | None = None) -> Mode:
    """Whether W&B is used online, offline or not at all.

    What was asked for; else WANDB_DISABLED, WANDB_MODE (in any case) and the mode of W&B's settings file, in this
    order; else online. Without a login online becomes offline, unless it was asked for.

    Raises:
        RequestError: online was asked for without a login, or a switch has a value that W&B does not know.
    """
    login = logged_in(environ, home)
    if asked == "online" and not login:
        raise RequestError(
            "--wandb online: there is no W&B login here; run `wandb login`, set WANDB_API_KEY, or use --wandb offline"
        )
    if asked is not None:
        return asked
    disabled = environ.get("WANDB_DISABLED", "").strip().lower()
    if disabled not in YES | NO:
        raise RequestError(f"WANDB_DISABLED={environ['WANDB_DISABLED']}: expected true or false")
    if disabled in YES:
        return "off"
    for source, given in (
        ("WANDB_MODE=", environ.get("WANDB_MODE")),
        (f"{_settings_file(environ, home)}: mode = ", _settings(environ, home).get("mode")),
    ):
        word = (given or "").strip().lower()
        if word and word not in MODES:
            raise RequestError(f"{source}{given}: expected {', '.join(MODES)}; or give --wandb offline|online|off")
        if word:
            return "offline" if MODES[word] == "online" and not login else MODES[word]
    return "online" if login else "offline"


def project_and_entity(default: str, environ: Mapping[str, str], home: Path | None = None) -> tuple[str, str | None]:
    """Where runs belong: WANDB_PROJECT and WANDB_ENTITY, else W&B's settings file, else `default` and no entity."""
    settings = _settings(environ, home)
    project, entity = (
        environ.get(f"WANDB_{name.upper()}", "").strip() or settings.get(name, "").strip() or None
        for name in ("project", "entity")
    )
    return project or default, entity


def logged_in(environ: Mapping[str, str], home: Path | None = None) -> bool:
    """Whether wandb would find credentials for its server: in the environment, its settings file or netrc."""
    if any(environ.get(name, "").strip() for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")):
        return True
    settings = _settings(environ, home)
    if settings.get("api_key"):
        return True
    server = environ.get("WANDB_BASE_URL") or settings.get("base_url")
    return _in_netrc([urlsplit(server).netloc] if server else SERVERS, environ, home)


def _settings_file(environ: Mapping[str, str], home: Path | None) -> Path:
    return _expanded(environ.get("WANDB_CONFIG_DIR") or str(_home(home) / ".config" / "wandb")) / "settings"


def _settings(environ: Mapping[str, str], home: Path | None) -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(_settings_file(environ, home), encoding="utf-8")
        return dict(parser["default"])
    except (KeyError, OSError, UnicodeDecodeError, configparser.Error):
        return {}


def _in_netrc(servers: tuple[str, ...] | list[str], environ: Mapping[str, str], home: Path | None) -> bool:
    named = environ.get("NETRC")
    for path in [_expanded(named)] if named else [_home(home) / ".netrc", _home(home) / "_netrc"]:
        try:
            found = netrc.netrc(str(path))
        except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
            continue
        return any((found.authenticators(server) or (None, None, None))[2] for server in servers)
    return False


def _home(home: Path | None) -> Path:
    return _expanded("~") if home is None else home


def _expanded(path: str) -> Path:
    return Path(os.path.expanduser(path))  # noqa: PTH111 - unlike Path.expanduser it does not raise where there is no home
