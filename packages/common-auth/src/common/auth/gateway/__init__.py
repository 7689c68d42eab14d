"""Trust in what the gateway says about a request. Import from the modules of this package."""

__all__: list[str] = []
