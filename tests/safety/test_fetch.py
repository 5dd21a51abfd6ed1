"""Models by address: https alone, checked before they are kept, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import shutil
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from cropseg_geo.errors import ModelError, OutputError
from cropseg_geo.events import StageAdvanced, StageFinished, StageStarted
from cropseg_geo.model import fetch
from cropseg_geo.model.fetch import fetch_model
from cropseg_geo.model.weights import read_card, save_weights
from cropseg_geo.model.zoo import DEFAULT_MODEL, find_model
from cropseg_geo.options import Options
from cropseg_geo.preflight import with_local_model

ADDRESS = "https://models.example/fields/tiny.safetensors"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setattr(fetch, "user_cache_path", lambda name: folder / name)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_weights(path, {"a": torch.arange(50_000, dtype=torch.float32)}, read_card(find_model(DEFAULT_MODEL)))
    return path.read_bytes()


class Answer(io.BytesIO):
    """What an opened address gives."""

    def __init__(self, content: bytes, *, address: str = ADDRESS, length: int | None = None):
        super().__init__(content)
        self.headers = {"Content-Length": str(len(content) if length is None else length)}
        self._address = address

    def geturl(self) -> str:
        return self._address


def serving(content: bytes, **facts):
    """An opener that answers, and counts how often."""

    def open_address(place: str) -> Answer:
        open_address.asked.append(place)
        return Answer(content, **facts)

    open_address.asked = []
    return open_address


def failing(error: Exception):
    def open_address(place: str):
        raise error

    return open_address


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_model_is_fetched_once_told_of_and_kept(model, cache):
    server, events = serving(model), []
    path = fetch_model(ADDRESS, listener=events.append, open_address=server)
    assert path.read_bytes() == model
    assert path.name == "tiny.safetensors"
    assert events[0] == StageStarted("fetch", len(model), "B")
    assert sum(e.amount for e in events if isinstance(e, StageAdvanced)) == len(model)
    assert events[-1] == StageFinished("fetch")
    assert fetch_model(ADDRESS, open_address=server) == path
    assert server.asked == [ADDRESS]
    assert files(cache) == [path]


def test_a_digest_in_the_address_is_held_against_the_file_also_in_the_cache(model):
    digest = hashlib.sha256(model).hexdigest()
    path = fetch_model(f"{ADDRESS}#sha256={digest}", open_address=serving(model))
    path.write_bytes(model[:-1] + b"\xff")
    server = serving(model)
    assert fetch_model(f"{ADDRESS}#sha256={digest.upper()}", open_address=server).read_bytes() == model
    assert server.asked == [ADDRESS]


def test_a_damaged_file_in_the_cache_is_fetched_again_without_a_digest_too(model, cache):
    path = fetch_model(ADDRESS, open_address=serving(model))
    path.write_bytes(model[:-1] + bytes([model[-1] ^ 1]))
    server = serving(model)
    assert fetch_model(ADDRESS, open_address=server).read_bytes() == model
    assert server.asked == [ADDRESS]
    assert files(cache) == [path]


def test_two_that_fetch_the_same_model_at_once_write_files_of_their_own(model, cache):
    """As in containers that share a cache: their processes have the same number."""
    meeting = threading.Barrier(2, timeout=20)

    def fetched(_: int) -> bytes:
        def meet(event):
            if isinstance(event, StageStarted | StageFinished):
                meeting.wait()

        return fetch_model(ADDRESS, listener=meet, open_address=serving(model)).read_bytes()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(fetched, range(2))) == [model, model]
    assert [path.name for path in files(cache)] == ["tiny.safetensors"]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://models.example/a.safetensors", "https only"),
        ("ftp://models.example/a.safetensors", "https only"),
        ("file:///etc/a.safetensors", "https only"),
        ("https:///a.safetensors", "https only"),
        ("https://me:secret@models.example/a.safetensors", "password"),
        ("https://models.example/a.pth", "no model file"),
        ("https://models.example/a.safetensors#sha256=12", "no digest"),
        ("https://models.example/a.safetensors#md5=00", "no digest"),
        ("https://[::1/a.safetensors", "no address"),
    ],
)
def test_other_addresses_are_refused_before_anything_is_opened(address, said):
    with pytest.raises(ModelError, match=said) as caught:
        fetch_model(address, open_address=failing(AssertionError("was opened")))
    assert caught.value.remedy
    assert "secret" not in str(caught.value)
    with pytest.raises(ModelError, match=said):
        find_model(address)


def test_what_is_not_what_was_promised_is_not_kept(model, cache):
    damaged = model[:-1] + bytes([model[-1] ^ 1])
    cases = [
        (f"{ADDRESS}#sha256={'0' * 64}", serving(model), "has the digest"),
        (ADDRESS, serving(damaged), "digest mismatch"),
        (ADDRESS, serving(b"<html>not here</html>"), "no safetensors file"),
        (ADDRESS, serving(model[:1000], length=len(model)), "1,000 of"),
        (ADDRESS, serving(model, address="http://elsewhere.example/tiny.safetensors"), "not https"),
        (ADDRESS, serving(model, length=fetch.MAX_BYTES + 1), "larger than"),
        (ADDRESS, serving(model, length="many"), "cannot be fetched"),
    ]
    for address, server, said in cases:
        with pytest.raises(ModelError, match=said) as caught:
            fetch_model(address, open_address=server)
        assert ADDRESS in str(caught.value)
        assert caught.value.remedy
        assert not files(cache)


def test_an_answer_without_a_length_is_bounded_too(model, cache, monkeypatch):
    monkeypatch.setattr(fetch, "MAX_BYTES", 1000)
    with pytest.raises(ModelError, match="larger than"):
        fetch_model(ADDRESS, open_address=serving(model, length=0))
    assert not files(cache)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (urllib.error.URLError(OSError("no route to host")), "no route to host"),
        (TimeoutError("timed out"), "timed out"),
        (ConnectionResetError("reset by peer"), "reset by peer"),
        (urllib.error.HTTPError(ADDRESS, 404, "Not Found", {}, io.BytesIO()), "404 Not Found"),
    ],
)
def test_without_a_connection_the_error_says_so(error, said):
    with pytest.raises(ModelError, match=said) as caught:
        fetch_model(ADDRESS, open_address=failing(error))
    assert caught.value.remedy


def test_a_cache_that_cannot_be_written_is_an_error_of_output(model, cache):
    cache.write_text("in the way")
    with pytest.raises(OutputError, match="cannot keep the model"):
        fetch_model(ADDRESS, open_address=serving(model))


@pytest.mark.parametrize(
    "name", ["..%2F..%2Fevil.safetensors", "%2e%2e/.hidden.onnx", "a%00b.safetensors", "x" * 300 + ".onnx"]
)
def test_no_address_names_a_place_outside_of_the_cache(cache, name):
    path = fetch._cached(f"https://models.example/{name}")
    assert path.resolve().is_relative_to(cache.resolve())
    assert not path.name.startswith(".")
    assert len(path.name) < 100


def test_redirects_lead_to_https_only():
    handler = fetch._HttpsRedirects()
    request = urllib.request.Request(ADDRESS)
    with pytest.raises(ModelError, match="not https"):
        handler.redirect_request(request, None, 302, "Found", {}, "http://models.example/a.safetensors")
    followed = handler.redirect_request(request, None, 302, "Found", {}, "https://b.example/a.safetensors")
    assert followed.full_url == "https://b.example/a.safetensors"


def test_options_with_an_address_name_the_file_afterwards(model):
    fetch_model(ADDRESS, open_address=serving(model))
    options = with_local_model(Options(model=ADDRESS))
    assert read_card(options.model).name == DEFAULT_MODEL
    assert with_local_model(Options()).model == DEFAULT_MODEL


class Handler(BaseHTTPRequestHandler):
    content = b""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_):
        pass


@pytest.fixture
def tls_server(tmp_path, model):
    """A server on this machine whose certificate this test has made: its address, and the certificate."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Serving", (Handler,), {"content": model}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://localhost:{server.server_port}/tiny.safetensors", certificate
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_server_with_a_known_certificate_is_read_and_another_is_not(tls_server, model, monkeypatch):
    address, certificate = tls_server
    monkeypatch.setenv("no_proxy", "localhost")
    with pytest.raises(ModelError, match="cannot show that it is localhost"):
        fetch_model(address)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert fetch_model(address).read_bytes() == model


def test_bytes_that_are_no_text_are_no_address():
    with pytest.raises(ModelError, match="is no address"):
        fetch_model("https://h/\udcff.onnx")
