"""Sequence models: word vectors, recurrent cells, attention, encoders, decoding, truncated backpropagation, BLEU."""

from etude.verify.contracts.sequences import (
    attention,
    bleu,
    cells,
    decoding,
    encoders,
    positions,
    self_attention,
    states,
    targets,
    truncation,
    word_vectors,
)

CHECKS = (
    *word_vectors.CHECKS,
    *cells.CHECKS,
    *states.CHECKS,
    *encoders.CHECKS,
    *attention.CHECKS,
    *self_attention.CHECKS,
    *positions.CHECKS,
    *targets.CHECKS,
    *decoding.CHECKS,
    *truncation.CHECKS,
    *bleu.CHECKS,
)
