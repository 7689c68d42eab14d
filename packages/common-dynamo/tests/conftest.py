"""The kit that the tests of common-dynamo share; it ships with the distribution."""

pytest_plugins = ["common.dynamo.testing"]
