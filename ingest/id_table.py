"""Values by document id, of any number: a private database that goes to disk when it grows."""

import sqlite3
from collections.abc import Iterable, Sequence

#: As many as one statement takes on every build of SQLite.
_AT_ONCE = 900


class IdTable:
    """A mapping of ids to bytes; as a context it is deleted at the end."""

    def __init__(self) -> None:
        # An empty name is a temporary file of its own, written only when its cache is full.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        columns = "(id BLOB PRIMARY KEY, value BLOB)"
        self._database.execute(f"CREATE TABLE found {columns} WITHOUT ROWID")

    def __enter__(self) -> "IdTable":
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def put(self, items: Iterable[tuple[str, bytes]]) -> None:
        """Keep these; of an id that is there already, the new value."""
        rows = ((_key(identity), value) for identity, value in items)
        self._database.execute("BEGIN")
        self._database.executemany("INSERT OR REPLACE INTO found VALUES (?, ?)", rows)
        self._database.execute("COMMIT")

    def get(self, ids: Sequence[str]) -> dict[str, bytes]:
        """The values of those of these ids that are there."""
        values: dict[str, bytes] = {}
        for start in range(0, len(ids), _AT_ONCE):
            keys = [_key(identity) for identity in ids[start : start + _AT_ONCE]]
            marks = ",".join("?" * len(keys))
            query = f"SELECT id, value FROM found WHERE id IN ({marks})"
            for key, value in self._database.execute(query, keys):
                values[key.decode(errors="surrogatepass")] = value
        return values


def _key(identity: str) -> bytes:
    return identity.encode(errors="surrogatepass")
