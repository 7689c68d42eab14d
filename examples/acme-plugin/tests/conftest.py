"""The test kit of common-core: bare plugins, a recording sink, distributions installed for a test."""

pytest_plugins = ["common.core.testing"]
