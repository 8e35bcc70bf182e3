"""Whether W&B is used online, offline or not at all; found out without the network and without importing wandb."""

from __future__ import annotations

import configparser
import netrc
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
"""W&B's own words for its mode."""


def choose_mode(asked: Mode | None, environ: Mapping[str, str], home: Path | None = None) -> Mode:
    """What was asked for; else what W&B's own settings say; else online if logged in. RequestError without a login."""
    if asked == "online" and not logged_in(environ, home):
        raise RequestError(
            "--wandb online: there is no W&B login here; run `wandb login`, set WANDB_API_KEY, or use --wandb offline"
        )
    if asked is not None:
        return asked
    said = environ.get("WANDB_MODE") or _settings(environ, home).get("mode")
    login = logged_in(environ, home)
    mode = MODES.get(said or "", "online" if login else "offline")
    return mode if login or mode != "online" else "offline"


def logged_in(environ: Mapping[str, str], home: Path | None = None) -> bool:
    """Whether wandb would find credentials for its server: in the environment, its settings file or netrc."""
    if any(environ.get(name, "").strip() for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")):
        return True
    settings = _settings(environ, home)
    if settings.get("api_key"):
        return True
    server = environ.get("WANDB_BASE_URL") or settings.get("base_url")
    return _in_netrc([urlsplit(server).netloc] if server else SERVERS, environ, home)


def _settings(environ: Mapping[str, str], home: Path | None) -> dict[str, str]:
    folder = Path(environ.get("WANDB_CONFIG_DIR") or _home(home) / ".config" / "wandb").expanduser()
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(folder / "settings", encoding="utf-8")
        return dict(parser["default"])
    except (KeyError, OSError, UnicodeDecodeError, configparser.Error):
        return {}


def _in_netrc(servers: tuple[str, ...] | list[str], environ: Mapping[str, str], home: Path | None) -> bool:
    named = environ.get("NETRC")
    for path in [Path(named).expanduser()] if named else [_home(home) / ".netrc", _home(home) / "_netrc"]:
        try:
            found = netrc.netrc(str(path))
        except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
            continue
        return any((found.authenticators(server) or (None, None, None))[2] for server in servers)
    return False


def _home(home: Path | None) -> Path:
    return Path.home() if home is None else home
