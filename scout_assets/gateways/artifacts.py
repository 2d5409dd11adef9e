"""Raw bytes, kept for ever under their sha256, through fsspec (local folder or any URL).

Belongs here: putting and getting by hash, and noticing damage. Does not belong here: what
the bytes are, or who points at them (`ledger`).
"""

import hashlib
import uuid

import fsspec
from fsspec.implementations.local import LocalFileSystem

from scout_assets.domain.failures import Critical

__all__ = ["Artifacts"]


class Artifacts:
    """A store of immutable byte strings. `url`: a path, or any fsspec URL (`s3://…`)."""

    def __init__(self, url: str) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(url)

    def put(self, body: bytes) -> str:
        """Keep `body`; returns its sha256 in hex. Putting the same bytes again is free."""
        digest = hashlib.sha256(body).hexdigest()
        path = self._path(digest)
        if not self._fs.exists(path):
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._write(path, body)
        return digest

    def _write(self, path: str, body: bytes) -> None:
        """Whole or not at all: object stores write so by themselves, a folder by a rename."""
        if not isinstance(self._fs, LocalFileSystem):
            self._fs.pipe_file(path, body)
            return
        beside = f"{path}.{uuid.uuid4().hex}.part"
        self._fs.pipe_file(beside, body)
        self._fs.mv(beside, path)

    def get(self, digest: str) -> bytes:
        """The bytes with this sha256. Raises Critical when they are gone or damaged."""
        try:
            body: bytes = self._fs.cat_file(self._path(digest))
        except FileNotFoundError:
            raise Critical(f"artifact {digest} is gone from {self._root}: restore it") from None
        if hashlib.sha256(body).hexdigest() != digest:
            raise Critical(f"artifact {self._path(digest)} is damaged: restore it from a backup")
        return body

    def _path(self, digest: str) -> str:
        return f"{self._root}/{digest[:2]}/{digest[2:4]}/{digest}"
