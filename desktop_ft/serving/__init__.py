"""An exported model answers over HTTP: one process, the standard library, no torch."""
