"""The database file: its tables, how it is opened, and what happens to one that is damaged.

Write-ahead log: a reader never waits for a writer, and a process that is killed loses what it had not
committed and nothing else. `secure_delete`: what is erased is overwritten.
"""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

from edge_agent.errors import ConfigurationError

VERSION = 2
_BUSY_MS = 5000
_LOG_BYTES = 1 << 20
_log = logging.getLogger(__name__)

_TABLES = """
CREATE TABLE run (id INTEGER PRIMARY KEY, offset_ns INTEGER NOT NULL,
                  first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL);
CREATE TABLE kind (id INTEGER PRIMARY KEY, head TEXT NOT NULL, label TEXT NOT NULL, known INTEGER NOT NULL,
                   novel INTEGER NOT NULL, simulated INTEGER NOT NULL, sensors TEXT NOT NULL,
                   UNIQUE (head, label, known, novel, simulated, sensors));
CREATE TABLE interval (id INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, run INTEGER NOT NULL,
                       start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, probability REAL NOT NULL,
                       windows INTEGER NOT NULL, first_window INTEGER NOT NULL, last_window INTEGER NOT NULL);
CREATE INDEX interval_kind ON interval (kind, run, start_ns);
CREATE TABLE event (id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, at_ns INTEGER NOT NULL,
                    name TEXT NOT NULL, head TEXT NOT NULL, label TEXT NOT NULL, previous TEXT,
                    probability REAL NOT NULL);
CREATE INDEX event_time ON event (run, at_ns);
"""
_NUMBERS = """
CREATE TABLE measure (id INTEGER PRIMARY KEY, name TEXT NOT NULL, unit TEXT NOT NULL,
                      simulated INTEGER NOT NULL, sensors TEXT NOT NULL,
                      UNIQUE (name, unit, simulated, sensors));
CREATE TABLE minute (id INTEGER PRIMARY KEY AUTOINCREMENT, measure INTEGER NOT NULL, run INTEGER NOT NULL,
                     start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, low REAL NOT NULL,
                     low_ns INTEGER NOT NULL, high REAL NOT NULL, high_ns INTEGER NOT NULL,
                     first REAL NOT NULL, last REAL NOT NULL, total REAL NOT NULL, count INTEGER NOT NULL,
                     first_window INTEGER NOT NULL, last_window INTEGER NOT NULL);
CREATE INDEX minute_measure ON minute (measure, run, start_ns);
"""
_STEPS = {0: _TABLES + _NUMBERS, 1: _NUMBERS}
"""What a file of an earlier version lacks; 0 is one that is new."""


def open_file(path: Path) -> sqlite3.Connection:
    """The database at `path`, made where there is none; a damaged one is put aside and begun anew.

    Raises ConfigurationError where the file cannot be made, or is of a version that this one cannot read.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return _connect(path)
        except sqlite3.OperationalError:  # locked, full, not ours to write: not damaged
            raise
        except sqlite3.DatabaseError as error:
            aside = path.with_name(f"{path.name}.damaged")
            _log.error("%s is damaged (%s): put aside as %s, a new one begun", path, error, aside.name)
            path.replace(aside)
            for ending in ("-wal", "-shm"):
                path.with_name(path.name + ending).unlink(missing_ok=True)
            return _connect(path)
    except (OSError, sqlite3.Error) as error:
        raise ConfigurationError(
            f"memory.path: cannot use {path}: {error}",
            key="memory.path",
            hint="name a file in a folder that this user may write, or set enabled = false in [memory]",
        ) from error


def _connect(path: Path) -> sqlite3.Connection:
    path.touch()
    path.chmod(0o600)  # before it is opened: SQLite gives its log the mode that the file has then
    # Shared by threads, one at a time: the store has a lock. Transactions are begun by hand.
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version == 0:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
        if version in _STEPS:
            step = _STEPS[version]
            connection.executescript(f"BEGIN IMMEDIATE; {step} PRAGMA user_version = {VERSION}; COMMIT;")
        elif version != VERSION:
            raise ConfigurationError(
                f"{path} is of version {version}; this program reads {VERSION}",
                key="memory.path",
                hint="name another file, or move this one away",
            )
        connection.execute("SELECT count(*) FROM run").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection
