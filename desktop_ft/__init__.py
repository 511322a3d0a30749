"""Desktop FT: fine-tune pre-trained vision networks on your own photos."""

__version__ = "0.1.0"
