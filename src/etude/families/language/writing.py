"""How a language model goes on with a text: symbol by symbol, each drawn as likely as the network finds it."""

import torch
from torch import Tensor

from etude.data.text.vocabulary import Vocabulary
from etude.families.language.chunks import NetworkOfText, carries


def opening(vocabulary: Vocabulary) -> str:
    """What a text begins with that nothing else is given for: a new line, or else the most frequent symbol."""
    return "\n" if "\n" in vocabulary.ordinary else vocabulary.ordinary[0]


def continued(
    network: NetworkOfText,
    vocabulary: Vocabulary,
    prompt: str,
    num_symbols: int,
    *,
    temperature: float,
    generator: torch.Generator,
    chunk: int,
) -> str:
    """The prompt, or else `opening`, and `num_symbols` that follow it; see `go_on`."""
    ids = torch.tensor(vocabulary.encode(prompt or opening(vocabulary)), device=generator.device)
    written = go_on(
        network, ids, num_symbols, temperature=temperature, generator=generator, chunk=chunk, never=vocabulary.unknown
    )
    return vocabulary.decode([*ids.tolist(), *written.tolist()])


@torch.no_grad()
def go_on(
    network: NetworkOfText,
    prompt: Tensor,
    num_symbols: int,
    *,
    temperature: float,
    generator: torch.Generator,
    chunk: int,
    never: int,
) -> Tensor:
    """The symbols (num_symbols,) that follow a prompt (T,), T at least 1; the network is in evaluation mode.

    Scores are divided by the temperature before they become probabilities; at 0 the most likely symbol is taken. The
    prompt is read in chunks. A network without a state reads the last `chunk` symbols for each one. The symbol `never`
    is not written.
    """
    state, scores = None, torch.empty(0)
    for part in prompt.split(chunk):
        scores, state = network(part[None], state)
    if not carries(state):
        scores, _ = network(prompt[None, -chunk:], None)
    written = list(prompt.split(1))
    for _ in range(num_symbols):
        last = scores[0, -1].double()
        last[never] = -torch.inf
        if temperature < 1e-300:  # scores divided by less are infinite
            symbol = last.argmax()[None]
        else:
            symbol = torch.multinomial((last / temperature).softmax(0), 1, generator=generator)
        written.append(symbol)
        given = symbol if carries(state) else torch.cat(written[-chunk:])
        scores, state = network(given[None], state)
    return torch.cat(written[len(prompt) :])
