"""`uv run run.py` goes from raw files to an answer; `uv run run.py serve` starts the service."""

import sys
from pathlib import Path

import uvicorn

from digit_reader.__main__ import main
from digit_reader.service import create_app

RUNS = Path(__file__).parent / "runs"

if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        app = create_app(RUNS / "service")
        uvicorn.run(app, host="127.0.0.1", port=8000, limit_concurrency=100)
    else:
        main(RUNS)
