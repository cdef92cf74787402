"""The tests' small Whisper as a model for faster-whisper: a folder as CTranslate2's own converter writes it.

That converter needs the package transformers, and a checkpoint in its layout; here is one of OpenAI's.
"""

import json
from itertools import product
from pathlib import Path
from typing import Any

import torch
from ctranslate2.converters.utils import fuse_linear
from ctranslate2.specs.common_spec import LinearSpec
from ctranslate2.specs.whisper_spec import WhisperSpec
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from whisper.tokenizer import get_tokenizer

# What a language model is not to say at its beginning: a space, and the end.
BLANK = [220, 50257]


def convert(checkpoint: Path, folder: Path) -> Path:
    """Write a checkpoint of OpenAI's as a model for faster-whisper; return its folder."""
    loaded = torch.load(checkpoint, weights_only=True)
    dims, state = loaded["dims"], loaded["model_state_dict"]
    if not dims["n_audio_layer"]:  # CTranslate2 needs one
        dims["n_audio_layer"] = 1
        state |= _idle_layer(dims["n_audio_state"])
    layers, heads = dims["n_text_layer"], dims["n_text_head"]
    spec = WhisperSpec(dims["n_audio_layer"], dims["n_audio_head"], layers, heads)
    for conv in ("conv1", "conv2"):
        _copy(getattr(spec.encoder, conv), state, f"encoder.{conv}")
    spec.encoder.position_encodings.encodings = state["encoder.positional_embedding"]
    _norm(spec.encoder.layer_norm, state, "encoder.ln_post")
    _block_list(spec.encoder.layer, state, "encoder")
    spec.decoder.embeddings.weight = spec.decoder.projection.weight = state["decoder.token_embedding.weight"]
    spec.decoder.position_encodings.encodings = state["decoder.positional_embedding"]
    _norm(spec.decoder.layer_norm, state, "decoder.ln")
    _block_list(spec.decoder.layer, state, "decoder")
    tokens = _tokens(dims["n_vocab"])
    spec.register_vocabulary(tokens)
    languages = get_tokenizer(True).all_language_tokens
    spec.config.suppress_ids, spec.config.suppress_ids_begin, spec.config.lang_ids = [], BLANK, list(languages)
    spec.config.alignment_heads = list(product(range(layers // 2, layers), range(heads)))
    spec.validate()
    spec.optimize()
    folder.mkdir(parents=True)
    spec.save(str(folder))
    _tokenizer(tokens).save(str(folder / "tokenizer.json"))
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": dims["n_mels"]}))
    return folder


def _idle_layer(width: int) -> dict[str, torch.Tensor]:
    """Return a layer of an encoder that adds nothing to what it is given."""
    block, square, line = "encoder.blocks.0", torch.zeros(width, width), torch.zeros(width)
    linear = ("attn.query", "attn.key", "attn.value", "attn.out", "mlp.0", "mlp.2")
    layer = {f"{block}.{name}.weight": square for name in linear}
    layer |= {f"{block}.{name}.bias": line for name in (*linear, "attn_ln", "mlp_ln") if name != "attn.key"}
    return layer | {f"{block}.{name}.weight": line for name in ("attn_ln", "mlp_ln")}


def _copy(spec: Any, state: dict[str, torch.Tensor], name: str) -> None:
    spec.weight = state[f"{name}.weight"]
    if f"{name}.bias" in state:
        spec.bias = state[f"{name}.bias"]


def _norm(spec: Any, state: dict[str, torch.Tensor], name: str) -> None:
    spec.gamma, spec.beta = state[f"{name}.weight"], state[f"{name}.bias"]


def _block_list(specs: list[Any], state: dict[str, torch.Tensor], side: str) -> None:
    for number, spec in enumerate(specs):
        block = f"{side}.blocks.{number}"
        _attention(spec.self_attention, state, f"{block}.attn", (("query", "key", "value"),))
        if side == "decoder":
            _attention(spec.attention, state, f"{block}.cross_attn", (("query",), ("key", "value")))
        _norm(spec.ffn.layer_norm, state, f"{block}.mlp_ln")
        _copy(spec.ffn.linear_0, state, f"{block}.mlp.0")
        _copy(spec.ffn.linear_1, state, f"{block}.mlp.2")


def _attention(spec: Any, state: dict[str, torch.Tensor], name: str, groups: tuple[tuple[str, ...], ...]) -> None:
    _norm(spec.layer_norm, state, f"{name}_ln")
    for place, group in enumerate(groups):
        parts = [LinearSpec() for _ in group]
        for part, matrix in zip(parts, group, strict=True):
            _copy(part, state, f"{name}.{matrix}")
        fuse_linear(spec.linear[place], parts)
    _copy(spec.linear[-1], state, f"{name}.out")


def _tokens(count: int) -> list[str]:
    """Return Whisper's vocabulary with the letters that stand for bytes, as the files of such models have it."""
    encoding = get_tokenizer(True).encoding
    letters = _letters()
    tokens = [""] * count
    for token, number in encoding._mergeable_ranks.items():
        tokens[number] = "".join(letters[byte] for byte in token)
    for token, number in encoding._special_tokens.items():
        tokens[number] = token
    return tokens


def _letters() -> dict[int, str]:
    """Return a letter for each byte: those that can be printed stand for themselves, the others follow from U+0100."""
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (byte for byte in range(256) if byte not in printed)
    return {byte: chr(byte) for byte in printed} | {byte: chr(256 + place) for place, byte in enumerate(others)}


def _tokenizer(tokens: list[str]) -> Tokenizer:
    """Return a tokenizer that reads all tokens, and writes bytes: merging them is nothing that a test needs."""
    end = get_tokenizer(True).eot
    tokenizer = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(tokens[end:])
    return tokenizer
