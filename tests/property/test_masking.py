"""Masking: whatever stands around a key it goes, what holds none stays, and twice is once."""

import re
import string

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gallump_lab.masking import Stream, describe, masked

LETTERS = string.ascii_letters + string.digits
CAPITALS = string.ascii_uppercase + string.digits


def keys(prefix, size, of=LETTERS):
    """Keys of a prefix; a figure and a letter make sure that each looks like one."""
    return st.text(of, min_size=size, max_size=size).map(lambda rest: f"{prefix}{rest}Q7")


def inside(key):
    return key[len(key) // 2 :][:12]


KEYS = st.one_of(
    keys("sk-ant-api03-", 93),
    keys("sk-proj-", 60, LETTERS + "_-"),
    keys("AKIA", 14, CAPITALS),
    keys("github_pat_", 80),
    keys("xoxb-", 40),
    keys("-----BEGIN RSA PRIVATE KEY-----\n", 64).map(lambda key: f"{key}\n-----END RSA PRIVATE KEY-----"),
)
# What patterns look for, and what they must not take for more than it is.
PARTS = st.sampled_from(
    "password|token|api key|secret|private key|seed phrase|bearer|Authorization:| is |: |=|\"|'|(|]|\n|\\n|://|user:|@|"
    "-----BEGIN PRIVATE KEY-----|-----END PRIVATE KEY-----|sk-|sk-ant-|eyJ|AKIA|PK|[API key removed]|"
    "[password removed]|hunter2|a1B2c3D4e5F6a7B8c9D0|0123456789abcdef|word|\u200b|.|/|+|-|_| |"
    "pass|pw|login: |card|4111 1111 1111 1111|[card number removed]| for |"
    "curl -u |&sig=|mot de passe|clave|\t|,|**".split("|")
)
TEXTS = st.lists(PARTS | st.text(max_size=5), max_size=12).map("".join)
# No label, no sign of a key, no word as long as one.
PLAIN = st.lists(
    st.text(max_size=12).filter(
        lambda word: not re.search("(?i)pass|pw|kennwort|mdp|contrase|://|-----|phrase|mnemon", word)
    )
)


@given(TEXTS, KEYS, TEXTS)
@example("-----BEGIN PRIVATE KEY-----", "AKIAABCDEFGHIJKLMNQ7", "")
@settings(max_examples=150)
def test_a_key_is_gone_wherever_it_stands(before, key, after):
    result = masked(f"{before} {key} {after}")
    assert inside(key) not in result
    assert " removed]" in result


@given(TEXTS)
@settings(max_examples=200)
def test_masking_twice_is_masking_once(text):
    once = masked(text)
    assert masked(once) == once
    assert (once != text) == (describe(text) is not None)


@given(PLAIN)
def test_a_text_without_any_is_as_it_was(words):
    text = " ".join(words)
    assert masked(text) == text


@given(TEXTS, KEYS, TEXTS, st.lists(st.integers(1, 30)))
@settings(max_examples=100)
def test_a_stream_shows_no_key_however_it_is_cut(before, key, after, sizes):
    seen = []
    stream = Stream(seen.append)
    rest = f"{before} {key} {after}"
    for size in sizes:
        stream.add(rest[:size])
        rest = rest[size:]
    stream.add(rest)
    stream.end()
    assert inside(key) not in "".join(seen)
