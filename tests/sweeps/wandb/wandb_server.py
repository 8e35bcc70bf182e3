"""The part of W&B's protocol that uploads and publishing need, on the loopback: GraphQL, file streams, uploads."""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ENTITY = "tester"
KEY = "k" * 40


@dataclass
class Call:
    """One GraphQL call."""

    name: str
    variables: dict[str, Any]


@dataclass
class State:
    """What the server was told. `refuse` holds the ids of runs that it does not take."""

    calls: list[Call] = field(default_factory=list)
    history: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    summaries: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    finished: dict[str, int] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    refuse: set[str] = field(default_factory=set)
    url: str = ""

    def named(self, name: str) -> list[dict[str, Any]]:
        """The variables of all calls of that name."""
        return [call.variables for call in self.calls if call.name == name]

    def rows(self, run_id: str) -> list[dict[str, Any]]:
        """A run's history as the server holds it: later lines of one number replace earlier ones."""
        lines = self.history.get(run_id, {})
        return [lines[number] for number in sorted(lines)]

    def answer(self, name: str, given: dict[str, Any]) -> dict[str, Any]:
        """The data of one GraphQL call."""
        make = getattr(self, f"_{name}", None)
        if make is None:
            self.unknown.append(name)
            return {}
        answer: dict[str, Any] = make(given)
        return answer

    def _Viewer(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - the protocol's names
        user = {"id": "u1", "entity": ENTITY, "username": ENTITY, "email": "", "admin": False, "flags": "{}"}
        return {"viewer": user | {"name": ENTITY, "teams": {"edges": []}, "apiKeys": {"edges": []}}}

    def _GetDefaultEntity(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"viewer": {"id": "u1", "entity": ENTITY}}

    def _ServerFeaturesQuery(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"serverInfo": {"features": []}}

    def _RunResumeStatus(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        run_id = given["name"]
        if run_id not in self.runs:
            return {"model": {"id": "p1", "name": given["project"], "entity": _entity(), "bucket": None}}
        rows = self.rows(run_id)
        bucket = {
            "id": f"bucket-{run_id}",
            "name": run_id,
            "displayName": self.runs[run_id]["displayName"],
            "summaryMetrics": json.dumps(self.summaries.get(run_id, {})),
            "logLineCount": 0,
            "historyLineCount": len(rows),
            "eventsLineCount": 0,
            "historyTail": json.dumps([json.dumps(row) for row in rows[-1:]]),
            "eventsTail": "[]",
            "config": self.runs[run_id]["config"],
            "tags": [],
            "notes": None,
            "wandbConfig": "{}",
        }
        return {"model": {"id": "p1", "name": given["project"], "entity": _entity(), "bucket": bucket}}

    def _UpsertBucket(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        run_id = given["name"]
        inserted = run_id not in self.runs
        self.runs[run_id] = {
            **self.runs.get(run_id, {}),
            **{key: value for key, value in given.items() if value is not None},
        }
        bucket = {
            "id": f"bucket-{run_id}",
            "name": run_id,
            "displayName": given["displayName"],
            "description": None,
            "config": self.runs[run_id].get("config"),
            "sweepName": given["sweep"],
            "historyLineCount": len(self.history.get(run_id, {})),
            "project": {"id": "p1", "name": given["project"], "entity": _entity()},
        }
        return {"upsertBucket": {"bucket": bucket, "inserted": inserted}}

    def _CreateRunFiles(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        files = [{"name": name, "uploadUrl": f"{self.url}/upload/{given['run']}/{name}"} for name in given["files"]]
        return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}

    def _ArtifactType(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"project": {"artifact": None}}

    def _CreateArtifact(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name = given["input"]["artifactCollectionName"]
        return {
            "createArtifact": {
                "artifact": {"id": f"artifact-{name}", "state": "PENDING", "artifactSequence": {"latestArtifact": None}}
            }
        }

    def _CreateArtifactManifest(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        file = {"id": "f1", "name": given["name"], "displayName": given["name"], "uploadHeaders": []}
        file["uploadUrl"] = f"{self.url}/upload/{given['artifactID']}/manifest.json"
        return {"createArtifactManifest": {"artifactManifest": {"id": f"manifest-{given['artifactID']}", "file": file}}}

    def _UpdateArtifactManifest(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        file = {"id": "f1", "name": "wandb_manifest.json", "displayName": "wandb_manifest.json", "uploadHeaders": []}
        file["uploadUrl"] = f"{self.url}/upload/{given['artifactManifestID']}/manifest.json"
        return {"updateArtifactManifest": {"artifactManifest": {"id": given["artifactManifestID"], "file": file}}}

    def _CreateArtifactFiles(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        edges = []
        for spec in given["input"]["artifactFiles"]:
            url = f"{self.url}/upload/{spec['artifactID']}/{spec['name']}"
            node = {"id": spec["name"], "name": spec["name"], "displayName": spec["name"], "uploadUrl": url}
            node |= {"uploadHeaders": [], "artifact": {"id": spec["artifactID"]}, "storagePath": spec["name"]}
            edges.append({"node": {**node, "uploadMultipartUrls": None}})
        return {"createArtifactFiles": {"files": {"edges": edges}}}

    def _CommitArtifact(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"commitArtifact": {"artifact": {"id": given["artifactID"], "digest": "d"}}}

    def _UpsertSweep(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        project = {"id": "p1", "name": given["projectName"], "entity": _entity()}
        return {"upsertSweep": {"sweep": {"name": "sw33p", "project": project}, "configValidationWarnings": []}}

    def _UpsertView2(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"upsertView": {"view": {"id": "v1", "name": given["name"]}, "inserted": True}}


def _entity() -> dict[str, str]:
    return {"id": "e1", "name": ENTITY}


@contextmanager
def wandb_server() -> Iterator[State]:
    """A server on 127.0.0.1, and what it hears."""
    state = State()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *arguments: Any) -> None:
            return

        def do_POST(self) -> None:
            content = self._content()
            if self.path == "/graphql":
                self._graphql(json.loads(content))
            elif self.path.endswith("/file_stream"):
                _take_stream(state, self.path.split("/")[-2], json.loads(content))
                self._reply(200, {})
            else:
                self._reply(404, {})

        def do_PUT(self) -> None:
            state.uploads[self.path.removeprefix("/upload/")] = self._content()
            self._reply(200, {})

        def do_GET(self) -> None:
            self._reply(404, {})

        do_HEAD = do_GET  # noqa: N815

        def _graphql(self, given: dict[str, Any]) -> None:
            found = re.search(r"(?:query|mutation)\s+(\w+)", given["query"])
            name, variables = found[1] if found else "", given.get("variables") or {}
            state.calls.append(Call(name, variables))
            if variables.get("name") in state.refuse:
                self._reply(403, {"errors": [{"message": "not yours"}]})
                return
            self._reply(200, {"data": state.answer(name, variables)})

        def _content(self) -> bytes:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return gzip.decompress(content) if self.headers.get("Content-Encoding") == "gzip" else content

        def _reply(self, code: int, body: dict[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:  # a client that hangs up is no news
            return

    server = Server(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _take_stream(state: State, run_id: str, given: dict[str, Any]) -> None:
    files = given.get("files") or {}
    history = files.get("wandb-history.jsonl")
    if history is not None:
        lines = state.history.setdefault(run_id, {})
        for number, line in enumerate(history["content"], history["offset"]):
            lines[number] = json.loads(line)
    summary = files.get("wandb-summary.json")
    if summary is not None:
        state.summaries[run_id] = json.loads(summary["content"][-1])
    if given.get("complete"):
        state.finished[run_id] = given.get("exitcode", 0)
