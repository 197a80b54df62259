"""Texts as vectors, and vectors as codes."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gallump_lab.memory import vectors

vector = arrays(np.int64, (1, vectors.DIMENSIONS), elements=st.integers(-4_000, 4_000))


@settings(deadline=None)
@given(vector)
def test_a_code_tells_each_values_sign_and_whether_it_is_large(given_vector):
    decoded = vectors.decode(vectors.encode(given_vector))
    values, found = given_vector[0], decoded[0]
    if not values.any():
        assert not found.any()
        return
    assert np.array_equal(found > 0, values > 0)
    mean_square = (values.astype(float) ** 2).mean()
    clear = ~np.isclose(values.astype(float) ** 2, mean_square)
    expected = np.where(values.astype(float) ** 2 > mean_square, vectors.LARGE, vectors.SMALL)
    assert np.array_equal(np.abs(found)[clear], expected[clear])


@settings(deadline=None)
@given(vector, vector)
def test_distance_counts_the_signs_that_differ(one, other):
    codes = vectors.encode(np.concatenate([one, other]))
    differing = int(((one > 0) != (other > 0)).sum())
    assert vectors.distance(codes, codes[1]).tolist() == [differing, 0]


def test_what_means_the_same_lies_nearer_than_what_does_not():
    embed = vectors.BUILT_IN.embed(["a doctor for kids", "the child's physician", "crude oil fell", "", "the"])
    code = vectors.encode(embed)
    near, far = vectors.distance(code[1:3], code[0])
    assert near < 0.8 * far
    assert not embed[3:].any()


def test_a_questions_words_count_as_they_are_weighted():
    even, uneven = (
        vectors.BUILT_IN.embed(["oil dividend"], weight)[0] for weight in (lambda _: 3, {"oil": 1, "dividend": 9}.get)
    )
    plain = vectors.BUILT_IN.embed(["oil", "dividend"])
    assert np.array_equal(even, 3 * plain.sum(0))
    assert np.array_equal(uneven, plain[0] + 9 * plain[1])


@pytest.mark.parametrize("text", ["Über 株価が上がる", "BRK.B at $1,250.50", "🚀🚀", "x" * 5_000, "\x00\ud83d"])
def test_odd_text_has_a_vector_too(text):
    assert vectors.BUILT_IN.embed([text]).shape == (1, vectors.DIMENSIONS)


def test_the_built_in_vectors_are_those_that_labs_hold():
    """Another version of the package with other vectors must get another name, or recall would compare unlike codes."""
    codes = vectors.encode(vectors.BUILT_IN.embed(["My stop on AAPL is at 430, below the 50-day mean."]))
    assert hashlib.sha256(codes.tobytes()).hexdigest()[:16] == "0e4521bda9e9242a"
