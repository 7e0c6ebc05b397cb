"""Near-duplicate image clusters in near real time: kernel, local engines and command line."""

__version__ = "0.1.0"
