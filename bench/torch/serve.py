"""Runs one benchmark case a line: reads "CASE" on standard input, answers with wall and CPU milliseconds as JSON."""

import json
import math
import os
import resource
import sys
import time

import torch
import torch.nn.functional as F

from networks import explanation_mode, resnet18, resnet20

THREADS = int(os.environ.get("BENCH_THREADS", "2"))
torch.set_num_threads(THREADS)
torch.manual_seed(0)

SIZES = {
    "resnet18": dict(build=resnet18, shape=(8, 3, 224, 224), classes=1000, channels=512, latents=8192, k=16),
    "resnet20": dict(build=resnet20, shape=(128, 3, 32, 32), classes=10, channels=64, latents=1024, k=16),
}
SAE = dict(channels=512, latents=8192, k=32, batch=4096, aux=256, alpha=1 / 32)


def encode(image):
    return torch.cat([image, 1 - image], 1)


def network_case(name, task, channels_last):
    size = SIZES[name]
    network = size["build"]()
    image = torch.rand(size["shape"])
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = network.to(memory_format=layout)
    image = image.contiguous(memory_format=layout)
    if task == "train":
        target = F.one_hot(torch.randint(0, size["classes"], (len(image),)), size["classes"]).float()
        target = target.clamp_min(1 / size["classes"])
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

        def step():
            optimizer.zero_grad(set_to_none=True)
            loss = F.binary_cross_entropy_with_logits(network(encode(image)), target)
            loss.backward()
            optimizer.step()
            return loss.item()

        return step
    network.eval()
    explanation_mode(network, task != "inference")
    if task == "inference":

        def infer():
            with torch.inference_mode():
                return network(encode(image)).sum().item()

        return infer
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    if task == "class":

        def explain_class():
            encoded = encode(image).requires_grad_(True)
            network(encoded).max(1).values.sum().backward()
            return (encoded * encoded.grad).sum(1).detach().sum().item()

        return explain_class
    encoder = torch.randn(size["latents"], size["channels"]) / math.sqrt(size["channels"])
    decoder = encoder.t().contiguous()

    def explain_concepts():
        with torch.no_grad():
            features = network.lower(encode(image)).permute(0, 2, 3, 1)
            response = torch.relu(features @ encoder.t())
            top = response.topk(size["k"], dim=-1)
            codes = torch.zeros_like(response).scatter_(-1, top.indices, top.values)
        codes.requires_grad_(True)
        logits = network.classify((codes @ decoder.t()).permute(0, 3, 1, 2))
        logits.max(1).values.sum().backward()
        with torch.no_grad():
            return (codes * codes.grad).sum((1, 2)).sum().item() + codes.sum().item()

    return explain_concepts


def sae_case():
    data = torch.randn(SAE["batch"], SAE["channels"])
    decoder = torch.nn.Linear(SAE["latents"], SAE["channels"], bias=False)
    with torch.no_grad():
        decoder.weight.div_(decoder.weight.norm(dim=0, keepdim=True))
    encoder = torch.nn.Linear(SAE["channels"], SAE["latents"], bias=False)
    with torch.no_grad():
        encoder.weight.copy_(decoder.weight.t())
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    since_fired = torch.zeros(SAE["latents"], dtype=torch.long)

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
        return sae_case()
    if parts[0] == "rate":
        return rate_case(parts[1])
    return network_case(parts[0], parts[1], len(parts) > 2)


cases = {}
for line in sys.stdin:
    case = line.strip()
    if case == "drop":
        cases.clear()
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
        "peakMb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "version": torch.__version__,
    }
    print(json.dumps(answer), flush=True)
