"""Runs: cells, blocks, and what comes of them."""
