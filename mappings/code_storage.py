"""How an engine keeps a binary code beside its vector: as 64-bit longs, or as a vector of bits."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ..models.codes import codes_to_longs, longs_to_codes, n_longs

Json = dict[str, Any]
CodeKind = Literal["longs", "bits"]


class CodeStorage(ABC):
    """Parts of a document, their mapping, and the Painless that reads and writes them.

    Attributes:
        put: Painless, a function `putCode(Map hashes, List words, int nBits)` that adds the parts
            to `hashes`; `words` are the code's longs.
        first_long: Painless, statements that set `long code` to the first 64 bits of the code in
            the field `params.code_field`.
    """

    put: ClassVar[str]
    first_long: ClassVar[str]

    @abstractmethod
    def mapping(self, n_bits: int) -> Json:
        """Properties of the parts."""

    @abstractmethod
    def parts(self, codes: NDArray[np.uint8], n_bits: int) -> list[Json]:
        """What each document holds of (n, n_bytes) codes of `n_bits`, as `mapping` names it."""

    @abstractmethod
    def code(self, hashes: Mapping[str, Any], n_bits: int) -> NDArray[np.uint8] | None:
        """Out of what a document holds its (n_bytes,) code; None where a part is missing."""

    @abstractmethod
    def differing(
        self, root: str, code: NDArray[np.uint8], n_bits: int
    ) -> tuple[str, dict[str, Any]]:
        """Painless that counts the bits in which a document's code differs, and its parameters.

        Args:
            root: the object that has the parts.
            code: (n_bytes,) uint8.
            n_bits: the code's length.
        """

    def field(self, root: str, n_bits: int) -> str:
        """The full name of the last part: a document that has it has a code of this length."""
        return f"{root}.{list(self.mapping(n_bits))[-1]}"

    def first_field(self, root: str, n_bits: int) -> str:
        """The full name of the part with the first 64 bits."""
        return f"{root}.{next(iter(self.mapping(n_bits)))}"


class Longs(CodeStorage):
    """`code_0`, `code_1` and so on, big-endian, the last filled up with zeros on the right."""

    put = """
void putCode(Map hashes, List words, int nBits) {
  for (int i = 0; i < words.size(); ++i) { hashes.put('code_' + i, words.get(i)); }
}"""
    first_long = "long code = doc[params.code_field].value;"

    def mapping(self, n_bits: int) -> Json:
        """See `CodeStorage`."""
        return {name: {"type": "long", "index": False} for name in self._names(n_bits)}

    def parts(self, codes: NDArray[np.uint8], n_bits: int) -> list[Json]:
        """See `CodeStorage`."""
        names = self._names(n_bits)
        return [dict(zip(names, words, strict=True)) for words in codes_to_longs(codes).tolist()]

    def code(self, hashes: Mapping[str, Any], n_bits: int) -> NDArray[np.uint8] | None:
        """See `CodeStorage`."""
        longs = [hashes.get(name) for name in self._names(n_bits)]
        if None in longs:
            return None
        codes = longs_to_codes(np.array([longs], dtype=np.int64), n_bits)
        code: NDArray[np.uint8] = codes[0]
        return code

    def differing(
        self, root: str, code: NDArray[np.uint8], n_bits: int
    ) -> tuple[str, dict[str, Any]]:
        """See `CodeStorage`."""
        names = self._names(n_bits)
        source = " + ".join(
            f"Long.bitCount(doc[params.fields[{i}]].value ^ "
            f"((Number) params.code[{i}]).longValue())"
            for i in range(len(names))
        )
        longs = codes_to_longs(code[None])[0].tolist()
        return f"({source})", {"fields": [f"{root}.{name}" for name in names], "code": longs}

    def _names(self, n_bits: int) -> list[str]:
        return [f"code_{i}" for i in range(n_longs(n_bits))]


#: Bytes of the shortest vector of bits: Elasticsearch 9.4.3 counts wrongly in a single byte.
_FEWEST_BYTES = 2


class Bits(CodeStorage):
    """`bits_N` for a code of N bits, in hexadecimal, filled up with zeros on the right.

    The name tells the length, so that an index takes a document with another model's code too.
    """

    put = f"""
void putCode(Map hashes, List words, int nBits) {{
  StringBuilder hex = new StringBuilder();
  for (def word : words) {{
    String digits = Long.toHexString((long) word);
    for (int i = digits.length(); i < 16; ++i) {{ hex.append('0'); }}
    hex.append(digits);
  }}
  int bytes = (nBits + 7) / 8;
  int length = 2 * (bytes < {_FEWEST_BYTES} ? {_FEWEST_BYTES} : bytes);
  hashes.put('bits_' + nBits, hex.substring(0, length));
}}"""
    first_long = """
float[] bytes = doc[params.code_field].vectorValue;
long code = 0L;
for (int i = 0; i < bytes.length && i < 8; ++i) {
  code |= (((long) bytes[i]) & 255L) << (56 - 8 * i);
}"""

    def mapping(self, n_bits: int) -> Json:
        """See `CodeStorage`."""
        dims = 8 * max(_FEWEST_BYTES, -(-n_bits // 8))
        code = {"type": "dense_vector", "element_type": "bit", "dims": dims, "index": False}
        return {self._name(n_bits): code}

    def parts(self, codes: NDArray[np.uint8], n_bits: int) -> list[Json]:
        """See `CodeStorage`."""
        return [{self._name(n_bits): self._hex(code)} for code in codes]

    def code(self, hashes: Mapping[str, Any], n_bits: int) -> NDArray[np.uint8] | None:
        """See `CodeStorage`."""
        code = hashes.get(self._name(n_bits))
        if code is None:
            return None
        if isinstance(code, str):
            whole = np.frombuffer(bytes.fromhex(code), dtype=np.uint8)
        else:  # as other clients may write it
            whole = np.array(code, dtype=np.int8).view(np.uint8)
        return whole[: -(-n_bits // 8)]

    def differing(
        self, root: str, code: NDArray[np.uint8], n_bits: int
    ) -> tuple[str, dict[str, Any]]:
        """See `CodeStorage`."""
        params = {"field": self.field(root, n_bits), "code": self._hex(code)}
        return "hamming(params.code, params.field)", params

    def _name(self, n_bits: int) -> str:
        return f"bits_{n_bits}"

    def _hex(self, code: NDArray[np.uint8]) -> str:
        return code.tobytes().ljust(_FEWEST_BYTES, b"\0").hex()


STORAGES: dict[CodeKind, CodeStorage] = {"longs": Longs(), "bits": Bits()}
