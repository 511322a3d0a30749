"""What the .zip holds: the names that its writer and its reader agree on."""

PARAM, WEIGHTS, METADATA = "model.ncnn.param", "model.ncnn.bin", "desktop_ft.json"
INPUT, PROBABILITIES, LOGITS = "in0", "out0", "out1"
"""The blobs, as the converter always names them."""
