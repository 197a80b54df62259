"""Colours: the same everywhere, read in both themes, told apart by readers of any colour vision."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

import gallump_lab
from gallump_lab.study.colours import COLOURS, PAID, SERIES

SEES = {
    "all": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""Machado, Oliveira and Fernandes 2009, on linear RGB."""
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def linear(colour):
    part = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def lab(colour, sees):
    x, y, z = np.cbrt(XYZ @ np.clip(sees @ linear(colour), 0, 1) / [0.95047, 1, 1.08883])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("colour", sorted({*COLOURS.values(), *PAID.values(), *SERIES}))
def test_a_colour_stands_out_on_white_and_in_the_dark(colour):
    light, dark, ground = 1.05, linear("#111111") @ XYZ[1] + 0.05, linear(colour) @ XYZ[1] + 0.05
    assert light / ground >= 3
    assert ground / dark >= 3


@pytest.mark.parametrize("sees", SEES)
def test_any_two_parts_of_a_prompt_differ_for_every_colour_vision(sees):
    seen = [lab(colour, np.array(SEES[sees])) for colour in COLOURS.values()]
    assert min(np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2)) > 14


def test_the_chat_has_the_charts_colours():
    front = Path(gallump_lab.__file__).parent / "ui" / "front" / "parts.js"
    found = {name.upper(): colour.upper() for name, colour in re.findall(r'  (\w+): "(#\w{6})"', front.read_text())}
    assert found == {name.upper(): colour for name, colour in COLOURS.items()}
