"""What cures a gradient that vanishes or explodes: changes of a network that `--flow` tries on a copy."""

from collections.abc import Callable

from torch import Tensor, nn

from etude.models.recurrent import Cell

REMEMBER = 5.0
"""The bias of a gate that keeps its state: σ(5) = 0.993."""

Change = Callable[[nn.Module], bool]
_LAYERS = (nn.Linear, nn.modules.conv._ConvNd)
_SWAPPED = (nn.Sigmoid, nn.Tanh, nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Softplus)


class _Residual(nn.Module):
    """x + f(x) where the shapes allow it."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        return x + y if y.shape == x.shape else y


def _initialise(root: nn.Module) -> bool:
    """He (2015) before rectifiers, Glorot (2010) otherwise; biases 0."""
    rectified = any(isinstance(part, nn.ReLU | nn.LeakyReLU | nn.GELU | nn.SiLU | nn.ELU) for part in root.modules())
    layers = [part for part in root.modules() if isinstance(part, _LAYERS)]
    for layer in layers:
        if rectified:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        else:
            nn.init.xavier_normal_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return bool(layers)


def _activate(make: Callable[[], nn.Module]) -> Change:
    def change(root: nn.Module) -> bool:
        kind = type(make())
        return _replace(
            root, lambda part: make() if isinstance(part, _SWAPPED) and not isinstance(part, kind) else None
        )

    return change


def _normalise(root: nn.Module) -> bool:
    """Batch-norm after every layer but the last."""
    layers = [part for part in root.modules() if isinstance(part, _LAYERS)]
    last = layers[-1] if layers else None

    def make(part: nn.Module) -> nn.Module | None:
        if part is last or not isinstance(part, _LAYERS):
            return None
        if isinstance(part, nn.Linear):
            return nn.Sequential(part, nn.BatchNorm1d(part.out_features))
        norm = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[len(part.kernel_size)]
        return nn.Sequential(part, norm(part.out_channels))

    return len(layers) > 1 and _replace(root, make)


def _bypass(root: nn.Module) -> bool:
    """A residual connection around every layer with what follows it up to the next one, in each `nn.Sequential`."""
    changed = False
    for parent in [part for part in root.modules() if type(part) is nn.Sequential]:
        blocks: list[list[nn.Module]] = []
        for child in parent:
            if isinstance(child, _LAYERS) or not blocks:
                blocks.append([])
            blocks[-1].append(child)
        if sum(isinstance(block[0], _LAYERS) for block in blocks) < 2:
            continue
        changed = True
        wrapped = [
            _Residual(nn.Sequential(*block)) if isinstance(block[0], _LAYERS) else nn.Sequential(*block)
            for block in blocks
        ]
        for name in list(parent._modules):
            del parent._modules[name]
        for i, block in enumerate(wrapped):
            parent.add_module(str(i), block)
    return changed


def _recur(root: nn.Module) -> bool:
    """Orthogonal recurrent weights (Saxe et al. 2014), and gates that remember (Jozefowicz et al. 2015)."""
    changed = False
    for part in root.modules():
        if not isinstance(part, nn.RNNBase | nn.RNNCellBase | Cell):
            continue
        changed = True
        size = part.hidden_size
        for name, parameter in part.named_parameters():
            if name.startswith("weight_hh"):
                for block in parameter.detach().split(size):
                    nn.init.orthogonal_(block)  # where h is projected, of another size: rows or columns orthogonal
            if name.startswith("bias_ih") and len(parameter) > size:
                # Both keep the old state by the second gate: forget gate of an LSTM, update gate of a GRU.
                parameter.detach()[size : 2 * size].fill_(REMEMBER)
    return changed


def _replace(root: nn.Module, make: Callable[[nn.Module], nn.Module | None]) -> bool:
    """Put `make(part)` in the place of every part for which it is not None; one object stays one object."""
    made: dict[int, nn.Module] = {}
    for parent in list(root.modules()):
        for name, child in list(parent._modules.items()):
            if child is None or id(parent) in {id(m) for m in made.values()}:
                continue
            new = made.get(id(child)) or make(child)
            if new is not None:
                made[id(child)] = new
                parent._modules[name] = new
    return bool(made)


REMEDIES: dict[str, tuple[Change, ...]] = {
    "initialisation": (_initialise,),
    "activation: tanh": (_activate(nn.Tanh),),
    "activation: ReLU": (_activate(nn.ReLU),),
    "activation: ReLU, with initialisation": (_activate(nn.ReLU), _initialise),
    "normalisation (batch-norm)": (_normalise,),
    "residual connections": (_bypass,),
}
"""Name: what is done to the copy, in order."""
OVER_TIME: dict[str, tuple[Change, ...]] = {"recurrent weights orthogonal, gates that remember": (_recur,)}
"""Those for what vanishes or explodes over time."""
