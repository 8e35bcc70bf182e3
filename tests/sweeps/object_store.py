"""An S3 server on loopback (moto's) that can be slow, refuse, and be asked what it was asked for."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


class ObjectStore:
    """A WSGI application around moto's; `fails(method, path)` and `delay` act on every request from the next one on."""

    def __init__(self) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app

        self._app = DomainDispatcherApplication(create_backend_app)
        self.fails: Callable[[str, str], bool] = lambda method, path: False
        self.delay = 0.0
        self.asked: Counter[tuple[str, str]] = Counter()
        self.refused = 0
        self.port = 0
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        with self._lock:
            self.asked[method, path] += 1
            refuses = self.fails(method, path)
            self.refused += refuses
        time.sleep(self.delay)
        if refuses:
            start_response("503 Slow Down", [("Content-Type", "text/plain"), ("Content-Length", "0")])
            return [b""]
        answer: Iterable[bytes] = self._app(environ, start_response)
        return answer

    def uri(self, folder: str = "sweeps") -> str:
        """An address in the bucket, as --storage takes it."""
        return f"s3://bucket/{folder}?scheme=http&endpoint_override=127.0.0.1:{self.port}&region=us-east-1"

    def gets(self, pattern: str) -> dict[str, int]:
        """How often each object whose path matches was read."""
        return {path: n for (method, path), n in self.asked.items() if method == "GET" and re.search(pattern, path)}


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """The server with one empty bucket, and keys for it in nobody's environment but that of who asks with KEYS."""
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_request(self, *about: Any) -> None:
            """Nothing."""

    store = ObjectStore()
    server = make_server("127.0.0.1", 0, store, threaded=True, request_handler=Quiet)
    store.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        import urllib.request

        made = urllib.request.Request(f"http://127.0.0.1:{store.port}/bucket", method="PUT")
        urllib.request.urlopen(made, timeout=10).close()
        yield store
    finally:
        server.shutdown()
        thread.join()
