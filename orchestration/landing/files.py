"""What lies in the landing zone, what of it is new, and how its bytes are opened.

The identity of a file is its content: a known content under another name is a duplicate, and a file
that begins with a known content has grown. Reading never writes to the landing zone.
"""

import gzip
import os
import re
import stat
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import zstandard
from blake3 import blake3

JSON_ENDINGS = (".ndjson", ".jsonl", ".json")
ENDINGS = (
    *(ending + packed for ending in JSON_ENDINGS for packed in ("", ".gz", ".zst")),
    ".parquet",
)
HEAD_BYTES = 1024
CHUNK_BYTES = 1 << 20
SPOOL_BYTES = 64 << 20


@dataclass(frozen=True)
class Found:
    """A file of the landing zone that may be read; path is relative to the landing zone."""

    path: str
    source: str
    size_bytes: int
    modified_ns: int


@dataclass(frozen=True)
class Ignored:
    """A file or folder that is not read, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Hashes:
    """Hashes of a content: of its first bytes, of all, and the byte where known content ends."""

    head: str
    content: str
    known_until: int


class Unreadable(ValueError):
    """A file that cannot be read at all; its text says why and what to do."""


def scan(landing: Path, sources: Iterable[str]) -> Iterator[Found | Ignored]:
    """Every file below the landing zone, in the order of paths."""
    known = set(sources)
    for entry in _sorted(landing):
        name = _shown(entry.name)
        if entry.is_dir(follow_symlinks=False) and not name.startswith((".", "_")):
            if name in known:
                yield from _walk(entry.path, name, name)
            else:
                yield Ignored(name, f"no source is named {name}")
        else:
            yield Ignored(name, _reason_against(entry) or "it is in no source's folder")


def _walk(folder: str, path: str, source: str) -> Iterator[Found | Ignored]:
    try:
        entries = _sorted(folder)
    except OSError as error:
        yield Ignored(path, f"it cannot be read: {error.strerror}")
        return
    for entry in entries:
        inner = f"{path}/{_shown(entry.name)}"
        reason = _reason_against(entry)
        if reason:
            yield Ignored(inner, reason)
        elif entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, inner, source)
        else:
            # Known since the reason was sought; what goes away later is unreadable.
            status = entry.stat(follow_symlinks=False)
            yield Found(inner, source, status.st_size, status.st_mtime_ns)


def _sorted(folder: str | Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: os.fsencode(entry.name))


def _shown(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _reason_against(entry: os.DirEntry[str]) -> str | None:
    name = entry.name
    try:
        mode = entry.stat(follow_symlinks=False).st_mode
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if stat.S_ISLNK(mode):
        return "symbolic links are not followed"
    if name.startswith((".", "_")):
        return "its name starts with . or _"
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if name.endswith((".tmp", ".part")):
        return "it is still being written (.tmp or .part)"
    if stat.S_ISDIR(mode):
        return None
    if not stat.S_ISREG(mode):
        return "it is no regular file"
    if not name.endswith(ENDINGS):
        return "its ending is none of " + " ".join((*JSON_ENDINGS, ".gz .zst .parquet"))
    return None


def hashes_of(
    file: Path,
    size_bytes: int,
    settled: dict[str, dict[int, set[str]]],
    short_lengths: set[int],
) -> Hashes:
    """Hash the first size_bytes of a file, and find the longest known content that it begins with.

    settled: for the hash of the head of a content, its lengths, and for each the hashes known.
    short_lengths: the lengths of the contents among them that are shorter than a head.
    """
    digest = blake3()
    known_until = 0
    with file.open("rb") as stream:
        head = stream.read(min(HEAD_BYTES, size_bytes))
        head_hash = hash_bytes(head)
        lengths: dict[int, set[str]] = {}
        for length in short_lengths:
            known = settled.get(hash_bytes(head[:length]), {}) if length < len(head) else {}
            if length in known:
                lengths[length] = known[length]
        lengths.update(
            (length, hashes)
            for length, hashes in settled.get(head_hash, {}).items()
            if length <= size_bytes
        )
        stream.seek(0)
        position = 0
        for stop in [*sorted(lengths), size_bytes]:
            position = _feed(digest, stream, position, stop)
            if stop in lengths and _text_of(digest) in lengths[stop]:
                known_until = stop
    return Hashes(head_hash, _text_of(digest), known_until)


def hash_bytes(content: bytes) -> str:
    """The hash that identifies a content."""
    return _text_of(blake3(content))


def hash_until(file: Path, end_byte: int) -> str:
    """The hash of the first end_byte bytes of a file."""
    digest = blake3()
    with file.open("rb") as stream:
        _feed(digest, stream, 0, end_byte)
    return _text_of(digest)


def _text_of(digest: blake3) -> str:
    return digest.hexdigest(length=16)


def _feed(digest: blake3, stream: BinaryIO, position: int, stop: int) -> int:
    while position < stop:
        chunk = stream.read(min(CHUNK_BYTES, stop - position))
        if not chunk:
            raise Unreadable("it became shorter while it was read: let it be written, then renamed")
        digest.update(chunk)
        position += len(chunk)
    return position


def kind_of(head: bytes) -> str:
    """plain, gzip, zstd or parquet, by the first bytes and not by the name; raises Unreadable."""
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return "zstd"
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable("it is UTF-16: write it as UTF-8")
    if b"\0" in head and not re.search(rb"^(\xef\xbb\xbf)?\s*\{", head, re.M):
        raise Unreadable("it is binary (protobuf, or length-prefixed?): send JSON lines")
    return "plain"


def unpacked(file: Path, kind: str, scratch: Path) -> BinaryIO:
    """The whole content of a compressed file, checked to its end before a line of it is read."""
    spool = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES, dir=scratch)  # noqa: SIM115
    try:
        with file.open("rb") as packed:
            for chunk in _gunzip(packed) if kind == "gzip" else _unzstd(packed):
                spool.write(chunk)
    except (zlib.error, zstandard.ZstdError, EOFError, OSError) as error:
        spool.close()
        raise Unreadable(f"its {kind} content is damaged ({error}): send it again") from error
    except Unreadable:
        spool.close()
        raise
    spool.seek(0)
    return spool  # type: ignore[return-value]


def _gunzip(packed: BinaryIO) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=packed) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk


def _unzstd(packed: BinaryIO) -> Iterator[bytes]:
    frame = zstandard.ZstdDecompressor().decompressobj()
    while chunk := packed.read(CHUNK_BYTES):
        while chunk:
            if frame.eof:
                frame = zstandard.ZstdDecompressor().decompressobj()
            yield frame.decompress(chunk)
            chunk = frame.unused_data if frame.eof else b""
    if not frame.eof:
        raise Unreadable("its zstd content ends too early: send it again")


def lines_before(stream: BinaryIO, position: int) -> int:
    """How many lines begin before a position; the last of them may have no line end yet."""
    stream.seek(0)
    count, last = 0, b""
    while position > 0 and (chunk := stream.read(min(CHUNK_BYTES, position))):
        position -= len(chunk)
        count += chunk.count(b"\n")
        last = chunk[-1:]
    return count + (last not in (b"", b"\n"))


def lines_between(stream: BinaryIO, start_byte: int, end_byte: int) -> Iterator[bytes]:
    """The lines of a stream from start_byte to end_byte, where it ended when it was scanned."""
    position = _go_to_line(stream, start_byte)
    while position < end_byte and (line := stream.readline()):
        line = line[: end_byte - position]
        position += len(line)
        yield line
    _check_whole(position, end_byte)


def blocks_between(
    stream: BinaryIO, start_byte: int, end_byte: int, block_bytes: int
) -> Iterator[bytes]:
    """The same lines in blocks of many; only the last block may lack its last line end."""
    position = _go_to_line(stream, start_byte)
    wanted = block_bytes
    while position < end_byte and (block := stream.read(min(wanted, end_byte - position))):
        if position + len(block) < end_byte:
            whole = block.rfind(b"\n") + 1
            if not whole:
                # A line longer than a block.
                stream.seek(position)
                wanted *= 2
                continue
            stream.seek(whole - len(block), os.SEEK_CUR)
            block = block[:whole]
        position += len(block)
        wanted = block_bytes
        yield block
    _check_whole(position, end_byte)


def _go_to_line(stream: BinaryIO, start_byte: int) -> int:
    """Go to start_byte, or past the line end that stands there."""
    position = start_byte
    if position:
        stream.seek(position - 1)
        if stream.read(1) != b"\n":
            rest = stream.read(2)
            position += 1 if rest.startswith(b"\n") else 2 if rest == b"\r\n" else 0
    stream.seek(position)
    return position


def _check_whole(position: int, end_byte: int) -> None:
    if position < end_byte:
        raise Unreadable("it became shorter while it was read: let it be written, then renamed")
