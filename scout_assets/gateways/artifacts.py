"""Raw bytes, kept under their sha256, through fsspec (local folder or any URL).

Belongs here: putting and getting by hash, noticing damage, removing what nobody points at. Does
not belong here: what the bytes are, or who points at them (`ledger`).
"""

import hashlib
import os
import re
import uuid
from collections.abc import Callable, Iterator, Set
from datetime import UTC, datetime, timedelta

import fsspec
from fsspec.implementations.local import LocalFileSystem

from scout_assets.domain.failures import Critical
from scout_assets.domain.retention import ARTIFACT_GRACE

__all__ = ["Artifacts"]

_OURS = re.compile(r"(?P<digest>[0-9a-f]{64})(\.[0-9a-f]{32}\.part)?")


class Artifacts:
    """A store of immutable byte strings. `url`: a path, or any fsspec URL (`s3://…`)."""

    def __init__(self, url: str) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(url)

    def put(self, body: bytes) -> str:
        """Keep `body`; returns its sha256 in hex. Putting the same bytes again is free."""
        digest = hashlib.sha256(body).hexdigest()
        path = self._path(digest)
        if not self._renewed(path):
            self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._write(path, body)
        return digest

    def _renewed(self, path: str) -> bool:
        """Whether the bytes are there and young: nobody removes them before they are pointed at."""
        try:
            if isinstance(self._fs, LocalFileSystem):
                os.utime(path)
                return True
            age: timedelta = datetime.now(UTC) - self._fs.modified(path)
        except FileNotFoundError:
            return False
        return age < ARTIFACT_GRACE / 2

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

    def stored(self) -> set[str]:
        """The sha256 of everything there."""
        return {digest for _, (digest, _) in self._ours() if digest}

    def remove_unused(
        self, used: Callable[[], Set[str]], before: datetime, dry_run: bool = False
    ) -> dict[str, int]:
        """Remove artifacts stored before a time that are not `used`; returns names and sizes.

        `used` is asked after the look at the store, so it knows all that was stored by then. What
        a killed process left half written goes too; files that are not ours stay.
        """
        found = dict(self._ours())
        known = used()
        removed: dict[str, int] = {}
        for path, (digest, size) in found.items():
            if digest in known or not self._is_older(path, before):
                continue
            if not dry_run:
                self._fs.rm_file(path)
            removed[path.rpartition("/")[2]] = size
        return removed

    def _ours(self) -> Iterator[tuple[str, tuple[str, int]]]:
        """Path → sha256 and size."""
        for path, about in self._fs.find(self._root, detail=True).items():
            name = _OURS.fullmatch(path.rpartition("/")[2])
            if name is not None and path.startswith(self._path(name["digest"])):
                yield path, (name["digest"] if name[2] is None else "", about["size"])

    def _is_older(self, path: str, before: datetime) -> bool:
        """Looked at just before a removal: the same bytes may have come again."""
        try:
            modified: datetime = self._fs.modified(path)
        except FileNotFoundError:
            return False  # another cleaning was first
        return modified <= before

    def _path(self, digest: str) -> str:
        return f"{self._root}/{digest[:2]}/{digest[2:4]}/{digest}"
