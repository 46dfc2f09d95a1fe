"""A small DenseNet with torchvision's names, by functional calls on a state dict: denseNet.py FOLDER.

Writes densenet.pth, the same with the names of torchvision's oldest files, and io.json: pictures [2,40,40,3] in [0,1]
and their logits.
"""
import json
import sys

import torch
import torch.nn.functional as F

GROWTH, BOTTLENECK, BLOCKS, WIDTH, CLASSES = 6, 2, (2, 3), 8, 5
torch.manual_seed(3)
state = {}


def add_conv(name, outputs, inputs, kernel):
    state[name + ".weight"] = torch.randn(outputs, inputs, kernel, kernel) * (2 / (inputs * kernel * kernel)) ** 0.5


def add_norm(name, channels):
    state[name + ".weight"] = torch.rand(channels) + 0.5
    state[name + ".bias"] = torch.randn(channels) * 0.3
    state[name + ".running_mean"] = torch.randn(channels) * 0.3
    state[name + ".running_var"] = torch.rand(channels) + 0.3
    state[name + ".num_batches_tracked"] = torch.tensor(4)


def layers():
    """Path and input channels of every dense layer, and of the transition behind a block (None: there is none)."""
    channels = WIDTH
    for block, count in enumerate(BLOCKS):
        for layer in range(count):
            yield f"features.denseblock{block + 1}.denselayer{layer + 1}", channels, True
            channels += GROWTH
        if block < len(BLOCKS) - 1:
            yield f"features.transition{block + 1}", channels, False
            channels //= 2
    yield None, channels, False


def conv(x, name, **options):
    return F.conv2d(x, state[name + ".weight"], **options)


def norm_relu(x, name):
    parts = [state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
    return F.relu(F.batch_norm(x, *parts, False, 0.1, 1e-5))


def run(x):
    x = F.max_pool2d(norm_relu(conv(x, "features.conv0", stride=2, padding=3), "features.norm0"), 3, 2, 1)
    for path, _, is_dense in layers():
        if path is None:
            continue
        if is_dense:
            added = conv(norm_relu(x, path + ".norm1"), path + ".conv1")
            added = conv(norm_relu(added, path + ".norm2"), path + ".conv2", padding=1)
            x = torch.cat([x, added], 1)
        else:
            x = F.avg_pool2d(conv(norm_relu(x, path + ".norm"), path + ".conv"), 2)
    x = norm_relu(x, "features.norm5").mean((2, 3))
    return F.linear(x, state["classifier.weight"], state["classifier.bias"])


add_conv("features.conv0", WIDTH, 3, 7)
add_norm("features.norm0", WIDTH)
for path, channels, is_dense in layers():
    if path is None:
        add_norm("features.norm5", channels)
        state["classifier.weight"] = torch.randn(CLASSES, channels) * 0.3
        state["classifier.bias"] = torch.randn(CLASSES)
    elif is_dense:
        add_norm(path + ".norm1", channels)
        add_conv(path + ".conv1", BOTTLENECK * GROWTH, channels, 1)
        add_norm(path + ".norm2", BOTTLENECK * GROWTH)
        add_conv(path + ".conv2", GROWTH, BOTTLENECK * GROWTH, 3)
    else:
        add_norm(path + ".norm", channels)
        add_conv(path + ".conv", channels // 2, channels, 1)


def oldest(name):
    for part in ("norm1", "norm2", "conv1", "conv2"):
        name = name.replace(f".{part}.", f".{part[:-1]}.{part[-1]}.") if "denselayer" in name else name
    return name


torch.save(state, sys.argv[1] + "/densenet.pth")
torch.save(
    {oldest(name): value for name, value in state.items() if "num_batches" not in name},
    sys.argv[1] + "/densenet-oldest.pth",
)
pictures = torch.rand(2, 3, 40, 40)
mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
deviation = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
logits = run((pictures - mean) / deviation)
with open(sys.argv[1] + "/io.json", "w") as file:
    json.dump({"x": pictures.permute(0, 2, 3, 1).flatten().tolist(), "y": logits.flatten().tolist()}, file)
