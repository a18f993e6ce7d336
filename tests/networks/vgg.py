"""VGG-11 with batch-norm, a list of layers in place of code, weights drawn by hand, as model collections do."""

import torch
from torch import nn

CONFIGURATION = [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"]


def make_layers(configuration, in_channels, divide):
    layers = []
    for entry in configuration:
        if entry == "M":
            layers += [nn.MaxPool2d(kernel_size=2, stride=2)]
        else:
            layers += [nn.Conv2d(in_channels, entry // divide, kernel_size=3, padding=1)]
            layers += [nn.BatchNorm2d(entry // divide), nn.ReLU(inplace=True)]
            in_channels = entry // divide
    return nn.Sequential(*layers)


class VGG(nn.Module):
    def __init__(self, num_classes: int = 1000, in_channels: int = 3, dropout: float = 0.5, divide: int = 1) -> None:
        super().__init__()
        self.features = make_layers(CONFIGURATION, in_channels, divide)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.classifier = nn.Sequential(
            nn.Linear(512 // divide, 256), nn.ReLU(True), nn.Dropout(p=dropout),
            nn.Linear(256, 256), nn.ReLU(True), nn.Dropout(p=dropout),
            nn.Linear(256, num_classes),
        )  # fmt: skip
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
                if m.bias is not None:
                    nn.init.constant_(m.bias, 0)
            elif isinstance(m, nn.BatchNorm2d):
                nn.init.constant_(m.weight, 1)
                nn.init.constant_(m.bias, 0)
            elif isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, 0, 0.01)
                nn.init.constant_(m.bias, 0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.features(x)
        x = self.avgpool(x)
        x = torch.flatten(x, 1)
        return self.classifier(x)


def vgg11_bn(**kwargs):
    return VGG(**kwargs)
