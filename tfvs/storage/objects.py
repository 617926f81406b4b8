"""Objects in buckets by URI, ``s3://bucket/key`` and ``gs://bucket/key``, through the library obstore.

An object appears whole or not at all, so nothing is ever written under another name first. Requests that fail are tried
again with growing pauses, a body that is cut goes on where it ended, and what is refused ends in one sentence.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import IO, Any, TypeVar

from tfvs.errors import ConfigError, ResourceError
from tfvs.paths import scheme
from tfvs.storage.options import StorageOptions

T = TypeVar("T")
EXTRAS = {"s3": "s3", "gs": "gcs"}  # scheme → extra of this package
CHUNK_BYTES = 1 << 22
PAGE = 1000  # keys of a listing that one request gives
PARALLEL = 10  # requests for parts of one object that the library has in flight
# Larger objects are written in parts of this size, whose upload is given up as a whole when one fails.
PART_BYTES = 64 << 20
WRITE_TIMEOUT_S = 300.0  # for one such part
_CODE = re.compile(r"<Code>(\w+)</Code>")
_STATUS = re.compile(r"status code: (\d+)")
_EXPIRED = ("ExpiredToken", "TokenRefreshRequired", "RequestExpired")
_NO_BUCKET = ("NoSuchBucket", "UnknownBucket")
_WRONG_REGION = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException")


def split(uri: str) -> tuple[str, str, str]:
    """Scheme, bucket and key of a URI.

    Raises:
      ConfigError: It names no bucket, holds credentials, or has a key that no bucket takes.
    """
    kind, rest = uri.split("://", 1)
    bucket, _, key = rest.partition("/")
    if "@" in bucket:
        raise ConfigError(
            "A URI must not hold credentials",
            expected=f"{kind}://BUCKET/KEY",
            mend="Take them out of it, and set the provider's environment variables",
        )
    if not re.fullmatch(r"[A-Za-z0-9][-A-Za-z0-9._]*", bucket):
        raise ConfigError("The URI names no bucket", expected=f"{kind}://BUCKET/KEY", received=uri)
    if any(part in ("", ".", "..") for part in key.strip("/").split("/")) and key.strip("/"):
        raise ConfigError("The URI has an empty part, . or .. between two /", received=uri)
    return kind, bucket, key


class RefusedError(ResourceError):
    """The storage refuses every request alike: no credentials, no permission, no such bucket, another region."""


class NoAnswerError(ResourceError):
    """One request got no answer that is of use, however often it was tried."""


class _CutError(NoAnswerError):
    """The connection ended in the middle of an answer."""


class ObjectFiles:
    """Objects by URI, in the form of :class:`tfvs.preparation.files.RemoteFiles`.

    Args:
      options: How to reach the storage.
    """

    def __init__(self, options: StorageOptions) -> None:
        self.options = options
        self._stores: dict[tuple[str, str, bool], Any] = {}
        self._lock = threading.Lock()

    def knows(self, uri: str) -> bool:
        """Whether the URI's scheme is one of those read here."""
        return scheme(uri) in EXTRAS

    def open_read(self, uri: str) -> IO[bytes]:
        """Opens an object to be read once, from its beginning to its end, by one request."""
        store, key = self._at(uri)
        found = self._attempt(uri, lambda: _obstore(uri).get(store, key))
        return io.BufferedReader(_Stream(uri, found.stream(CHUNK_BYTES)), CHUNK_BYTES)

    def read_ranges(self, uri: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Parts of an object, each by one request, all at a time.

        Args:
          uri: The object.
          ranges: First byte and number of bytes of each, at most :data:`PARALLEL`.
        """
        store, key = self._at(uri)
        starts, lengths = zip(*ranges, strict=True)

        def read() -> list[bytes]:
            return [*map(bytes, _obstore(uri).get_ranges(store, key, starts=starts, lengths=lengths, coalesce=0))]

        return self._attempt(uri, read)

    def put(self, file: IO[bytes], uri: str) -> None:
        """Writes an object: one request, or for a large one a few, after the last of which it appears."""
        store, key = self._at(uri, writes=True)
        large = file.seek(0, os.SEEK_END) > PART_BYTES

        def write() -> None:
            file.seek(0)
            body = file if large else file.read()
            _obstore(uri).put(store, key, body, use_multipart=large, chunk_size=PART_BYTES, max_concurrency=2)

        self._attempt(uri, write)

    def exists(self, uri: str) -> bool:
        """Whether there is such an object, or any below that URI."""
        return self.state(uri) is not None or next(self.below(uri.rstrip("/") + "/"), None) is not None

    def state(self, uri: str) -> tuple[int, float] | None:
        """Size in bytes and time of change of an object; None where there is none."""
        store, key = self._at(uri)
        try:
            found = self._attempt(uri, lambda: _obstore(uri).head(store, key)) if key else None
        except FileNotFoundError:
            return None
        return found and (found["size"], found["last_modified"].timestamp())

    def below(self, prefix: str) -> Iterator[str]:
        """URIs of all objects whose URI begins so, by one request for every thousand."""
        kind, bucket, key = split(prefix)
        folder, start = key.rpartition("/")[0] or None, f"{kind}://{bucket}/"
        store, _ = self._at(prefix)
        last = None  # where a list that was cut goes on

        def page() -> list[dict[str, Any]]:
            return next(iter(_obstore(prefix).list(store, folder, offset=last, chunk_size=PAGE)), [])

        while entries := self._attempt(prefix, page):
            yield from (uri for entry in entries if (uri := start + entry["path"]).startswith(prefix))
            last = entries[-1]["path"]
            if len(entries) < PAGE:
                return

    def move(self, source: str, destination: str) -> None:
        """Has the server copy an object within a bucket, and removes the first. The copy appears whole."""
        store, key = self._at(source, writes=True)
        other = self._at(destination, writes=True)[1]
        self._attempt(source, lambda: _obstore(source).copy(store, key, other))
        self.delete([source])

    def delete(self, uris: list[str]) -> None:
        """Removes objects; those that are not there are passed over."""
        buckets: dict[str, list[str]] = {}
        for uri in uris:
            kind, bucket, key = split(uri)
            buckets.setdefault(f"{kind}://{bucket}", []).append(key)
        for root, keys in buckets.items():
            self._delete(root, keys)

    def _delete(self, root: str, keys: list[str]) -> None:
        store, _ = self._at(root)
        with contextlib.suppress(FileNotFoundError):
            self._attempt(root, lambda: _obstore(root).delete(store, keys))

    def _attempt(self, uri: str, act: Callable[[], T]) -> T:
        """Does what may be done twice; an answer that was cut, which the library leaves at that, is asked for again."""
        for attempt in range(self.options.retries):
            try:
                with translated(uri):
                    return act()
            except _CutError:
                time.sleep(min(0.1 * 2**attempt, 10.0))
        with translated(uri):
            return act()

    def _at(self, uri: str, *, writes: bool = False) -> tuple[Any, str]:
        kind, bucket, key = split(uri)
        known = kind, bucket, writes
        with self._lock:
            if known not in self._stores:
                self._stores[known] = _make_store(kind, bucket, self.options, writes)
            return self._stores[known], key


_storage: ObjectFiles | None = None


def use_storage(options: StorageOptions) -> ObjectFiles:
    """Sets how object storage is reached by this process, and by those that it starts with a job."""
    global _storage
    if _storage is None or _storage.options != options:
        _storage = ObjectFiles(options)
    return _storage


def storage() -> ObjectFiles:
    """What this process reaches object storage with: as it was set, else as the environment says."""
    return _storage or use_storage(StorageOptions.from_environment())


class _Stream(io.RawIOBase):
    """The chunks of a body as a file."""

    def __init__(self, uri: str, chunks: Any) -> None:
        self._uri, self._chunks, self._rest = uri, iter(chunks), memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            with translated(self._uri):
                self._rest = memoryview(bytes(next(self._chunks, b"")))
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


@contextlib.contextmanager
def translated(uri: str) -> Iterator[None]:
    """Errors of the library in one sentence, without its details, which may name more than they should.

    Raises:
      FileNotFoundError: There is no such object.
      ConfigError: The key cannot be used.
      ResourceError: It is refused, there is no such bucket, or no answer comes.
    """
    library = _obstore(uri).exceptions
    try:
        yield
    except (library.BaseError, FileNotFoundError) as error:
        raise _sentence(uri, error) from None


def _sentence(uri: str, error: Exception) -> Exception:
    kind, bucket, _ = split(uri)
    text = str(error)
    code = (_CODE.findall(text) or [""])[0]
    status = (_STATUS.findall(text) or [""])[0]
    name = type(error).__name__
    received = f"{uri}: {' '.join(filter(None, (status, code))) or text.splitlines()[0][:300]}"
    if code in _NO_BUCKET:
        return RefusedError("There is no such bucket", received=f"{kind}://{bucket}", mend="Make it, or mend the name")
    if code in _EXPIRED:
        return RefusedError("The credentials have expired", received=received, mend="Get new ones and start again")
    if code in _WRONG_REGION or "redirect without LOCATION" in text:
        region = "Set AWS_REGION to the bucket's own"
        return RefusedError("The bucket lies in another region", received=received, mend=region)
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(f"There is no object {uri}")
    if name in ("PermissionDeniedError", "UnauthenticatedError") or status in ("401", "403"):
        return RefusedError(
            "The storage refuses the request", received=received, mend="Check the credentials and what they may do"
        )
    if name == "InvalidPathError":
        return ConfigError("The URI cannot be used as a key", received=uri)
    if "169.254." in text or "credential" in text.lower() or "token request" in text:
        return RefusedError(
            f"There are no credentials for {kind}://",
            received=uri,
            mend="Set the provider's environment variables, such as "
            + ("AWS_ACCESS_KEY_ID" if kind == "s3" else "GOOGLE_APPLICATION_CREDENTIALS"),
        )
    kind_of_error = _CutError if "body error" in text else NoAnswerError
    return kind_of_error(
        "The storage gives no answer", received=received, mend="Check address and network, then start again"
    )


def _obstore(uri: str) -> Any:
    try:
        import obstore
        import obstore.exceptions
    except ImportError as error:
        raise ResourceError(
            f"Files by {scheme(uri)}:// are read with a package that is not installed",
            mend=f"pip install 'tfvs[{EXTRAS[scheme(uri) or 's3']}]'",
        ) from error
    return obstore


def _make_store(kind: str, bucket: str, options: StorageOptions, writes: bool) -> Any:
    from obstore.store import GCSStore, S3Store

    endpoint = options.s3_endpoint if kind == "s3" else options.gs_endpoint_url
    if endpoint is not None and not re.match(r"https?://[^/@]+", endpoint):
        raise ConfigError("The endpoint is no URL", expected="http://HOST:PORT or https://HOST", received=endpoint)
    patience = WRITE_TIMEOUT_S if writes else 2 * options.timeout_s * (options.retries + 1)
    settings: dict[str, Any] = {
        "client_options": {
            # Reading a large object takes as long as it takes; what counts is that bytes come.
            "timeout": timedelta(seconds=WRITE_TIMEOUT_S) if writes else timedelta(days=1),
            **({} if writes else {"read_timeout": timedelta(seconds=options.timeout_s)}),
            "connect_timeout": timedelta(seconds=options.timeout_s),
            "allow_http": endpoint is not None and endpoint.startswith("http://"),
        },
        "retry_config": {
            "max_retries": options.retries,
            "retry_timeout": timedelta(seconds=patience),
            "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=10), "base": 2},
        },
    }
    if kind == "gs":
        if endpoint is not None:  # an emulator, which asks for no token of Google's
            settings |= {"base_url": endpoint, "skip_signature": True, "credential_provider": _no_token}
        return GCSStore(bucket, **settings)
    if endpoint is not None:
        settings["endpoint"] = endpoint.rstrip("/")
    return S3Store(bucket, **settings, **_s3_access(options))


def _no_token() -> dict[str, Any]:
    return {"token": "none", "expires_at": None}


def _s3_access(options: StorageOptions) -> dict[str, Any]:
    """Region and credentials: the options', else the environment's, else those that boto3 finds."""
    found: dict[str, Any] = {"region": options.s3_region} if options.s3_region else {}
    if options.s3_access_key_id is not None:
        given = ("s3_access_key_id", "s3_secret_access_key", "s3_session_token")
        found |= {name[len("s3_") :]: value for name in given if (value := getattr(options, name)) is not None}
    elif not (os.environ.get("AWS_ACCESS_KEY_ID") or os.environ.get("AWS_SKIP_SIGNATURE")):
        found = {**_profile(), **found}
    return {"region": "us-east-1", **found}


def _profile() -> dict[str, Any]:
    """What boto3 knows: profiles, single sign-on, roles of machines and of containers."""
    try:
        import boto3
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        return {}
    session = boto3.Session()
    if session.get_credentials() is None:
        return {}
    region = {"region": session.region_name} if session.region_name else {}
    return {"credential_provider": Boto3CredentialProvider(session), **region}
