"""What can be a document's id, and what it lies by."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from ...errors import InputError

#: MongoDB's extended JSON for what its ids are.
_EXTENDED = frozenset({"$oid", "$uuid", "$numberInt", "$numberLong"})


class MetadataError(InputError):
    """What is said of a document cannot be kept; the message says why."""


def id_of(value: Any, what: str = "id") -> str | None:
    """A document's id: a text, an integer's digits, what MongoDB exports; None for none.

    Args:
        value: what stands there; bytes are UTF-8, as Parquet's are that are not marked as text.
        what: what it is to be, for the message.

    Raises:
        MetadataError: something else.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | UUID) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return format(value, "f").partition(".")[0]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise MetadataError(f"expected a text or an integer as its {what}, got bytes") from None
    if isinstance(value, dict) and len(value) == 1 and set(value) <= _EXTENDED:
        (text,) = value.values()
        if isinstance(text, str):
            return text
    got = f"{type(value).__name__} {value!r:.40}"
    raise MetadataError(f"expected a text or an integer as its {what}, got {got}")
