"""The vocabulary: plain frozen values. No torch, no Qt, no disk."""
