"""A small exchange of real services on the common family: the main job of the repository, and its longest example."""
