"""Runs one benchmark case a line: reads "CASE" on standard input, answers with wall and CPU milliseconds as JSON."""

import gc
import json
import math
import os
import resource
import sys
import time

import torch
import torch.nn.functional as F

from networks import UncenteredBatchNorm, explanation_mode, resnet18, resnet20, resnet50, vitc_s

THREADS = int(os.environ.get("BENCH_THREADS", "2"))
torch.set_num_threads(THREADS)
torch.manual_seed(0)

SIZES = {
    "resnet18": dict(build=resnet18, side=224, classes=1000, channels=512, latents=8192, k=16),
    "resnet50": dict(build=resnet50, side=224, classes=1000, channels=2048, latents=16384, k=16),
    "resnet20": dict(build=resnet20, side=32, classes=10, channels=64, latents=1024, k=16),
    "vitc_s": dict(build=vitc_s, side=224, classes=1000, channels=384, latents=8192, k=16),
}
SAE = dict(k=32, batch=4096, aux=256, alpha=1 / 32)
MAPS = 3


def encode(image):
    return torch.cat([image, 1 - image], 1)


def calibrate(network, x):
    """Gives each norm the variances of an image, as training would: else responses fade to denormal numbers."""

    def measure(norm, inputs):
        norm.running_var.copy_(inputs[0].var((0, 2, 3), unbiased=False))

    norms = [module for module in network.modules() if isinstance(module, UncenteredBatchNorm)]
    hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
    with torch.no_grad():
        network(x[:1])
    for hook in hooks:
        hook.remove()


def training_case(network, image, classes):
    target = F.one_hot(torch.randint(0, classes, (len(image),)), classes).float().clamp_min(1 / classes)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = F.binary_cross_entropy_with_logits(network(encode(image)), target)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def concept_case(network, image, size, with_maps):
    """Presence and contributions of the concepts; with maps also the pixel maps of the greatest contributions."""
    encoder = torch.randn(size["latents"], size["channels"]) / math.sqrt(size["channels"])
    decoder = encoder.t().contiguous()

    def sparse(features):
        response = torch.relu(features @ encoder.t())
        top = response.topk(size["k"], dim=-1)
        return torch.zeros_like(response).scatter(-1, top.indices, top.values)

    def contributions(features):
        with torch.no_grad():
            codes = sparse(features)
        codes.requires_grad_(True)
        network.classify(codes @ decoder.t()).max(1).values.sum().backward()
        with torch.no_grad():
            places = tuple(range(1, codes.dim() - 1))
            return (codes * codes.grad).sum(places), codes.sum(places)

    def explain():
        with torch.no_grad():
            features = network.features(encode(image))
        shares, presence = contributions(features)
        return shares.sum().item() + presence.sum().item()

    def explain_with_maps():
        encoded = encode(image).requires_grad_(True)
        features = network.features(encoded)
        shares, presence = contributions(features.detach())
        codes = sparse(features)
        totals = codes.sum(tuple(range(1, codes.dim() - 1)))
        value = shares.sum().item() + presence.sum().item()
        for place in range(MAPS):
            concept = shares.topk(MAPS).indices[:, place : place + 1]
            target = totals.gather(1, concept).sum()
            (gradient,) = torch.autograd.grad(target, encoded, retain_graph=place + 1 < MAPS)
            value += (encoded * gradient).sum(1).detach().sum().item()
        return value

    return explain_with_maps if with_maps else explain


def extraction_case(network, image, stage):
    """Rows of a stage's features, drawn by what each position contributes to the predicted logit: FaCT's budget."""
    lower, upper = network.split(stage)

    def extract():
        with torch.no_grad():
            features = lower(encode(image))
        features.requires_grad_(True)
        (gradient,) = torch.autograd.grad(upper(features).max(1).values.sum(), features)
        with torch.no_grad():
            rows = features.flatten(2).transpose(1, 2)
            weights = (features * gradient).sum(1).abs().flatten(1)
            kept = min(72 * 512 // rows.shape[2], rows.shape[1])
            if kept == rows.shape[1]:
                chosen = rows.contiguous()
            else:
                drawn = weights.multinomial(kept, replacement=False)
                chosen = rows.gather(1, drawn[:, :, None].expand(-1, -1, rows.shape[2]))
            values = chosen.numpy().reshape(-1)
            return float(values[0] + values[-1])

    return extract


def network_case(name, batch, task, variant):
    size = SIZES[name]
    network = size["build"]()
    image = torch.rand((batch, 3, size["side"], size["side"]))
    layout = torch.channels_last if variant == "channels_last" else torch.contiguous_format
    network = network.to(memory_format=layout)
    image = image.contiguous(memory_format=layout)
    if task == "train":
        return training_case(network, image, size["classes"])
    network.eval()
    calibrate(network, encode(image))
    explanation_mode(network, task != "inference")
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    if task.startswith("features-"):
        return extraction_case(network, image, task.removeprefix("features-"))
    forward = torch.compile(network) if variant == "compile" else network
    if task == "inference":

        def infer():
            with torch.inference_mode():
                return forward(encode(image)).sum().item()

        return infer
    if task == "class":

        def explain_class():
            encoded = encode(image).requires_grad_(True)
            forward(encoded).max(1).values.sum().backward()
            return (encoded * encoded.grad).sum(1).detach().sum().item()

        return explain_class
    return concept_case(network, image, size, task == "maps")


def sae_case(channels, latents):
    data = torch.randn(SAE["batch"], channels)
    decoder = torch.nn.Linear(latents, channels, bias=False)
    with torch.no_grad():
        decoder.weight.div_(decoder.weight.norm(dim=0, keepdim=True))
    encoder = torch.nn.Linear(channels, latents, bias=False)
    with torch.no_grad():
        encoder.weight.copy_(decoder.weight.t())
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    since_fired = torch.zeros(latents, dtype=torch.long)

    def step():
        response = torch.relu(encoder(data))
        top = response.topk(SAE["k"], dim=-1)
        codes = torch.zeros_like(response).scatter_(-1, top.indices, top.values)
        residual = data - decoder(codes)
        loss = residual.square().sum(1).mean()
        since_fired.add_(len(data))
        since_fired[top.indices.flatten()] = 0
        dead = since_fired >= 10_000_000
        if dead.any():
            count = min(SAE["aux"], int(dead.sum()))
            picked = torch.where(dead, response, -torch.inf).topk(count, dim=-1)
            auxiliary = torch.zeros_like(response).scatter_(-1, picked.indices, picked.values)
            error = residual.detach()
            spread = (error - error.mean(0)).square().sum(1).mean()
            loss = loss + SAE["alpha"] * (error - decoder(auxiliary)).square().sum(1).mean() / spread
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        with torch.no_grad():
            weight = decoder.weight
            unit = weight / (weight.norm(dim=0, keepdim=True) + 1e-6)
            weight.grad.sub_((weight.grad * unit).sum(0, keepdim=True) * unit)
        torch.nn.utils.clip_grad_norm_([*encoder.parameters(), *decoder.parameters()], 1.0)
        optimizer.step()
        with torch.no_grad():
            decoder.weight.div_(decoder.weight.norm(dim=0, keepdim=True))
        return loss.item()

    return step


def rate_case(kind):
    """The machine's own limits: matrix-multiply rate (2048 cubed) and copy rate (256 MB)."""
    if kind == "matmul":
        a, b = torch.rand(2048, 2048), torch.rand(2048, 2048)
        return lambda: torch.mm(a, b)[0, 0].item()
    source, target = torch.rand(64 << 20), torch.rand(64 << 20)
    return lambda: target.copy_(source)[0].item()


def build(case):
    parts = case.split("/")
    if parts[0] == "sae":
        return sae_case(int(parts[1]), int(parts[2]))
    if parts[0] == "rate":
        return rate_case(parts[1])
    return network_case(parts[0], int(parts[1]), parts[2], parts[3] if len(parts) > 3 else None)


def peak_megabytes():
    """Since the last `drop`, where Linux counts so."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def forget_peak():
    gc.collect()
    try:
        with open("/proc/self/clear_refs", "w") as refs:
            refs.write("5")
    except OSError:
        pass


cases = {}
for line in sys.stdin:
    case = line.strip()
    if case == "drop":
        cases.clear()
        forget_peak()
        print(json.dumps({"dropped": True}), flush=True)
        continue
    if case not in cases:
        cases[case] = build(case)
    wall, cpu = time.perf_counter(), time.process_time()
    value = cases[case]()
    answer = {
        "wallMs": (time.perf_counter() - wall) * 1e3,
        "cpuMs": (time.process_time() - cpu) * 1e3,
        "value": value,
        "peakMb": peak_megabytes(),
        "version": torch.__version__,
    }
    print(json.dumps(answer), flush=True)
