"""Rasters behind a web address, read by ranges (a server on this machine)."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from rasters import scene, write_raster

from cropseg_geo.errors import InputError
from cropseg_geo.grid import Window
from cropseg_geo.raster.info import inspect_raster
from cropseg_geo.raster.source import GdalSource, close_handle


class RangeHandler(BaseHTTPRequestHandler):
    """Serves the files of ``folder``, whole or by range."""

    folder = Path()

    def do_HEAD(self):
        self._answer(send_body=False)

    def do_GET(self):
        self._answer(send_body=True)

    def _answer(self, *, send_body: bool) -> None:
        path = self.folder / self.path.lstrip("/")
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


@pytest.fixture
def address(tmp_path):
    handler = type("Handler", (RangeHandler,), {"folder": tmp_path})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    close_handle()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("prefix", ["/vsicurl/", ""], ids=["vsicurl", "plain address"])
def test_a_raster_behind_an_address_reads_like_a_file(tmp_path, address, prefix):
    values = scene(300, 400)
    write_raster(tmp_path / "field.tif", values, tiled=True, blockxsize=128, blockysize=128)
    info = inspect_raster(f"{prefix}{address}/field.tif")
    assert info.stem == "field"
    source = GdalSource(info, (1, 2, 3), (300, 400))
    np.testing.assert_array_equal(source.read(Window(100, 150, 90, 80))[0], values[:, 100:190, 150:230])


def test_an_address_that_holds_nothing_is_refused(address):
    with pytest.raises(InputError, match="not a raster that can be read"):
        inspect_raster(f"/vsicurl/{address}/nothing.tif")
