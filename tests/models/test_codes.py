import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from support.reference import reference_hamming

from meta4.models import codes

bit_arrays = hnp.arrays(bool, st.tuples(st.integers(1, 6), st.integers(1, 200)))


@given(bit_arrays)
def test_packing_is_undone_by_unpacking(bits):
    packed = codes.pack_bits(bits)
    assert packed.shape == (len(bits), -(-bits.shape[1] // 8))
    assert (codes.unpack_bits(packed, bits.shape[1]) == bits).all()


@given(bit_arrays)
def test_longs_keep_every_bit(bits):
    packed = codes.pack_bits(bits)
    longs = codes.codes_to_longs(packed)
    assert longs.shape == (len(bits), codes.n_longs(bits.shape[1]))
    assert (codes.longs_to_codes(longs, bits.shape[1]) == packed).all()


def test_the_first_bit_is_the_sign_of_the_first_long():
    bits = np.zeros((1, 64), dtype=bool)
    bits[0, 0] = True
    assert codes.codes_to_longs(codes.pack_bits(bits)).tolist() == [[-(2**63)]]


@given(bit_arrays)
def test_hamming_distance_is_the_slow_reference(bits):
    packed = codes.pack_bits(bits)
    distances = codes.hamming_distance(packed, packed)
    slow = [[reference_hamming(a, b) for b in packed] for a in packed]
    assert distances.tolist() == slow


@pytest.mark.parametrize(("n_bits", "expected"), [(8, 1), (64, 1), (65, 2), (1024, 16)])
def test_longs_of_a_code(n_bits, expected):
    assert codes.n_longs(n_bits) == expected
