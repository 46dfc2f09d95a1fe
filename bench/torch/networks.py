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


class BcosLinear(nn.Module):
    """The same for rows: |s| s / ||x||."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.explain = False

    def forward(self, x):
        response = F.linear(x, self.weight / self.weight.norm(dim=1, keepdim=True))
        scale = response.abs() / (x.norm(dim=-1, keepdim=True) + 1e-12)
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


class DetachableLayerNorm(nn.Module):
    """Layer norm over `axes` without bias; explanation mode holds the standard deviation constant."""

    def __init__(self, channels, axes):
        super().__init__()
        shape = [channels] + [1] * (len(axes) - 1)
        self.weight = nn.Parameter(torch.ones(shape))
        self.axes = axes
        self.explain = False

    def forward(self, x):
        centred = x - x.mean(self.axes, keepdim=True)
        std = (centred.square().mean(self.axes, keepdim=True) + 1e-5).sqrt()
        return self.weight * centred / (std.detach() if self.explain else std)


class Block(nn.Module):
    """Residual block: two 3x3 convolutions, or 1x1, 3x3, 1x1 with four times the channels."""

    def __init__(self, inputs, width, stride, bottleneck):
        super().__init__()
        outputs = 4 * width if bottleneck else width
        if bottleneck:
            body = [(inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)]
        else:
            body = [(inputs, width, 3, stride), (width, width, 3, 1)]
        layers = []
        for own, out, kernel, step in body:
            layers += [BcosConv(own, out, kernel, step, kernel // 2), UncenteredBatchNorm(out)]
        self.body = nn.Sequential(*layers)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(BcosConv(inputs, outputs, 1, stride), UncenteredBatchNorm(outputs))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.body(x) + shortcut


class ResNet(nn.Module):
    """`lower` maps the six-channel image to the last stage's features, `upper` those to class scores."""

    def __init__(self, widths, blocks, classes, imagenet_stem, bottleneck=False):
        super().__init__()
        stem = [BcosConv(6, widths[0], 7, 2, 3) if imagenet_stem else BcosConv(6, widths[0], 3, 1, 1)]
        stem.append(UncenteredBatchNorm(widths[0]))
        if imagenet_stem:
            stem.append(nn.AvgPool2d(3, 2, 1))
        stages, inputs = [], widths[0]
        self.ends = {}
        for index, (width, count) in enumerate(zip(widths, blocks)):
            for block in range(count):
                stages.append(Block(inputs, width, 2 if index > 0 and block == 0 else 1, bottleneck))
                inputs = 4 * width if bottleneck else width
            self.ends[f"layer{index + 1}"] = len(stem) + len(stages)
        self.lower = nn.Sequential(*stem, *stages)
        self.upper = BcosConv(inputs, classes, 1)
        self.bias = -math.log(classes - 1)

    def features(self, x):
        """[N, h, w, C]"""
        return self.lower(x).permute(0, 2, 3, 1)

    def classify(self, features):
        return self.upper(features.permute(0, 3, 1, 2)).mean((2, 3)) + self.bias

    def split(self, stage):
        """The parts below the end of a stage and above it, channels first."""
        end = self.ends[stage]
        return self.lower[:end], lambda x: self.upper(self.lower[end:](x)).mean((2, 3)) + self.bias

    def forward(self, x):
        return self.classify(self.features(x))


class Encoder(nn.Module):
    def __init__(self, width, heads, inner):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = DetachableLayerNorm(width, (-1,)), DetachableLayerNorm(width, (-1,))
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out, self.up, self.down = BcosLinear(width, width), BcosLinear(width, inner), BcosLinear(inner, width)
        self.explain = False

    def attend(self, x):
        n, t, width = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        weights = ((q / math.sqrt(width // self.heads)) @ k.transpose(-1, -2)).softmax(-1)
        mixed = (weights.detach() if self.explain else weights) @ v
        return self.out(mixed.transpose(1, 2).reshape(n, t, width))

    def forward(self, x):
        x = x + self.attend(self.norm1(x))
        return x + self.down(self.up(self.norm2(x)))


def positions(side, width):
    quarter = width // 4
    omega = 10000 ** (-torch.arange(quarter) / (quarter - 1))
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    angles = [x.flatten()[:, None] * omega, y.flatten()[:, None] * omega]
    return torch.cat([f(a) for a in angles for f in (torch.sin, torch.cos)], 1)


class ViTc(nn.Module):
    """Convolutional stem, encoders; the features are those of the last but one encoder."""

    def __init__(self, stem, width, depth, heads, inner, classes, side):
        super().__init__()
        layers, inputs = [], 6
        for outputs in stem:
            stride = 2 if outputs > inputs else 1
            layers += [BcosConv(inputs, outputs, 3, stride, 1), DetachableLayerNorm(outputs, (-3, -2, -1))]
            inputs = outputs
        self.stem = nn.Sequential(*layers)
        self.embed = BcosLinear(inputs, width)
        self.register_buffer("position", positions(side, width))
        self.encoders = nn.ModuleList(Encoder(width, heads, inner) for _ in range(depth))
        self.norm, self.head = DetachableLayerNorm(width, (-1,)), BcosLinear(width, classes)
        self.bias = -math.log(classes - 1)

    def features(self, x):
        """[N, T, C]"""
        x = self.embed(self.stem(x).permute(0, 2, 3, 1).flatten(1, 2)) + self.position
        for encoder in self.encoders[:-1]:
            x = encoder(x)
        return x

    def classify(self, features):
        return self.head(self.norm(self.encoders[-1](features).mean(1))) + self.bias

    def forward(self, x):
        return self.classify(self.features(x))


def explanation_mode(network, on):
    for module in network.modules():
        if hasattr(module, "explain"):
            module.explain = on


def resnet18():
    return ResNet([64, 128, 256, 512], [2, 2, 2, 2], 1000, True)


def resnet50():
    return ResNet([64, 128, 256, 512], [3, 4, 6, 3], 1000, True, True)


def resnet20():
    return ResNet([16, 32, 64], [3, 3, 3], 10, False)


def vitc_s():
    return ViTc([48, 96, 192, 384], 384, 11, 6, 1536, 1000, 14)
