"""What a trained translator can do."""

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from etude.data import TokenPairs
from etude.data.text.vocabulary import BOS, EOS
from etude.errors import UsageError
from etude.families.abilities import TokenScores
from etude.families.abilities import Translation as Translated
from etude.families.translation.decoding import translated
from etude.families.translation.recipe import Translation
from etude.families.translation.scoring import token_scores
from etude.families.translation.translator import Translator, lengths_of

MOST_TOKENS = 1000
"""The most tokens of a sentence that is given to it."""
SENTENCES_AT_ONCE = 100


@final
class TrainedTranslator:
    """`Translates`, by the running average of the weights where there is one."""

    conditional = False

    def __init__(self, recipe: Translation, networks: dict[str, nn.Module], kind: TokenPairs) -> None:
        self.recipe, self.kind = recipe, kind
        network = networks.get("average") or next(iter(networks.values()))
        assert isinstance(network, Translator)
        self.network = network

    def inputs(self, examples: Tensor, *, generator: torch.Generator) -> Tensor:
        """See `Trained`: sources (N, S) as they are."""
        return examples

    def translate(self, texts: Sequence[str], *, beam: int | None = None) -> list[Translated]:
        """See `Translates`. `UsageError` for a text without a word, or of more than 1,000 tokens."""
        rows = [self._row(text) for text in texts]
        found: list[Translated] = []
        for start in range(0, len(rows), SENTENCES_AT_ONCE):
            part = slice(start, start + SENTENCES_AT_ONCE)
            source = pad_sequence(rows[part], batch_first=True)
            written = translated(self.network, source, beam=beam or self.recipe.beam)
            target_in = pad_sequence([torch.tensor([BOS, *tokens]) for tokens in written], batch_first=True)
            with torch.no_grad():
                weights = self.network.align(source, target_in)  # (n, T, S)
            for number, (text, row, tokens) in enumerate(zip(texts[part], rows[part], written, strict=True)):
                out = [*tokens, EOS]
                found.append(
                    Translated(
                        source=text,
                        translation=self.kind.target_vocabulary.decode(tokens),
                        source_tokens=_shown(self.kind.source_vocabulary.tokens, row.tolist()),
                        tokens=_shown(self.kind.target_vocabulary.tokens, out),
                        alignment=None if weights is None else weights[number, : len(out), : len(row)],
                    )
                )
        return found

    def written(self, source: Tensor, *, beam: int) -> list[str]:
        """The translations of sources (N, S) as texts."""
        decode = self.kind.target_vocabulary.decode
        return [decode(tokens) for tokens in translated(self.network, source, beam=beam)]

    def token_scores(self, source: Tensor, target: Tensor) -> TokenScores:
        """See `Translates`."""
        return token_scores(self.network, source, target)

    @torch.no_grad()
    def last_states(self, source: Tensor) -> Tensor | None:
        """See `Translates`."""
        lengths, parts = lengths_of(source), []
        for rows in torch.arange(len(source)).split(SENTENCES_AT_ONCE):
            ends = self.network.ends(source[rows, : int(lengths[rows].max())])
            if ends is None:
                return None
            parts.append(ends)
        return torch.cat(parts)

    def _row(self, text: str) -> Tensor:
        tokens = self.kind.source_vocabulary.encode(text)
        if not tokens:
            raise UsageError(f"{text!r} has no word to translate: give a sentence.")
        if len(tokens) > MOST_TOKENS:
            raise UsageError(
                f"a text of {len(tokens):,} tokens (allowed: at most {MOST_TOKENS:,}): give one sentence at a time."
            )
        return torch.tensor([*tokens, EOS])


def _shown(tokens: Sequence[str], ids: Sequence[int]) -> tuple[str, ...]:
    """Tokens as a person reads them, without the space that a word keeps before it."""
    return tuple(tokens[each].strip() or tokens[each] for each in ids)
