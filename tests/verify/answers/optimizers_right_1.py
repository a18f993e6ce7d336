"""PyTorch's own."""

from torch.optim import SGD as TorchSGD
from torch.optim import Adam as Adam
from torch.optim import AdamW as AdamW


class SGD(TorchSGD):
    def __init__(self, params, lr, momentum=0, weight_decay=0):
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay)
