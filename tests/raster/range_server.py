"""A web server that answers ranges, in a process of its own: GDAL may ask while it holds Python's lock.

``python range_server.py FOLDER LOG`` prints its port and appends each name that it is asked for to LOG.
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class RangeHandler(BaseHTTPRequestHandler):
    """Serves the files of ``folder``, whole or by range, whatever the query."""

    folder = Path()
    log = Path()

    def do_HEAD(self):
        self._answer(send_body=False)

    def do_GET(self):
        self._answer(send_body=True)

    def _answer(self, *, send_body: bool) -> None:
        name = self.path.lstrip("/").partition("?")[0]
        with self.log.open("a") as log:
            log.write(f"{name}\n")
        path = self.folder / name
        if not path.is_file():
            self.send_error(404)
            return
        data, wanted = path.read_bytes(), self.headers.get("Range")
        first, last = 0, len(data) - 1
        if wanted:
            start, _, stop = wanted.removeprefix("bytes=").partition("-")
            first, last = int(start), min(last, int(stop or last))
        body = data[first : last + 1]
        self.send_response(206 if wanted else 200)
        self.send_header("Accept-Ranges", "bytes")
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if send_body:
            self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    RangeHandler.folder, RangeHandler.log = map(Path, sys.argv[1:])
    server = ThreadingHTTPServer(("127.0.0.1", 0), RangeHandler)
    print(server.server_port, flush=True)
    server.serve_forever()
