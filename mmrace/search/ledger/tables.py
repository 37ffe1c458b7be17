"""The tables of the index.

Invariant: they are a function of the lines that were taken in (`intake.py`), in whatever order.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from zlib import crc32

import msgspec

from mmrace.search.ledger.sums import Sums, decode_hook, encode_hook

if TYPE_CHECKING:
    import sqlite3

VERSION = 6
"""Of the tables; an index of another one is made anew."""

# columns of a key come first: else SQLite 3.40's check of a whole file mistakes one for another
SCHEMA = """
CREATE TABLE segment (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, place INTEGER NOT NULL);
CREATE TABLE sequence (id INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, made TEXT, revision TEXT, program TEXT,
    engine TEXT, era TEXT, variant TEXT, role TEXT, trial TEXT, kind TEXT, entry BLOB);
CREATE TABLE campaign (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, last REAL NOT NULL DEFAULT 0);
CREATE TABLE event (campaign INTEGER NOT NULL, at REAL NOT NULL, entry BLOB NOT NULL, segment TEXT NOT NULL,
    PRIMARY KEY (campaign, at, entry)) WITHOUT ROWID;
CREATE TABLE batch (sequence INTEGER NOT NULL, first INTEGER NOT NULL, stop INTEGER NOT NULL, campaign INTEGER NOT NULL,
    at REAL NOT NULL, segment INTEGER NOT NULL, place INTEGER NOT NULL, till INTEGER NOT NULL,
    PRIMARY KEY (sequence, first)) WITHOUT ROWID;
CREATE TABLE repeated (campaign INTEGER NOT NULL, sequence INTEGER NOT NULL, first INTEGER NOT NULL,
    stop INTEGER NOT NULL, segment INTEGER NOT NULL, place INTEGER NOT NULL, till INTEGER NOT NULL,
    PRIMARY KEY (campaign, sequence, first, stop)) WITHOUT ROWID;
CREATE TABLE part (sequence INTEGER NOT NULL, campaign INTEGER NOT NULL, since REAL NOT NULL, made INTEGER NOT NULL,
    sums BLOB NOT NULL, PRIMARY KEY (sequence, campaign, since)) WITHOUT ROWID;
CREATE TABLE hit (sequence INTEGER NOT NULL, first INTEGER NOT NULL, signature TEXT NOT NULL, times INTEGER NOT NULL,
    campaign INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY (sequence, first, signature)) WITHOUT ROWID;
CREATE TABLE met (signature TEXT NOT NULL, program TEXT NOT NULL, variant TEXT NOT NULL, era TEXT NOT NULL,
    campaign TEXT NOT NULL, at REAL NOT NULL, entry BLOB NOT NULL, last REAL NOT NULL, known TEXT NOT NULL,
    PRIMARY KEY (signature, program, variant, era, campaign)) WITHOUT ROWID;
CREATE TABLE host (name TEXT PRIMARY KEY NOT NULL) WITHOUT ROWID;
CREATE TABLE trial (campaign INTEGER NOT NULL, canary TEXT NOT NULL, at REAL NOT NULL, entry BLOB NOT NULL,
    PRIMARY KEY (campaign, canary)) WITHOUT ROWID;
CREATE TABLE beat (campaign INTEGER NOT NULL, at REAL NOT NULL, entry BLOB NOT NULL, PRIMARY KEY (campaign, at))
    WITHOUT ROWID;
CREATE TABLE damage (segment TEXT NOT NULL, place INTEGER NOT NULL, what TEXT NOT NULL, PRIMARY KEY (segment, place))
    WITHOUT ROWID;
"""
SUM_BYTES = 4
WHOLE = -1.0
"""Stands for the time of the sums of a sequence in a campaign as a whole, beside those of its cells."""

_encode = msgspec.msgpack.Encoder(enc_hook=encode_hook).encode
_decode = msgspec.msgpack.Decoder(Sums, dec_hook=decode_hook).decode


def encode_sums(sums: Sums) -> bytes:
    """Return sums as the tables have them: with a check sum before them."""
    content = _encode(sums)
    return crc32(content).to_bytes(SUM_BYTES, "big") + content


def are_whole(blob: bytes) -> bool:
    """Say whether sums are what was written."""
    return blob[:SUM_BYTES] == crc32(blob[SUM_BYTES:]).to_bytes(SUM_BYTES, "big")


def decode_sums(blob: bytes) -> Sums:
    """Return sums that are whole."""
    return _decode(blob[SUM_BYTES:])


def make(db: sqlite3.Connection) -> None:
    """Make the tables."""
    db.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
    db.execute("INSERT INTO host VALUES (?)", (socket.gethostname(),))


def is_of_another_host(db: sqlite3.Connection) -> bool:
    """Say whether another machine made the tables: over a network, two that write them would damage them."""
    return db.execute("SELECT name FROM host").fetchall() != [(socket.gethostname(),)]


def empty(db: sqlite3.Connection) -> None:
    """Empty the tables, inside a transaction of the caller."""
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name != 'host'").fetchall():
        db.execute(f"DELETE FROM {name}")
