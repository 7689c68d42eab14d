"""What the tests of common-core share: the kit that it ships."""

pytest_plugins = ["common.core.testing"]
