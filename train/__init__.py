"""Chunks → question–answer examples → datasets → runs → evaluated, promoted models. Never imports ingest or ui."""
