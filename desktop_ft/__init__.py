"""Desktop FT: fine-tune pre-trained vision networks on your own photos."""

import os

__version__ = "0.1.0"

# Pydantic would import whatever any installed package offers it as a plugin. Ours are enabled by name; nothing else runs.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
# onnxruntime would tell its makers over the network of each file that is opened, and leave a number of this machine behind.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
