"""Explains a photograph with an exported network: onnxruntime and numpy, nothing else.

    fact export --input uint8 --out explain.onnx
    python examples/explain_onnx.py explain.onnx PHOTO     (Pillow reads the photograph)
"""
import json, sys
import numpy as np, onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession(sys.argv[1])
about = session.get_modelmeta().custom_metadata_map
names = json.loads(about["class_names"])
photo = np.asarray(Image.open(sys.argv[2]).convert("RGB"))[None]
feeds = {"photo": photo,
         "class_weights": np.zeros((1, len(names)), np.float32),  # all 0: what the network answers
         "concepts": np.array([[-1, -2, -3]], np.int32)}          # the three largest contributions
feeds |= {i.name: np.array(True) for i in session.get_inputs() if i.name.startswith("want_")}
out = dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds)))

answer = out["predicted"][0]
print(f"{names[answer]}, probability {1 / (1 + np.exp(-out['logits'][0, answer])):.3f}")
for rank, concept in enumerate(out["concept_ids"][0]):
    y, x = np.unravel_index(out["concept_maps"][0, rank].argmax(), out["concept_maps"].shape[2:])
    print(f"  concept {concept:4}: {out['contributions'][0, concept]:+.3f} of the score, strongest at row {y}, column {x}")
for name in (n for n in out if n.startswith("ledger_")):
    for left, total, residual, error in out[name].reshape(-1, 4):
        print(f"{name:21} {left:10.5f} = {total:10.5f} {residual:+.1e}  relative error {error:.1e}")
