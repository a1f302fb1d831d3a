"""The bootstrap finds the pinned pip wheel as pip itself would look for it, and takes no other bytes."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.lib.pip_settings import DEFAULT_INDEX, PipSettings, load_pip_settings
from scripts.lib.pip_wheel import PinnedWheel, WheelError, fetch_wheel, read_pin

LIBRARY = Path(__file__).resolve().parents[2] / "scripts" / "lib"
CONTENT = b"not really a wheel"
PIN = PinnedWheel("pip-1.0-py3-none-any.whl", hashlib.sha256(CONTENT).hexdigest())
LOGIN = "Basic dXNlcjpzZWNyZXQ="  # user:secret


class Index(http.server.BaseHTTPRequestHandler):
    """An index under /json/ and /html/, a private one under /login/, a failing one under /error/."""

    def do_GET(self) -> None:
        kind = self.path.split("/")[1]
        if kind == "login" and self.headers["Authorization"] != LOGIN:
            self.send_error(401)
        elif self.path == f"/{kind}/files/{PIN.file_name}":
            self._answer("application/octet-stream", CONTENT)
        elif self.path == "/json/pip/":
            listing = {"files": [{"url": "../files/pip-0.9.tar.gz"}, {"url": f"../files/{PIN.file_name}"}]}
            self._answer("application/vnd.pypi.simple.v1+json", json.dumps(listing).encode())
        elif self.path in ("/html/pip/", "/login/pip/"):
            link = f'<a href="../files/{PIN.file_name}#sha256={PIN.sha256}">{PIN.file_name}</a>'
            self._answer("text/html", f"<!DOCTYPE html><html><body>{link}</body></html>".encode())
        else:
            self.send_error(503 if kind == "error" else 404)

    def _answer(self, content_type: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def settings(*indexes: str, find_links: tuple[str, ...] = ()) -> PipSettings:
    return PipSettings(indexes, find_links, frozenset(), None, None, None, timeout_seconds=10)


@pytest.mark.parametrize("kind", ["json", "html"])
def test_an_index_may_answer_in_json_or_html(kind: str, server: str, tmp_path: Path) -> None:
    wheel = fetch_wheel(PIN, settings(f"http://{server}/{kind}"), tmp_path)
    assert (wheel.name, wheel.read_bytes()) == (PIN.file_name, CONTENT)


def test_a_login_in_the_address_is_sent_for_the_page_and_the_file(server: str, tmp_path: Path) -> None:
    assert fetch_wheel(PIN, settings(f"http://user:secret@{server}/login/"), tmp_path).exists()


def test_the_next_index_is_asked_when_one_fails(server: str, tmp_path: Path) -> None:
    indexes = settings(f"http://{server}/error", f"http://{server}/nothing", f"http://{server}/json")
    assert fetch_wheel(PIN, indexes, tmp_path).exists()


def test_a_failure_says_what_each_index_answered_and_no_password(server: str, tmp_path: Path) -> None:
    with pytest.raises(WheelError) as caught:
        fetch_wheel(PIN, settings(f"http://{server}/error", f"http://me:hidden@{server}/login"), tmp_path)
    assert "/error/pip/: 503" in str(caught.value)
    assert "/login/pip/: 401" in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_bytes_with_another_hash_are_refused(server: str, tmp_path: Path) -> None:
    other = PinnedWheel(PIN.file_name, hashlib.sha256(b"what was meant").hexdigest())
    with pytest.raises(WheelError, match="not the pinned"):
        fetch_wheel(other, settings(f"http://{server}/json"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_find_links_may_be_a_local_folder_or_a_local_index(tmp_path: Path) -> None:
    folder, index, target = tmp_path / "wheels", tmp_path / "index" / "pip", tmp_path / "target"
    for directory in (folder, index, target):
        directory.mkdir(parents=True)
    (folder / PIN.file_name).write_bytes(CONTENT)
    (index / "index.html").write_text(f'<a href="../../wheels/{PIN.file_name}">wheel</a>', encoding="utf-8")
    assert fetch_wheel(PIN, settings(find_links=(str(folder),)), target).exists()
    (target / PIN.file_name).unlink()
    assert fetch_wheel(PIN, settings(index.parent.as_uri()), target).exists()


def test_without_settings_pips_own_index_is_asked(tmp_path: Path) -> None:
    assert load_pip_settings({"HOME": str(tmp_path)}, system=tmp_path).indexes == (DEFAULT_INDEX,)


def test_later_settings_win_over_earlier_ones(tmp_path: Path) -> None:
    """System file, user's file, [install] over [global], then the environment."""
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = http://system\ncert = /system.pem\n", encoding="utf-8")
    user = tmp_path / "home" / ".config" / "pip" / "pip.conf"
    user.parent.mkdir(parents=True)
    user.write_text("[global]\nindex_url = http://user\nextra-index-url = http://a\n  http://b\n", encoding="utf-8")
    environment = {"HOME": str(tmp_path / "home")}

    found = load_pip_settings(environment, system=tmp_path)
    assert found.indexes == ("http://user", "http://a", "http://b")
    assert found.authorities == "/system.pem"

    with user.open("a", encoding="utf-8") as file:
        file.write("[install]\nindex-url = http://install\n")
    assert load_pip_settings(environment, system=tmp_path).indexes[0] == "http://install"

    environment["PIP_INDEX_URL"] = "http://environment"
    assert load_pip_settings(environment, system=tmp_path).indexes[0] == "http://environment"

    environment |= {"PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/x /y"}
    found = load_pip_settings(environment, system=tmp_path)
    assert (found.indexes, found.find_links, found.authorities) == ((), ("/x", "/y"), None)


def test_the_pin_names_a_wheel_of_pip_and_a_sha256() -> None:
    pin = read_pin(LIBRARY / "pip-wheel.txt")
    assert pin.project == "pip"
    assert len(bytes.fromhex(pin.sha256)) == 32
