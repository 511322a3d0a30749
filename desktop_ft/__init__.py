"""Desktop FT: fine-tune pre-trained vision networks on your own photos."""

import os

__version__ = "0.1.0"

# Pydantic would import whatever any installed package offers it as a plugin. Ours are enabled by name; nothing else runs.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
