"""What VLog costs beside bare ffmpeg, and how soon a video plays: `python -m benchmarks`, docs/benchmarks.md."""
