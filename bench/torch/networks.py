"""Plain PyTorch twins of the benchmarked networks: autograd over ordinary operations, no hand-written gradients."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F


class BcosConv(nn.Module):
    """B-cos convolution with b = 2: |s| s / ||patch||, s the response of unit-norm filters."""

    def __init__(self, inputs, outputs, kernel, stride=1, padding=0):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        nn.init.kaiming_normal_(self.weight, mode="fan_out")
        self.kernel, self.stride, self.padding = kernel, stride, padding
        self.explain = False

    def forward(self, x):
        weight = self.weight / self.weight.square().sum((1, 2, 3), keepdim=True).sqrt()
        response = F.conv2d(x, weight, stride=self.stride, padding=self.padding)
        energy = F.avg_pool2d(x.square().sum(1, keepdim=True), self.kernel, self.stride, self.padding)
        scale = response.abs() / (energy * self.kernel**2 + 1e-6).sqrt()
        return response * (scale.detach() if self.explain else scale)


class UncenteredBatchNorm(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.explain = False

    def forward(self, x):
        variance = self.running_var
        if self.training:
            variance = x.var((0, 2, 3), unbiased=False)
            self.running_var.mul_(0.9).add_(variance.detach(), alpha=0.1)
        return x * (self.weight / (variance + 1e-5).sqrt())[None, :, None, None]


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = BcosConv(inputs, outputs, 3, stride, 1)
        self.bn1 = UncenteredBatchNorm(outputs)
        self.conv2 = BcosConv(outputs, outputs, 3, 1, 1)
        self.bn2 = UncenteredBatchNorm(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(BcosConv(inputs, outputs, 1, stride), UncenteredBatchNorm(outputs))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.bn2(self.conv2(self.bn1(self.conv1(x)))) + shortcut


def stages(widths, blocks, inputs):
    result = []
    for index, (width, count) in enumerate(zip(widths, blocks)):
        layer = []
        for block in range(count):
            layer.append(Block(inputs, width, 2 if index > 0 and block == 0 else 1))
            inputs = width
        result.append(nn.Sequential(*layer))
    return result


class ResNet(nn.Module):
    """`lower` maps the six-channel image to the last stage's features, `upper` those to logits."""

    def __init__(self, widths, blocks, classes, imagenet_stem):
        super().__init__()
        stem = [BcosConv(6, widths[0], 7, 2, 3) if imagenet_stem else BcosConv(6, widths[0], 3, 1, 1)]
        stem.append(UncenteredBatchNorm(widths[0]))
        if imagenet_stem:
            stem.append(nn.AvgPool2d(3, 2, 1))
        self.lower = nn.Sequential(*stem, *stages(widths, blocks, widths[0]))
        self.upper = BcosConv(widths[-1], classes, 1)
        self.bias = -math.log(classes - 1)

    def classify(self, features):
        return self.upper(features).mean((2, 3)) + self.bias

    def forward(self, x):
        return self.classify(self.lower(x))


def explanation_mode(network, on):
    for module in network.modules():
        if hasattr(module, "explain"):
            module.explain = on


def resnet18():
    return ResNet([64, 128, 256, 512], [2, 2, 2, 2], 1000, True)


def resnet20():
    return ResNet([16, 32, 64], [3, 3, 3], 10, False)
